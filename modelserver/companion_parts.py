"""What the companion is made of here: who answers, who hears, who speaks, and how many may be connected."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from adapters.companion_wire import RemoteCompanion
from adapters.embedded_speech import EspeakService, PocketsphinxService
from adapters.funasr import FunASRService
from adapters.gpt_sovits import GptSovitsService
from config.companion_config import read_companion
from kernel.companion import CompanionSettings
from kernel.errors import CompanionBusy
from kernel.ids import TenantId
from kernel.ports import Companion, Listener, Speaker
from modelserver.own_companion import OwnCompanion
from modelserver.services import Services

_CONNECTIONS = 16  #: of one family


@dataclass(kw_only=True)
class CompanionParts:
    settings: CompanionSettings
    companion: Companion | None  #: None: switched off
    listener: Listener
    speaker: Speaker
    _connected: Counter[TenantId] = field(default_factory=Counter)

    @contextmanager
    def connected(self, tenant: TenantId) -> Iterator[None]:
        """Raises CompanionBusy."""
        if self._connected[tenant] >= _CONNECTIONS:
            raise CompanionBusy
        self._connected[tenant] += 1
        try:
            yield
        finally:
            self._connected[tenant] -= 1


def open_companion(services: Services) -> CompanionParts:
    """As the settings say; nothing is asked of any part yet."""
    settings, companion = services.settings, read_companion()
    answers: dict[str, Companion | None] = {
        "off": None,
        "own": OwnCompanion(services, companion),
        "transformers": RemoteCompanion(settings.companion_url, key=settings.companion_key),
    }
    sovits = GptSovitsService(settings.sovits_url, voices=settings.sovits_voices)
    return CompanionParts(
        settings=companion,
        companion=answers[settings.companion],
        listener=FunASRService(settings.funasr_url) if settings.funasr_url else PocketsphinxService(),
        speaker=sovits if settings.sovits_url else EspeakService(),
    )
