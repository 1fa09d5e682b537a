"""Artefacts: what a stage leaves behind, under a key that says what it was made from.

The key is a digest of the stage, its code version, its settings and the *content* digests of what it
read: a stage that made the same bytes again leaves everything after it valid.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kernel.ids import digest


@dataclass(frozen=True, kw_only=True, slots=True)
class FileEntry:
    size: int  #: bytes
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    stage: str
    key: str
    inputs: dict[str, str]  #: name -> content digest
    files: dict[str, FileEntry]  #: path within the artefact -> entry
    seconds: float
    missed: int = 0  #: tasks that the teacher refused or garbled: a later job makes it again, and asks for them

    @property
    def digest(self) -> str:
        """Of the content alone: not of the time it took, nor of what it was made from."""
        return digest(*(f"{name}={entry.sha256}" for name, entry in sorted(self.files.items())))


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredArtifact:
    folder: Path
    manifest: Manifest


def artifact_key(stage: str, version: int, settings: object, inputs: Mapping[str, str]) -> str:
    """32 hex digits. `settings` is anything that json can write (dataclasses as dicts)."""
    return digest(
        stage,
        str(version),
        json.dumps(settings, sort_keys=True, default=str),
        json.dumps(dict(inputs), sort_keys=True),
    )[:32]
