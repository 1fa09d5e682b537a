"""The quote: what a training will ask its teacher, and how long it will take, told before it begins.

Notes are counted exactly, without those whose replies are kept. Topics and the biography are written from the notes,
so they are asked for again as soon as one note is new; tokens are an estimate from the texts' lengths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.llm_teacher import BIO_NOTES_CHARACTERS, BIO_TOKENS, TeacherPrompts, note_task
from kernel.topic import most_topics

if TYPE_CHECKING:
    from kernel.ids import ElderId, TenantId
    from kernel.language_model import Task
    from kernel.memory import Memories
    from kernel.ports import Replies
    from kernel.progress_tracker import ProgressTracker

CALL_SECONDS = 3.0  #: of one call, as large hosted models take
_REPLY_TOKENS = {"note": 150, "topic": 15}


@dataclass(frozen=True, kw_only=True, slots=True)
class Quote:
    """`model`: the teacher's name; "" for the built-in one, which is asked without calls."""

    model: str
    calls: int
    tokens: int  #: read and written, about
    seconds: float  #: of the whole training, about


def quote_training(
    memories: Memories,
    *,
    model: str,
    prompts: Mapping[str, TeacherPrompts],
    replies: Replies,
    tenant: TenantId,
    elder: ElderId,
    tracker: ProgressTracker,
) -> Quote:
    if not model:
        return Quote(model="", calls=0, tokens=0, seconds=tracker.whole_seconds)
    tasks = [note_task(memory, prompts) for memory in memories.items]
    new = [task for task in tasks if replies.find(tenant, elder, task.key(model)) is None]
    topics = most_topics(len(tasks)) if new else 0
    told = sum(len(memory.answer) for memory in memories.items)
    tokens = sum(_tokens(task) + _REPLY_TOKENS["note"] for task in new)
    if new:
        tokens += topics * _REPLY_TOKENS["topic"] + 2 * min(told, BIO_NOTES_CHARACTERS) // 3 + BIO_TOKENS // 2
    calls = len(new) + topics + bool(new)
    return Quote(model=model, calls=calls, tokens=tokens, seconds=tracker.whole_seconds + CALL_SECONDS * calls)


def _tokens(task: Task) -> int:
    """About: a Latin letter is a quarter of a token, any other character four fifths."""
    text = "".join(message.content for message in task.messages)
    latin = sum(character.isascii() for character in text)
    return int(0.25 * latin + 0.8 * (len(text) - latin))
