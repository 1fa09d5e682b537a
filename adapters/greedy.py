"""Greedy answers, many at once: evaluation asks hundreds of questions, and one at a time leaves a CPU half idle.

Each answer has a seat, with a cache of its own, in one llama.cpp context; a step computes the next token of every
seat. What all prompts begin with (the elder's persona) is read once a seat, by itself, as in chat.

What llama.cpp computes for a token may depend, in the last bits, on how many it computes at once: where two tokens are
all but equally likely, an answer may differ from chat's at temperature 0. Two runs do not differ.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from adapters.local_model import LocalModel, common_length
from adapters.seats import Row, Seats
from kernel.errors import ContextTooLong
from kernel.sample import Message

_SEATS = 16
_CACHED = 16_384  #: tokens that all seats' caches hold together, however long one prompt is


def greedy_answers(
    gguf: Path,
    prompts: Sequence[Sequence[Message]],
    *,
    threads: int,
    max_tokens: int,
    adapter: Path | None = None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[str]:
    """What chat answers at temperature 0, in the prompts' order. `adapter`: a GGUF with LoRA for that of `gguf`.

    `on_progress(done, total)` after each answer.

    Raises StageFailed for what is no GGUF, EngineUnavailable when llama.cpp cannot load or compute it, and
    ContextTooLong for a prompt that leaves no room for an answer.
    """
    answers = [""] * len(prompts)
    with closing(LocalModel(gguf)) as model:
        asked = [_Asked(place, model.prompt(prompt)) for place, prompt in enumerate(prompts)]
        longest = max((len(one.prompt) for one in asked), default=0)
        room = min(longest + max_tokens, model.file.trained_context or longest + max_tokens)
        if longest >= room:
            raise ContextTooLong(limit=room)
        seats = max(1, min(_SEATS, len(asked), _CACHED // room))
        lora = model.adapter(adapter) if adapter else None
        table = Seats(model, count=seats, room=room, batch=max(room, seats), threads=threads, adapter=lora)
        with closing(table):
            for done, one in enumerate(_answered(asked, table, model, max_tokens), start=1):
                answers[one.place] = b"".join(map(model.piece, one.said)).decode("utf-8", "ignore")
                on_progress(done, len(prompts))
    return answers


@dataclass
class _Asked:
    """`said`: the answer's tokens so far."""

    place: int  #: among the prompts
    prompt: list[int]  #: tokens
    said: list[int] = field(default_factory=list)


def _answered(asked: Sequence[_Asked], table: Seats, model: LocalModel, max_tokens: int) -> Iterator[_Asked]:
    """Each as it is done. A seat that becomes free is taken by the next question."""
    if not asked:
        return
    waiting, seated = deque(asked), {}
    shared = _shared([one.prompt for one in asked])
    for seat in range(table.count):
        table.compute([(seat, at, token, False) for at, token in enumerate(asked[0].prompt[:shared])])
    while waiting or seated:
        for seat in range(table.count):
            if waiting and seat not in seated:
                seated[seat] = one = waiting.popleft()
                table.forget(seat, shared)
                last = len(one.prompt) - 1
                rows = [(seat, at, token, at == last) for at, token in enumerate(one.prompt)]
                one.said += _next(table, rows[shared:])
        for seat, one in list(seated.items()):
            if model.is_end(one.said[-1]):
                one.said.pop()
            elif len(one.said) < min(max_tokens, table.room - len(one.prompt)):
                continue
            del seated[seat]
            yield one
        going = list(seated.items())
        tokens = _next(table, [(seat, len(one.prompt) + len(one.said) - 1, one.said[-1], True) for seat, one in going])
        for (_, one), token in zip(going, tokens, strict=True):
            one.said.append(token)


def _shared(prompts: Sequence[list[int]]) -> int:
    """How many tokens all begin with; never a whole prompt, as its last is computed for what comes after it."""
    return min(common_length(min(prompts), max(prompts)), min(map(len, prompts)) - 1)


def _next(table: Seats, rows: Sequence[Row]) -> list[int]:
    return [int(np.argmax(logits)) for logits in table.compute(rows)]
