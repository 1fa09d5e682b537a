"""A GGUF's weights in this process's memory, and the library that holds them there.

Weights are read only: any number of contexts (`adapters.context`, `adapters.seats`) may compute with them at once.
"""

import contextlib
import ctypes
import functools
from collections.abc import Sequence
from itertools import takewhile
from operator import eq
from pathlib import Path
from types import ModuleType
from typing import Any

from adapters.gguf_file import read_gguf
from kernel.errors import EngineUnavailable
from kernel.sample import Message

_SPARE_TOKENS = 8  #: beside one for each byte: begin, end and a space in front
_PIECE_BYTES = 256  #: of one token


class LocalModel:
    """Weights, and the words that they read: tokens are numbers, pieces of text are bytes."""

    def __init__(self, path: Path, *, chats: bool = True) -> None:
        """Raises StageFailed for what is no GGUF, EngineUnavailable when llama.cpp cannot load it."""
        self.file = read_gguf(path, chats=chats)
        self._library = library()
        params = self._library.llama_cpp.llama_model_default_params()
        params.n_gpu_layers = 0
        self.weights = self._library.llama_model_load_from_file(str(path).encode(), params)
        if not self.weights:
            raise _unloadable(path)
        self._vocabulary = self._library.llama_model_get_vocab(self.weights)
        self.words = int(self._library.llama_vocab_n_tokens(self._vocabulary))

    @property
    def vocabulary(self) -> Any:
        """llama.cpp's own."""
        return self._vocabulary

    def adapter(self, path: Path) -> Any:
        """A LoRA adapter (a GGUF) for these weights; `release` it. Raises EngineUnavailable when it does not fit."""
        adapter = self._library.llama_adapter_lora_init(self.weights, str(path).encode())
        if not adapter:
            raise _unloadable(path)
        return adapter

    def release(self, adapter: Any) -> None:
        """No context may be using it."""
        self._library.llama_adapter_lora_free(adapter)

    def prompt(self, messages: Sequence[Message]) -> list[int]:
        """With the chat template that is in the file, up to where the answer begins."""
        return self.tokens(self.file.render(messages))

    def tokens(self, text: str, *, begin: bool = False, special: bool = True) -> list[int]:
        """`begin`: with what the vocabulary puts before a text; `special`: "<|im_end|>" is one token."""
        said = text.encode()
        room = len(said) + _SPARE_TOKENS
        tokens = (self._library.llama_token * room)()
        count = self._library.llama_tokenize(self._vocabulary, said, len(said), tokens, room, begin, special)
        if count < 0:
            raise EngineUnavailable(engine="llama_cpp", reason="llama.cpp could not read the prompt")
        return list(tokens[:count])

    def piece(self, token: int) -> bytes:
        """Of a text, which may be half a character."""
        said = ctypes.create_string_buffer(_PIECE_BYTES)  # one each: several threads ask
        length = self._library.llama_token_to_piece(self._vocabulary, token, said, _PIECE_BYTES, 0, False)
        return said.raw[: max(0, length)]

    def is_end(self, token: int) -> bool:
        return bool(self._library.llama_vocab_is_eog(self._vocabulary, token))

    def close(self) -> None:
        """When no context is left that computes with them. Adapters go with them."""
        self._library.llama_model_free(self.weights)


def set_adapter(context: Any, adapter: Any) -> None:
    """What a context computes from here on: the weights with the adapter, or with none."""
    llama_cpp = library()
    adapters = (llama_cpp.llama_adapter_lora_p_ctypes * 1)(adapter) if adapter else None
    scales = (ctypes.c_float * 1)(1.0)
    if llama_cpp.llama_set_adapters_lora(context, adapters, 1 if adapter else 0, scales) != 0:
        raise EngineUnavailable(engine="llama_cpp", reason="llama.cpp could not set the adapter")


def common_length(one: Sequence[int], other: Sequence[int]) -> int:
    """How many tokens both begin with."""
    return sum(1 for _ in takewhile(bool, map(eq, one, other)))


def _unloadable(path: Path) -> EngineUnavailable:
    reason = f"{path.name} of {path.parent.name} cannot be loaded: memory is short or it is damaged"
    return EngineUnavailable(engine="llama_cpp", reason=reason)


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
