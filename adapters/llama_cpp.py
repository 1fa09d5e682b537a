"""The embedded engine: GGUF files on this machine, answered by llama.cpp in this process.

A version is a file or two, so any number of processes may share the folder; registering and deleting touch only that.

    <folder>/<name>/v<number>.gguf         merged weights; or
    <folder>/<name>/v<number>.lora.gguf    an adapter, and
    <folder>/<name>/v<number>.base.gguf    a link to the weights that it was checked on: one file for all elders, and
                                           the same one until the version goes, whatever becomes of the base model

What a reader would get wrong: an answer that is not wanted to its end must be closed, or its seat stays taken. Who
waits for a piece of it may do so in another thread, in line or while the prompt is read, and must then be told.
"""

import ctypes
import errno
import filecmp
import os
import re
import shutil
import threading
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Literal, Self

from adapters.context import Left
from adapters.gguf_file import is_adapter, read_gguf
from adapters.local_model import library
from adapters.voices import Source, Voices
from kernel.adapter import ADAPTER
from kernel.errors import BadId, EngineUnavailable, NoDiskSpace, StageFailed
from kernel.ports import ChatOptions, Ending
from kernel.sample import Message
from kernel.version import ModelVersion

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}")
_SPARE_BYTES = 64 << 20
_FILE_TYPES = {"f16": 1, "q8_0": 7, "q4_k_m": 15}  # llama.h, enum llama_ftype
_COPIES = "bases"


class LlamaCppEngine:
    """At most `memory_bytes` of models are loaded; `seats` answers of one base are computed at once."""

    name = "llama_cpp"
    serves_adapters = True
    continues = True

    def __init__(
        self,
        folder: Path,
        *,
        threads: int,
        context_tokens: int,
        bases: Mapping[str, Path] | None = None,
        memory_bytes: int = 4_000_000_000,
        seats: int = 2,
        wait_seconds: float = 60.0,
    ) -> None:
        """`bases`: where the GGUF of each base model lies, by its key; needed to register adapters."""
        self._folder, self._bases = folder, bases or {}
        self.voices = Voices(
            threads=threads,
            context_tokens=context_tokens,
            budget_bytes=memory_bytes,
            seats=seats,
            wait_seconds=wait_seconds,
        )

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
        source = self._source(version)
        if source.adapter is None:
            read_gguf(gguf)
            is_new = _put(gguf, source.weights)
        else:
            if not is_adapter(gguf):
                raise StageFailed(stage="publish", reason=f"{gguf.name} is not an adapter")
            read_gguf(self._bases[version.base])
            is_new = _put(gguf, source.adapter)
            is_new = self._put_base(self._bases[version.base], source.weights) or is_new
        if is_new:
            self.voices.forget(version.tag, at_once=False)

    def has(self, version: ModelVersion) -> bool:
        source = self._source(version)
        return source.weights.is_file() and (source.adapter is None or source.adapter.is_file())

    def chat(self, version: ModelVersion, messages: Sequence[Message], options: ChatOptions) -> "Answer":
        """Nothing is loaded or raised before the first piece is asked for. Raises ContextTooLong."""
        left = threading.Event()
        return Answer(self._pieces(version, messages, options, left.is_set), left, wake=self.voices.wake)

    def _pieces(
        self, version: ModelVersion, messages: Sequence[Message], options: ChatOptions, is_left: Callable[[], bool]
    ) -> Generator[str, None, Ending | None]:
        if not self.has(version):
            raise self._gone(version)
        try:
            with (
                self.voices.turn(version.tag, self._source(version), is_left=is_left) as turn,
                closing(turn.context.answer(messages, voice=turn.voice, options=options, is_left=is_left)) as pieces,
            ):
                for piece in pieces:
                    if turn.is_broken_off:
                        raise self._gone(version)
                    yield piece
                return turn.context.ending
        except Left:
            return None
        except (FileNotFoundError, StageFailed) as error:
            raise self._gone(version) from error

    def activate(self, version: ModelVersion) -> None:
        """A version is asked for by its tag, and there is no other name."""

    def delete(self, version: ModelVersion, *, at_once: bool = True) -> None:
        """What a killed `register` left goes too."""
        folder = self._file(version, "gguf").parent
        left = (f"{dot}v{version.number:d}{kind}" for dot in ("", ".") for kind in (".gguf*", ".lora.*", ".base.*"))
        for pattern in left:
            for file in folder.glob(pattern):
                file.unlink(missing_ok=True)
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
        for copy in (self._folder / _COPIES).glob("*.gguf"):
            if copy.stat().st_nlink == 1:
                copy.unlink()
        self.voices.forget(version.tag, at_once=at_once)

    def close(self) -> None:
        """Unload everything."""
        self.voices.close()

    def _source(self, version: ModelVersion) -> Source:
        if version.storage == ADAPTER:
            return Source(weights=self._file(version, "base.gguf"), adapter=self._file(version, "lora.gguf"))
        return Source(weights=self._file(version, "gguf"))

    def _file(self, version: ModelVersion, kind: str) -> Path:
        if not _NAME.fullmatch(version.name):
            raise BadId(field="name")
        return self._folder / version.name / f"v{version.number:d}.{kind}"

    def _put_base(self, base: Path, target: Path) -> bool:
        """Where no link can be made, one copy for all elders is kept, and that is linked."""
        if target.exists() and target.samefile(base):
            return False
        try:
            _link(base, target)
        except OSError:
            stat = base.stat()
            copy = self._folder / _COPIES / f"{base.stem}.{stat.st_size}.{stat.st_mtime_ns}.gguf"
            if not copy.exists():
                _put(base, copy)
            return _put(copy, target)
        return True

    def _gone(self, version: ModelVersion) -> EngineUnavailable:
        return self._unavailable(f"the file of {version.tag} is gone; train again")

    def _unavailable(self, reason: str) -> EngineUnavailable:
        return EngineUnavailable(engine=self.name, reason=reason)


class Answer:
    """An answer under way: its pieces, then, as a generator returns it, how it ended.

    `close` may come from any thread, at any time, more than once.
    """

    def __init__(
        self, pieces: Generator[str, None, Ending | None], left: threading.Event, *, wake: Callable[[], None]
    ) -> None:
        self._pieces, self._left, self._wake = pieces, left, wake
        self._turn = threading.Lock()  #: held by who computes a piece

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        try:
            with self._turn:
                return next(self._pieces)
        finally:
            if self._left.is_set():
                self.close()

    def close(self) -> None:
        self._left.set()
        self._wake()
        if self._turn.acquire(blocking=False):  # else who computes a piece closes it, being woken
            try:
                self._pieces.close()
            finally:
                self._turn.release()


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


def _put(source: Path, target: Path) -> bool:
    """The same bytes under another name: a hard link costs no space; between file systems it is a copy.

    Whether they were not there before.
    """
    if target.exists() and (target.samefile(source) or filecmp.cmp(target, source, shallow=False)):
        return False
    try:
        _link(source, target)
    except OSError:
        with _aside(target) as aside:
            _copy(source, aside)
    return True


def _link(source: Path, target: Path) -> None:
    with _aside(target) as aside:
        os.link(source.resolve(), aside)


@contextmanager
def _aside(target: Path) -> Iterator[Path]:
    """To be written, and renamed when whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
    try:
        yield aside
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
