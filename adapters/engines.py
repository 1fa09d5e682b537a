"""Which engine serves: the one that is configured, or that an elder names; and for good, the one that a version was
registered with.

    OLLAMA_HOST         Ollama
    HEIRLOOM_VLLM_URL   vLLM, for elders trained on the backbone that it serves (HEIRLOOM_VLLM_BASE)
    neither             llama.cpp in this process; it is always there
    HEIRLOOM_ENGINE     which of those that are there, for elders who name none
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from adapters.llama_cpp import LlamaCppEngine
from adapters.ollama import OllamaEngine
from adapters.vllm import VllmEngine
from config.config_loader import ConfigLoader
from config.settings import Settings
from kernel.errors import EngineNotConfigured, WrongBase
from kernel.ports import ChatOptions, Ending, Engine
from kernel.sample import Message
from kernel.version import ModelVersion

SETTINGS = {"ollama": "OLLAMA_HOST", "vllm": "HEIRLOOM_VLLM_URL"}


class Engines:
    """Implements kernel.ports.Engine over several. `name`: of the one that new versions are registered with."""

    def __init__(
        self, engines: Mapping[str, Engine], *, name: str, bases: Mapping[str, str] = MappingProxyType({})
    ) -> None:
        """`bases`: the one base model that an engine serves, for an engine that serves one only. Raises
        EngineNotConfigured."""
        self._engines, self._bases, self.name = engines, bases, name
        self._of(name)

    def preferring(self, name: str, *, base: str = "") -> "Engines":
        """The same engines, and new versions, made from `base`, are registered with this one; "" changes nothing.
        Raises EngineNotConfigured, WrongBase: before a training, not after it."""
        chosen = Engines(self._engines, name=name or self.name, bases=self._bases)
        served = self._bases.get(chosen.name, "")
        if base and served and base != served:
            raise WrongBase(engine=chosen.name, base=served, asked=base)
        return chosen

    @property
    def continues(self) -> bool:
        return self._of(self.name).continues

    @property
    def serves_adapters(self) -> bool:
        return self._of(self.name).serves_adapters

    def check(self) -> None:
        """Those that somebody chose: llama.cpp, which is always there, only where it serves."""
        for name, engine in self._engines.items():
            if name == self.name or name in SETTINGS:
                engine.check()

    def register(
        self,
        version: ModelVersion,
        gguf: Path,
        *,
        adapter: Path | None = None,
        say: Callable[[str], None] = lambda status: None,
    ) -> None:
        self._of(version.engine).register(version, gguf, adapter=adapter, say=say)

    def has(self, version: ModelVersion) -> bool:
        """Nothing answers for an engine that is not configured: what it held must be trained again."""
        return version.engine in self._engines and self._of(version.engine).has(version)

    def chat(
        self, version: ModelVersion, messages: Sequence[Message], options: ChatOptions
    ) -> Generator[str, None, Ending | None]:
        return self._of(version.engine).chat(version, messages, options)

    def activate(self, version: ModelVersion) -> None:
        self._of(version.engine).activate(version)

    def delete(self, version: ModelVersion, *, at_once: bool = True) -> None:
        """Raises EngineNotConfigured: nobody is told that a model is gone which still lies somewhere."""
        self._of(version.engine).delete(version, at_once=at_once)

    def _of(self, name: str) -> Engine:
        if name not in self._engines:
            raise EngineNotConfigured(engine=name, setting=SETTINGS.get(name, "HEIRLOOM_ENGINE"))
        return self._engines[name]


def open_engines(settings: Settings, config: ConfigLoader) -> Engines:
    """Nothing is asked of them yet. Raises EngineNotConfigured for a HEIRLOOM_ENGINE that is not there."""
    engines: dict[str, Engine] = {}
    if settings.ollama_host:
        engines["ollama"] = OllamaEngine(
            settings.ollama_host,
            bases=config.get_base_ggufs(),
            keep_alive=settings.ollama_keep_alive,
            context_tokens=settings.context_tokens,
        )
    if settings.vllm_url:
        engines["vllm"] = VllmEngine(
            settings.vllm_url,
            key=settings.vllm_key,
            folder=settings.adapters_dir,
            seen_as=settings.vllm_adapters_path,
        )
    engines["llama_cpp"] = LlamaCppEngine(
        settings.gguf_dir,
        threads=settings.threads,
        context_tokens=settings.context_tokens,
        bases=config.get_base_ggufs(),
        memory_bytes=settings.model_memory_bytes,
        seats=settings.answers_at_once,
    )
    name = settings.engine or next(iter(engines))
    return Engines(engines, name=name, bases={"vllm": settings.vllm_base})
