"""Artefacts on disk: written aside, renamed when whole, verified when read.

    {root}/{tenant}/{elder}/{stage}/{key}/manifest.json    stage, key, inputs, sizes, SHA-256, seconds, missed
                                         /artefact.json    the value itself
                                         /...              weights, if it has any
    {root}/{tenant}/{elder}/{stage}/.scratch-{key}/        checkpoints, until the artefact is whole

An elder's artefacts lie in one folder, so that deleting the elder deletes them all.
"""

import errno
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import structlog
from pydantic import TypeAdapter

from kernel.artifact import FileEntry, Manifest, StoredArtifact
from kernel.errors import NoDiskSpace
from kernel.ids import ElderId, TenantId, file_digest

log = structlog.get_logger(__name__)

MANIFEST, VALUE = "manifest.json", "artefact.json"
_GIGABYTE = 1_000_000_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where one stage's artefacts of one elder lie."""

    tenant: TenantId
    elder: ElderId
    stage: str


class ArtifactStore:
    def __init__(self, root: Path) -> None:
        self._root = root

    def find(self, place: Place, key: str) -> StoredArtifact | None:
        """The artefact, if it is there and every byte of it is what the manifest says. A corrupt one is removed.

        Only who holds the elder's lease may ask so: another reads with `look`.
        """
        found = self.look(place, key)
        folder = self._folder(place) / key
        if found is None and folder.exists():
            log.warning("artifact.corrupt", stage=place.stage, key=key)
            shutil.rmtree(folder)
        return found

    def look(self, place: Place, key: str) -> StoredArtifact | None:
        """The whole artefact, and nothing is touched."""
        folder = self._folder(place) / key
        manifest = _read_manifest(folder)
        if manifest is None or not _is_whole(folder, manifest):
            return None
        return StoredArtifact(folder=folder, manifest=manifest)

    def exists(self, place: Place, key: str) -> bool:
        """Whether it is there at all; `find` says whether it is whole."""
        return (self._folder(place) / key / MANIFEST).exists()

    def load(self, stored: StoredArtifact, kind: type) -> Any:
        """The value; one with weights gets its `folder` back."""
        value = json.loads((stored.folder / VALUE).read_text(encoding="utf-8"))
        if "folder" in kind.__dataclass_fields__:  # type: ignore[attr-defined]
            value["folder"] = str(stored.folder)
        return TypeAdapter(kind).validate_python(value)

    def earlier(self, place: Place, kind: type) -> list[Any]:
        """The values of all that is kept of the stage. What is not whole, or of another form, is left out."""
        found = [self.look(place, folder.name) for folder in sorted(self._folder(place).glob("[!.]*"))]
        values = []
        for stored in filter(None, found):
            with suppress(ValueError):
                values.append(self.load(stored, kind))
        return values

    def scratch(self, place: Place, key: str) -> Path:
        """A folder that outlives a killed attempt; `commit` removes it."""
        folder = self._folder(place) / f".scratch-{key}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    @contextmanager
    def aside(self, place: Place, key: str, *, needed_bytes: int) -> Iterator[Path]:
        """A new empty folder for `commit` to take; gone afterwards if nothing took it."""
        self._root.mkdir(parents=True, exist_ok=True)
        check_disk(self._root, needed_bytes)
        folder = self._folder(place) / f".aside-{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        try:
            yield folder
        except OSError as error:
            if error.errno == errno.ENOSPC:
                check_disk(self._root, needed_bytes, is_full=True)
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def commit(
        self,
        place: Place,
        key: str,
        aside: Path,
        value: Any,
        *,
        inputs: dict[str, str],
        seconds: float,
        missed: int = 0,
    ) -> StoredArtifact:
        """Write value and manifest beside the weights in `aside`, sync, and rename the whole to its key."""
        (aside / VALUE).write_text(_encode(value), encoding="utf-8")
        manifest = Manifest(
            stage=place.stage,
            key=key,
            inputs=inputs,
            files=_entries(aside),
            seconds=round(seconds, 3),
            missed=missed,
        )
        (aside / MANIFEST).write_text(json.dumps(asdict(manifest), indent=1), encoding="utf-8")
        _sync(aside)
        target = self._folder(place) / key
        if target.exists():
            target.rename(aside.with_name(aside.name + ".old"))
        aside.rename(target)
        shutil.rmtree(aside.with_name(aside.name + ".old"), ignore_errors=True)
        shutil.rmtree(self._folder(place) / f".scratch-{key}", ignore_errors=True)
        return StoredArtifact(folder=target, manifest=manifest)

    def tidy(self, tenant: TenantId, elder: ElderId, keep: set[str]) -> None:
        """Remove what no kept key names: older artefacts, and what killed attempts left aside."""
        for folder in (self._root / tenant / elder).glob("*/*"):
            if folder.name not in keep:
                shutil.rmtree(folder, ignore_errors=True)

    def size_bytes(self, tenant: TenantId, elder: ElderId) -> int:
        """Of all that is kept; what a training under way moves meanwhile may be missed. A file that an engine shares
        by a link is the engine's."""
        total = 0
        for folder, _, names in os.walk(self._root / tenant / elder):
            for name in names:
                with suppress(FileNotFoundError):
                    stat = os.lstat(os.path.join(folder, name))
                    total += stat.st_size if stat.st_nlink == 1 else 0
        return total

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        """What cannot be removed raises OSError: nobody is told that weights are gone which are not."""
        folder = self._root / tenant / elder
        if folder.exists():
            shutil.rmtree(folder)

    def _folder(self, place: Place) -> Path:
        return self._root / place.tenant / place.elder / place.stage


def check_disk(path: Path, needed_bytes: int, *, is_full: bool = False) -> None:
    """Raise NoDiskSpace when less than `needed_bytes` is free under `path`, or when a write said so."""
    free = shutil.disk_usage(path).free
    if is_full or free < needed_bytes:
        raise NoDiskSpace(need=f"{needed_bytes / _GIGABYTE:.1f} GB", have=f"{free / _GIGABYTE:.1f} GB", path=path.name)


def _encode(value: Any) -> str:
    assert is_dataclass(value)  # noqa: S101 - every artefact is one
    content = asdict(value)  # type: ignore[arg-type]
    content.pop("folder", None)
    return json.dumps(content, ensure_ascii=False, indent=1, sort_keys=True, default=str)


def _entries(folder: Path) -> dict[str, FileEntry]:
    return {
        str(file.relative_to(folder)): FileEntry(size=file.stat().st_size, sha256=file_digest(file))
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def _read_manifest(folder: Path) -> Manifest | None:
    try:
        return TypeAdapter(Manifest).validate_json((folder / MANIFEST).read_bytes())
    except (OSError, ValueError):
        return None


def _is_whole(folder: Path, manifest: Manifest) -> bool:
    try:
        return all(
            (folder / name).stat().st_size == entry.size and file_digest(folder / name) == entry.sha256
            for name, entry in manifest.files.items()
        )
    except OSError:
        return False


def _sync(folder: Path) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
