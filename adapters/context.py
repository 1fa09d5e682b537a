"""A context: a cache over shared weights, in which one answer at a time is computed.

What is in the cache depends on the adapter that computed it, so it is of one voice: when another takes over it is
forgotten. What every prompt of a voice begins with (the elder's persona) is read once; its state is kept beside
the voice and copied into whatever cache the voice speaks from next (SmolLM2, 40 tokens: 0.9 MB, 1 ms).

The state is computed in a batch of its own, whether or not it was kept: the same prompt gives the same answer.
"""

import codecs
import ctypes
import json
import secrets
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from adapters.gguf_file import GgufFile
from adapters.local_model import LocalModel, common_length, library, set_adapter
from kernel.errors import ContextTooLong, EngineUnavailable
from kernel.ports import ChatOptions, Ending
from kernel.sample import Message
from kernel.stop import StopSequences

#: Tokens computed at once; between two batches it is seen whether anybody still waits. A usual prompt is one batch: in
#: batches of 64 its first token came a tenth later on two cores. To the bit the same, however many.
_BATCH = 256
_TOP_K, _TOP_P, _MIN_P = 40, 0.95, 0.05


class Left(Exception):
    """Nobody waits for this answer any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Prefix:
    tokens: list[int]
    state: Any  #: bytes, as llama.cpp writes a sequence's state


@dataclass(eq=False, slots=True)
class Voice:
    """Who speaks: the weights as they are, or with a LoRA adapter."""

    adapter: Any = None
    prefix: Prefix | None = None

    @property
    def size_bytes(self) -> int:
        """Of the prefix."""
        return len(self.prefix.state) if self.prefix else 0


def context_bytes(file: GgufFile, tokens: int) -> int:
    """What a context of so many tokens takes: the cache, and about what computing a batch needs."""
    return tokens * file.cache_bytes_a_token + _BATCH * file.width * 32


class Context:
    """Two threads must not use it at once."""

    def __init__(self, model: LocalModel, *, context_tokens: int, threads: int) -> None:
        """Raises EngineUnavailable when memory is short."""
        self._model, self._library = model, library()
        params = self._library.llama_context_default_params()
        params.n_ctx = min(context_tokens, model.file.trained_context or context_tokens)
        params.n_batch, params.n_outputs_max = _BATCH, 1
        params.n_threads, params.n_threads_batch = threads, threads
        params.flash_attn_type = self._library.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self._context = self._library.llama_init_from_model(model.weights, params)
        if not self._context:
            raise _cannot("hold the answers: memory is short")
        self._memory = self._library.llama_get_memory(self._context)
        self._room = int(self._library.llama_n_ctx(self._context))
        self._held: list[int] = []  # tokens in the cache
        self._is_left: Callable[[], bool] = lambda: False  # of the answer under way
        self.voice: Voice | None = None  #: whose they are
        self.ending: Ending | None = None  #: of the answer that was last given to its end

    def answer(
        self,
        messages: Sequence[Message],
        *,
        voice: Voice,
        options: ChatOptions,
        schema: Mapping[str, object] | None = None,
        is_left: Callable[[], bool] = lambda: False,
    ) -> Generator[str]:
        """Pieces of whole characters; with a JSON schema, of nothing but what fits it. Raises ContextTooLong, and Left
        soon after `is_left` says so."""
        tokens = self._model.prompt(messages)
        room = self._room - len(tokens)
        if room <= 0:
            raise ContextTooLong(limit=self._room)
        self._be(voice)
        self._is_left = is_left
        characters = codecs.getincrementaldecoder("utf-8")("ignore")
        stops = StopSequences(options.stop)
        limit, written = min(options.max_tokens, room), 0
        with self._sampler(options, schema) as sampler:
            self._read(tokens, voice, self._stable_length(messages, tokens, voice))
            for token in self._generate(sampler, limit):
                written += 1
                if piece := stops.feed(characters.decode(self._model.piece(token))):
                    yield piece
                if stops.is_met:
                    break
        if rest := stops.rest():
            yield rest
        is_cut = written == limit and not stops.is_met
        self.ending = Ending(tokens_read=len(tokens), tokens_written=written, is_cut=is_cut)

    def leave(self) -> None:
        """Nobody's: the adapter that was used may go."""
        self._forget(0)
        set_adapter(self._context, None)
        self.voice = None

    def close(self) -> None:
        self._library.llama_free(self._context)

    def _be(self, voice: Voice) -> None:
        if self.voice is not voice:
            self._forget(0)
            set_adapter(self._context, voice.adapter)
            self.voice = voice

    def _stable_length(self, messages: Sequence[Message], tokens: Sequence[int], voice: Voice) -> int:
        """How many of a prompt's tokens every prompt with this system message begins with."""
        if voice.prefix and tokens[: len(voice.prefix.tokens)] == voice.prefix.tokens:
            return len(voice.prefix.tokens)
        if len(messages) < 2 or messages[0].role != "system":
            return 0
        return common_length(tokens, self._model.prompt([messages[0], Message(role="user", content="")]))

    def _read(self, tokens: list[int], voice: Voice, stable: int) -> None:
        """Compute what of the prompt is not in the cache: its last token always, for what comes after it."""
        kept = common_length(self._held, tokens[:-1])
        if kept < stable:
            self._read_prefix(tokens[:stable], voice)
            kept = stable
        self._forget(kept)
        self._compute(tokens[kept:])

    def _read_prefix(self, tokens: list[int], voice: Voice) -> None:
        self._forget(0)
        if voice.prefix and voice.prefix.tokens == tokens:
            state = voice.prefix.state
            if not self._library.llama_state_seq_set_data(self._context, state, len(state), 0):
                raise _cannot("copy what it had read")
            self._held = list(tokens)
            return
        self._compute(tokens)
        size = self._library.llama_state_seq_get_size(self._context, 0)
        state = (ctypes.c_uint8 * size)()
        if self._library.llama_state_seq_get_data(self._context, state, size, 0) == size:
            voice.prefix = Prefix(tokens=tokens, state=state)

    def _generate(self, sampler: Any, limit: int) -> Iterator[int]:
        for count in range(1, limit + 1):
            token = int(self._library.llama_sampler_sample(sampler, self._context, -1))
            if self._model.is_end(token):
                return
            yield token
            if count < limit:
                self._compute([token])

    def _compute(self, tokens: Sequence[int]) -> None:
        """After what is held. Raises Left; EngineUnavailable, and half a batch may then be in the cache, so it is
        forgotten."""
        for start in range(0, len(tokens), _BATCH):
            if self._is_left():
                raise Left
            part = tokens[start : start + _BATCH]
            numbers = (self._library.llama_token * len(part))(*part)  # named, as the batch only points at them
            batch = self._library.llama_batch_get_one(numbers, len(part))
            if start + _BATCH < len(tokens):  # what comes after it is asked of the last token alone
                batch.logits = (ctypes.c_int8 * len(part))()
            if self._library.llama_decode(self._context, batch) != 0:
                self._forget(0)
                raise _cannot("compute the answer")
            self._held += part

    def _forget(self, start: int) -> None:
        """What is held from there on."""
        if start < len(self._held):
            self._library.llama_memory_seq_rm(self._memory, 0, start, -1)
            del self._held[start:]

    @contextmanager
    def _sampler(self, options: ChatOptions, schema: Mapping[str, object] | None) -> Iterator[Any]:
        """Greedy at temperature 0, else llama.cpp's usual choice among the likeliest."""
        made = self._library
        chain = made.llama_sampler_chain_init(made.llama_sampler_chain_default_params())
        links = [self._grammar(schema)] if schema else []
        if options.temperature <= 0:
            links.append(made.llama_sampler_init_greedy())
        else:
            top_p = _TOP_P if options.top_p is None else options.top_p
            links += [made.llama_sampler_init_top_k(_TOP_K), made.llama_sampler_init_top_p(top_p, 1)]
            links += [made.llama_sampler_init_min_p(_MIN_P, 1), made.llama_sampler_init_temp(options.temperature)]
            links.append(made.llama_sampler_init_dist(secrets.randbits(31)))
        for link in links:
            made.llama_sampler_chain_add(chain, link)
        try:
            yield chain
        finally:
            made.llama_sampler_free(chain)

    def _grammar(self, schema: Mapping[str, object]) -> Any:
        from llama_cpp.llama_grammar import json_schema_to_gbnf

        rules = json_schema_to_gbnf(json.dumps(schema)).encode()
        return self._library.llama_sampler_init_grammar(self._model.vocabulary, rules, b"root")


def _cannot(what: str) -> EngineUnavailable:
    return EngineUnavailable(engine="llama_cpp", reason=f"llama.cpp could not {what}")
