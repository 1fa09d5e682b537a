"""Greedy answers, many at once: evaluation asks hundreds of questions, and one at a time leaves a CPU half idle.

Each answer has a seat, with a cache of its own, in one llama.cpp context; a step computes the next token of every
seat. What llama.cpp computes for a token may depend, in the last bits, on how many it computes at once: where two
tokens are all but equally likely, an answer may differ from chat's at temperature 0. Two runs do not differ.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from adapters.gguf_file import read_gguf
from adapters.local_model import library, load
from kernel.errors import ContextTooLong, EngineUnavailable
from kernel.sample import Message

_SEATS = 16
_CACHED = 16_384  #: tokens that all seats' caches hold together, however long one prompt is


def greedy_answers(
    gguf: Path,
    prompts: Sequence[Sequence[Message]],
    *,
    threads: int,
    max_tokens: int,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """What chat answers at temperature 0, in the prompts' order. `on_progress(done, total)` after each answer.

    Raises StageFailed for what is no GGUF, EngineUnavailable when llama.cpp cannot load or compute it, and
    ContextTooLong for a prompt that leaves no room for an answer.
    """
    file = read_gguf(gguf)
    answers = [""] * len(prompts)
    with closing(load(gguf, threads=threads, context_tokens=1)) as llama:
        asked = [
            _Asked(place, llama.tokenize(file.render(prompt).encode(), add_bos=False, special=True))
            for place, prompt in enumerate(prompts)
        ]
        longest = max((len(one.prompt) for one in asked), default=0)
        room = min(longest + max_tokens, file.trained_context or longest + max_tokens)
        if longest >= room:
            raise ContextTooLong(limit=room)
        seats = max(1, min(_SEATS, len(asked), _CACHED // room))
        with closing(_Table(llama, seats=seats, room=room, threads=threads)) as table:
            for done, one in enumerate(_answered(asked, table, max_tokens), start=1):
                answers[one.place] = llama.detokenize(one.said).decode("utf-8", "ignore")
                on_progress(done, len(prompts))
    return answers


@dataclass
class _Asked:
    """`said`: the answer's tokens so far."""

    place: int  #: among the prompts
    prompt: list[int]  #: tokens
    said: list[int] = field(default_factory=list)


def _answered(asked: Sequence[_Asked], table: "_Table", max_tokens: int) -> Iterator[_Asked]:
    """Each as it is done. A seat that becomes free is taken by the next question."""
    waiting, seated = deque(asked), {}
    while waiting or seated:
        for seat in table.free(seated):
            if waiting:
                seated[seat] = one = waiting.popleft()
                one.said += table.begin(seat, one.prompt)
        for seat, one in list(seated.items()):
            if table.is_end(one.said[-1]):
                one.said.pop()
            elif len(one.said) < min(max_tokens, table.room - len(one.prompt)):
                continue
            del seated[seat]
            yield one
        going = list(seated.items())
        tokens = table.go_on([(seat, len(one.prompt) + len(one.said) - 1, one.said[-1]) for seat, one in going])
        for (_, one), token in zip(going, tokens, strict=True):
            one.said.append(token)


class _Table:
    """A llama.cpp context with `seats` caches of `room` tokens each, prompt and answer."""

    def __init__(self, llama: Any, *, seats: int, room: int, threads: int) -> None:
        self._library = library()
        self._vocabulary = self._library.llama_model_get_vocab(llama.model)
        self._words = self._library.llama_vocab_n_tokens(self._vocabulary)
        self._seats, self.room = seats, room
        size = max(room, seats)
        params = self._library.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.kv_unified = seats * room, seats, False
        params.n_batch, params.n_threads, params.n_threads_batch = size, threads, threads
        params.flash_attn_type = self._library.LLAMA_FLASH_ATTN_TYPE_DISABLED  # as in chat: it rounds otherwise
        self._context = self._library.llama_init_from_model(llama.model, params)
        if not self._context:
            raise _cannot("hold the answers: memory is short")
        self._batch = self._library.llama_batch_init(size, 0, 1)

    def free(self, taken: dict[int, _Asked]) -> list[int]:
        return [seat for seat in range(self._seats) if seat not in taken]

    def begin(self, seat: int, prompt: Sequence[int]) -> list[int]:
        """Forget the seat's answer before, and compute the first token after the prompt."""
        self._library.llama_memory_seq_rm(self._library.llama_get_memory(self._context), seat, -1, -1)
        last = len(prompt) - 1
        return self._next([(seat, place, token, place == last) for place, token in enumerate(prompt)])

    def go_on(self, rows: Sequence[tuple[int, int, int]]) -> list[int]:
        """The token after each (seat, position, token)."""
        return self._next([(*row, True) for row in rows]) if rows else []

    def is_end(self, token: int) -> bool:
        return bool(self._library.llama_vocab_is_eog(self._vocabulary, token))

    def close(self) -> None:
        self._library.llama_batch_free(self._batch)
        self._library.llama_free(self._context)

    def _next(self, rows: Sequence[tuple[int, int, int, bool]]) -> list[int]:
        batch = self._batch
        batch.n_tokens = len(rows)
        for at, (seat, position, token, is_asked) in enumerate(rows):
            batch.token[at], batch.pos[at], batch.logits[at] = token, position, is_asked
            batch.n_seq_id[at], batch.seq_id[at][0] = 1, seat
        if self._library.llama_decode(self._context, batch) != 0:
            raise _cannot("compute the answers")
        return [self._likeliest(at) for at, row in enumerate(rows) if row[3]]

    def _likeliest(self, at: int) -> int:
        logits = self._library.llama_get_logits_ith(self._context, at)
        return int(np.argmax(np.ctypeslib.as_array(logits, shape=(self._words,))))


def _cannot(what: str) -> EngineUnavailable:
    return EngineUnavailable(engine="llama_cpp", reason=f"llama.cpp could not {what}")
