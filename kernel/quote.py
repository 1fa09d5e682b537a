"""The quote: what a training will ask its teacher, and how long it will take, told before it begins.

Notes, entities and questions are counted exactly, without those whose replies are kept. Topics, the biography and what
is judged come after them: without a biography of just these memories they are counted anew. Tokens are an estimate
from lengths.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.job import Brain
from kernel.language import detect_language
from kernel.language_model import Outcome
from kernel.llm_teacher import (
    BIO_NOTES_CHARACTERS,
    BIO_TOKENS,
    TeacherPrompts,
    entities_task,
    note_task,
    questions_task,
)
from kernel.memory import parts
from kernel.pair import most_asked
from kernel.topic import most_topics

if TYPE_CHECKING:
    from kernel.ids import ElderId, TenantId
    from kernel.language_model import Task
    from kernel.memory import Memories, Memory
    from kernel.ports import Replies
    from kernel.progress_tracker import ProgressTracker

CALL_SECONDS = 3.0  #: of one call, as large hosted models take
_REPLY_TOKENS = {"note": 150, "entities": 300, "questions": 200, "topic": 15}
_JUDGE_TOKENS = (
    450  #: of one judgement: the biography's beginning, notes, the question with what was shown, two answers
)


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
    max_pairs: int,
    brain: Brain = Brain.RIGHT,
) -> Quote:
    """`max_pairs`: of the DPO stage. Each candidate is judged twice at most, in either order. A left brain needs notes
    alone."""
    seconds = tracker.whole_seconds(brain, told=sum(len(parts(memory)) for memory in memories.items))
    if not model:
        return Quote(model="", calls=0, tokens=0, seconds=seconds)
    notes = [note_task(memory, prompts) for memory in memories.items]
    tasks = notes
    if brain is not Brain.LEFT:
        tasks = [
            *notes,
            *(_entities_task(memory, memories.language, prompts) for memory in memories.items),
            *(questions_task(memory, prompts) for memory in memories.items),
        ]
    kept = [call for call in replies.calls(tenant, elder) if call.model == model and call.outcome is Outcome.REPLIED]
    known = {call.task.key(model) for call in kept}
    new = [task for task in tasks if task.key(model) not in known]
    if brain is Brain.LEFT:
        told = sum(_tokens(task) + _REPLY_TOKENS[task.purpose] for task in new)
        return Quote(model=model, calls=len(new), tokens=told, seconds=seconds + CALL_SECONDS * len(new))
    ids = tuple(memory.id for memory in memories.items)
    has_bio = not new and any(call.task.purpose == "bio" and call.task.memory_ids == ids for call in kept)
    topics = 0 if has_bio else most_topics(len(notes))
    told = sum(len(memory.answer) for memory in memories.items)
    tokens = sum(_tokens(task) + _REPLY_TOKENS[task.purpose] for task in new)
    if not has_bio:
        tokens += topics * _REPLY_TOKENS["topic"] + 2 * min(told, BIO_NOTES_CHARACTERS) // 3 + BIO_TOKENS // 2
    judged = 0 if has_bio else 2 * most_asked(max_pairs)
    tokens += judged * _JUDGE_TOKENS
    calls = len(new) + topics + (not has_bio) + judged
    return Quote(model=model, calls=calls, tokens=tokens, seconds=seconds + CALL_SECONDS * calls)


def _entities_task(memory: Memory, language: str, prompts: Mapping[str, TeacherPrompts]) -> Task:
    return entities_task(memory.id, memory.answer, detect_language(memory.answer, language), prompts)


def _tokens(task: Task) -> int:
    """About, with the schema: a Latin letter is a quarter of a token, any other character four fifths."""
    text = "".join([*(message.content for message in task.messages), json.dumps(task.schema.as_json())])
    latin = sum(character.isascii() for character in text)
    return int(0.25 * latin + 0.8 * (len(text) - latin))
