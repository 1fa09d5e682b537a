"""The embedded engine: GGUF files on this machine, answered by llama.cpp in this process.

A model is a file, `<folder>/<name>/v<number>.gguf`. Registering and deleting touch only that, so any number
of processes may share the folder. What a reader would get wrong: each piece of an answer may be asked for by
another thread, so a model is taken and given back by a flag, not by a lock; and an answer that is not wanted
to its end must be closed, or its model stays taken.
"""

import ctypes
import errno
import filecmp
import os
import re
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from adapters.gguf_file import read_gguf
from adapters.local_model import LocalModel, library
from kernel.errors import BadId, EngineUnavailable, NoDiskSpace, StageFailed
from kernel.ports import ChatOptions, Ending
from kernel.sample import Message
from kernel.version import ModelVersion

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}")
_SPARE_BYTES = 64 << 20
_FILE_TYPES = {"f16": 1, "q8_0": 7, "q4_k_m": 15}  # llama.h, enum llama_ftype


class LlamaCppEngine:
    """At most `max_loaded` models are in memory; the one that has rested longest makes room."""

    name = "llama_cpp"
    serves_adapters = False

    def __init__(
        self,
        folder: Path,
        *,
        threads: int,
        context_tokens: int,
        max_loaded: int = 2,
        wait_seconds: float = 60.0,
    ) -> None:
        self._folder = folder
        self._threads = threads
        self._context_tokens = context_tokens
        self._max_loaded = max_loaded
        self._wait_seconds = wait_seconds
        self._seats: OrderedDict[str, _Seat] = OrderedDict()  # by tag, the longest rested first
        self._changed = threading.Condition()

    def check(self) -> None:
        library()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unavailable(f"{self._folder} cannot be made") from error

    def register(
        self,
        version: ModelVersion,
        gguf: Path,
        *,
        adapter: Path | None = None,
        say: Callable[[str], None] = lambda status: None,
    ) -> None:
        """Raises StageFailed for what is no GGUF, NoDiskSpace."""
        read_gguf(gguf)
        file = self._file(version)
        if file.exists() and (file.samefile(gguf) or filecmp.cmp(file, gguf, shallow=False)):
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        _link_or_copy(gguf, file)
        self._unload(version.tag)

    def has(self, version: ModelVersion) -> bool:
        return self._file(version).is_file()

    def chat(
        self, version: ModelVersion, messages: Sequence[Message], options: ChatOptions
    ) -> Generator[str, None, Ending | None]:
        """Nothing is loaded or raised before the first piece is asked for. Raises ContextTooLong."""
        seat = self._take(version)
        try:
            model = seat.model = seat.model or self._load(version)
            with closing(
                model.answer(messages, temperature=options.temperature, max_tokens=options.max_tokens)
            ) as pieces:
                for piece in pieces:
                    if seat.is_deleted:
                        raise self._gone(version)
                    yield piece
            return model.ending
        finally:
            self._give_back(version.tag, seat)

    def activate(self, version: ModelVersion) -> None:
        """A version is asked for by its tag, and there is no other name."""

    def delete(self, version: ModelVersion, *, at_once: bool = True) -> None:
        """An answer that is being given breaks off at its next piece. What a killed `register` left goes too."""
        file = self._file(version)
        for one in (file, *file.parent.glob(f".{file.name}.*")):
            one.unlink(missing_ok=True)
        if file.parent.is_dir() and not any(file.parent.iterdir()):
            file.parent.rmdir()
        self._unload(version.tag)

    def close(self) -> None:
        """Unload everything."""
        for tag in list(self._seats):
            self._unload(tag)

    def _file(self, version: ModelVersion) -> Path:
        if not _NAME.fullmatch(version.name):
            raise BadId(field="name")
        return self._folder / version.name / f"v{version.number:d}.gguf"

    def _load(self, version: ModelVersion) -> LocalModel:
        try:
            return LocalModel(self._file(version), threads=self._threads, context_tokens=self._context_tokens)
        except StageFailed as error:
            raise self._gone(version) from error

    def _take(self, version: ModelVersion) -> "_Seat":
        if not self.has(version):
            raise self._gone(version)
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_free(version.tag), self._wait_seconds):
                raise self._unavailable("it is busy with other answers")
            self._make_room(version.tag)
            seat = self._seats.setdefault(version.tag, _Seat())
            self._seats.move_to_end(version.tag)
            seat.is_taken = True
            return seat

    def _is_free(self, tag: str) -> bool:
        if tag in self._seats:
            return not self._seats[tag].is_taken
        return len(self._seats) < self._max_loaded or self._longest_rested() is not None

    def _longest_rested(self) -> str | None:
        return next((tag for tag, seat in self._seats.items() if not seat.is_taken), None)

    def _make_room(self, tag: str) -> None:
        while tag not in self._seats and len(self._seats) >= self._max_loaded:
            self._unload(self._longest_rested() or tag)

    def _give_back(self, tag: str, seat: "_Seat") -> None:
        with self._changed:
            seat.is_taken = False
            if seat.is_deleted:
                seat.unload()
            elif seat.model is None:  # it did not load
                self._seats.pop(tag, None)
            self._changed.notify_all()

    def _unload(self, tag: str) -> None:
        with self._changed:
            seat = self._seats.pop(tag, None)
            if seat is not None:
                seat.is_deleted = True
                if not seat.is_taken:
                    seat.unload()
            self._changed.notify_all()

    def _gone(self, version: ModelVersion) -> EngineUnavailable:
        return self._unavailable(f"the file of {version.tag} is gone; train again")

    def _unavailable(self, reason: str) -> EngineUnavailable:
        return EngineUnavailable(engine=self.name, reason=reason)


@dataclass
class _Seat:
    """A place in memory, and whether somebody is being answered from it."""

    model: LocalModel | None = None
    is_taken: bool = False
    is_deleted: bool = False

    def unload(self) -> None:
        if self.model is not None:
            self.model.close()
            self.model = None


def quantise(src: Path, dst: Path, kind: Literal["f16", "q8_0", "q4_k_m"], *, threads: int = 0) -> None:
    """Write `src` (f32, f16 or bf16) as `dst`, aside first. `threads` 0 is one a core. Raises StageFailed."""
    llama_cpp = library()
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype, params.nthread = _FILE_TYPES[kind], threads
    aside = dst.with_name(f".{dst.name}.{os.getpid()}")
    try:
        code = llama_cpp.llama_model_quantize(str(src).encode(), str(aside).encode(), ctypes.byref(params))
        if code != 0:
            reason = f"llama.cpp could not quantise {src.name} to {kind}"
            raise StageFailed(stage="convert_gguf", reason=reason)
        os.replace(aside, dst)
    finally:
        aside.unlink(missing_ok=True)


def _link_or_copy(source: Path, target: Path) -> None:
    """A hard link costs no space; between file systems it is a copy. Either way whole or not at all."""
    aside = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        try:
            os.link(source.resolve(), aside)
        except OSError:
            _copy(source, aside)
        os.replace(aside, target)
    finally:
        aside.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    need, have = source.stat().st_size, shutil.disk_usage(target.parent).free
    full = NoDiskSpace(need=_megabytes(need), have=_megabytes(have), path=target.parent)
    if have < need + _SPARE_BYTES:
        raise full
    try:
        shutil.copyfile(source, target)
    except OSError as error:
        raise full if error.errno in (errno.ENOSPC, errno.EDQUOT) else error from error


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB"
