"""Questions: how a family may ask for a memory, what it may ask near it that the memory does not answer, and for what
it may need it.

A teacher that is a model thinks of them; the built-in one leaves them to the phrasing of each language. Neither sees
the questions that the family keeps for measuring.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.ids import MemoryId
from kernel.language import detect_language, weight

if TYPE_CHECKING:
    from kernel.memory import Memories
    from kernel.ports import Teacher

SHORTEST, LONGEST = 8, 240  #: of a question, in Latin letters; a Chinese character counts three


@dataclass(frozen=True, kw_only=True, slots=True)
class Questions:
    memory_id: MemoryId
    answered: tuple[str, ...] = ()
    unanswered: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()  #: what somebody wants to do that the memory bears on


def think_of_questions(
    memories: Memories, *, teacher: Teacher, on_progress: Callable[[float], None] = lambda fraction: None
) -> list[Questions]:
    """`on_progress(fraction)` before each memory."""
    found = []
    for number, memory in enumerate(memories.items):
        on_progress(number / len(memories.items))
        found.append(teacher.think_of_questions(memory))
    return found


def fitting(texts: Iterable[str], language: str) -> tuple[str, ...]:
    """Those that are one question of a sensible length in the memory's language, each once."""
    return tuple(text for text in fitting_needs(texts, language) if _is_one(text))


def fitting_needs(texts: Iterable[str], language: str) -> tuple[str, ...]:
    """Those of a sensible length in the memory's language, each once."""
    return tuple(dict.fromkeys(text for text in map(_tidy, texts) if _is_sensible(text, language)))


def _tidy(text: str) -> str:
    return " ".join(text.split())


def _is_one(text: str) -> bool:
    return text.endswith(("?", "？")) and sum(text.count(mark) for mark in "?？") == 1


def _is_sensible(text: str, language: str) -> bool:
    return SHORTEST <= weight(text) <= LONGEST and detect_language(text, language) == language
