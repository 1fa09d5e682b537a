"""A GGUF in this process's memory, and the library that holds it there.

The turn before stays in the cache, so the next one computes only what is new.
"""

import codecs
import contextlib
import ctypes
import functools
import json
import secrets
from collections.abc import Generator, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from adapters.gguf_file import read_gguf
from kernel.errors import ContextTooLong, EngineUnavailable
from kernel.ports import Ending
from kernel.sample import Message


class LocalModel:
    """One model, one answer at a time: two threads must not use it at once."""

    def __init__(self, path: Path, *, threads: int, context_tokens: int) -> None:
        """Raises StageFailed for what is no GGUF, EngineUnavailable when llama.cpp cannot load it."""
        self._gguf = read_gguf(path)
        self._library = library()
        context = min(context_tokens, self._gguf.trained_context or context_tokens)
        self._llama = load(path, threads=threads, context_tokens=context)
        self._context_tokens = self._llama.n_ctx()
        self.ending: Ending | None = None  #: of the answer that was last given to its end

    def answer(
        self,
        messages: Sequence[Message],
        *,
        temperature: float,
        max_tokens: int,
        schema: Mapping[str, object] | None = None,
    ) -> Generator[str]:
        """Pieces of whole characters; with a JSON schema, of nothing but what fits it. Raises ContextTooLong."""
        tokens = self._llama.tokenize(self._gguf.render(messages).encode(), add_bos=False, special=True)
        room = self._context_tokens - len(tokens)
        if room <= 0:
            raise ContextTooLong(limit=self._context_tokens)
        self._llama.set_seed(secrets.randbits(31))
        characters = codecs.getincrementaldecoder("utf-8")("ignore")
        grammar = self._library.LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False) if schema else None
        limit, written = min(max_tokens, room), 0
        for token in self._generate(tokens, temperature, limit, grammar):
            written += 1
            if piece := characters.decode(self._llama.detokenize([token])):
                yield piece
        self.ending = Ending(tokens_read=len(tokens), tokens_written=written, is_cut=written == limit)

    def count(self, messages: Sequence[Message]) -> int:
        """Tokens of the prompt."""
        return len(self._llama.tokenize(self._gguf.render(messages).encode(), add_bos=False, special=True))

    def close(self) -> None:
        self._llama.close()

    def _generate(self, tokens: list[int], temperature: float, limit: int, grammar: Any) -> Iterator[int]:
        vocabulary = self._library.llama_model_get_vocab(self._llama.model)
        try:
            with contextlib.closing(self._llama.generate(tokens, temp=temperature, grammar=grammar)) as generated:
                for count, token in enumerate(generated, start=1):
                    if self._library.llama_vocab_is_eog(vocabulary, token):
                        return
                    yield token
                    if count >= limit:
                        return
        except RuntimeError as error:
            self._llama.reset()  # half a batch may be in the cache
            reason = "llama.cpp could not compute the answer"
            raise EngineUnavailable(engine="llama_cpp", reason=reason) from error


def load(path: Path, *, threads: int, context_tokens: int) -> Any:
    """A `llama_cpp.Llama`. Raises EngineUnavailable when llama.cpp cannot load the file."""
    try:
        return library().Llama(
            str(path), n_ctx=context_tokens, n_threads=threads, n_threads_batch=threads, verbose=False
        )
    except (ValueError, RuntimeError, MemoryError) as error:
        reason = f"{path.name} of {path.parent.name} cannot be loaded: memory is short or it is damaged"
        raise EngineUnavailable(engine="llama_cpp", reason=reason) from error


@functools.cache
def library() -> ModuleType:
    """llama_cpp, made fit for a server: without a word of its own, and without AMX."""
    try:
        import llama_cpp
    except (ImportError, OSError, RuntimeError) as error:
        reason = "llama-cpp-python is not installed here; run `make setup`"
        raise EngineUnavailable(engine="llama_cpp", reason=reason) from error
    llama_cpp.llama_log_set(_silent(llama_cpp), ctypes.c_void_p(0))
    _keep_standard_streams(llama_cpp)
    if b"AMX_INT8 = 1" in llama_cpp.llama_print_system_info():
        _without_extra_buffers(llama_cpp)
    return llama_cpp


@functools.cache
def _silent(llama_cpp: ModuleType) -> Any:
    """Kept for as long as the process lives, since C calls it."""
    return llama_cpp.llama_log_callback(lambda level, text, data: None)


def _keep_standard_streams(llama_cpp: ModuleType) -> None:
    """`verbose=False` points the file descriptors 1 and 2 at /dev/null while a model loads: the whole process
    loses its log, and a child started then is mute for life. The log callback above does what is needed.
    """
    llama_cpp._internals.suppress_stdout_stderr = lambda disable=True: contextlib.nullcontext()


def _without_extra_buffers(llama_cpp: ModuleType) -> None:
    """A library built by GCC 12 with AMX dies of SIGSEGV (see config/llama_cpp.cmake). One that was not built
    by `make setup` still answers when its weights stay out of AMX's buffers.
    """
    default = llama_cpp.llama_cpp.llama_model_default_params

    def params() -> Any:
        made = default()
        made.use_extra_bufts = False
        return made

    llama_cpp.llama_cpp.llama_model_default_params = params
