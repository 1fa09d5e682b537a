"""The companion's configuration: companion.yaml with the environment on top, and its prompts.

HEIRLOOM_COMPANION__MODEL overrides `model`, and so each other key, however deep.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from config.settings import ROOT
from kernel.companion import CompanionSettings, CompanionWords, Emotion, Profile, VramBudget
from kernel.errors import BadInput

_FILE = ROOT / "config" / "companion.yaml"
_PREFIX = "HEIRLOOM_COMPANION__"


def read_companion(*, file: Path = _FILE, environ: Mapping[str, str] | None = None) -> CompanionSettings:
    """Raises BadInput, naming what is wrong."""
    rows: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    for name, text in (os.environ if environ is None else environ).items():
        if name.startswith(_PREFIX):
            _override(rows, name.removeprefix(_PREFIX).lower().split("__"), yaml.safe_load(text), name)
    emotions = tuple(Emotion(**row) for row in rows.pop("emotions"))
    default = rows.pop("default_emotion")
    places = [place for place, one in enumerate(emotions) if default in (one.zh, one.en)]
    profiles = {name: Profile(**row) for name, row in rows.pop("profiles").items()}
    if not places:
        raise BadInput(reason=f"default_emotion {default} is none of the emotions of companion.yaml.")
    if rows["default_profile"] not in profiles:
        raise BadInput(reason=f"default_profile {rows['default_profile']} is none of the profiles of companion.yaml.")
    vram = VramBudget(**rows.pop("vram"))
    return CompanionSettings(**rows, emotions=emotions, default_emotion=places[0], profiles=profiles, vram=vram)


def read_companion_words(folder: Path = _FILE.parent / "prompts" / "companion") -> dict[str, CompanionWords]:
    """By language."""
    return {
        file.stem: CompanionWords(**yaml.safe_load(file.read_text(encoding="utf-8")))
        for file in sorted(folder.glob("*.yaml"))
    }


def _override(rows: dict[str, Any], keys: list[str], value: Any, name: str) -> None:
    *path, last = keys
    for key in path:
        rows = rows.get(key) if isinstance(rows.get(key), dict) else {}
    if last not in rows or isinstance(rows[last], dict | list):
        raise BadInput(reason=f"{name} names no key of companion.yaml.")
    rows[last] = value
