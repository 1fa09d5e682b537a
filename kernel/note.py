"""Notes (L1): what one memory says: title, summary, insight, keywords, people, places, dates."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel.ids import MemoryId

if TYPE_CHECKING:
    from kernel.memory import Memories
    from kernel.ports import Teacher


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    memory_id: MemoryId
    title: str
    summary: str
    insight: str
    keywords: tuple[str, ...]
    people: tuple[str, ...]
    places: tuple[str, ...]
    dates: tuple[str, ...]
    text: str  #: the memory's own words, for the graph
    teacher: str  #: who wrote it


@dataclass(frozen=True, kw_only=True, slots=True)
class Notes:
    language: str
    items: tuple[Note, ...]

    def of(self, memories: frozenset[MemoryId]) -> Notes:
        return replace(self, items=tuple(note for note in self.items if note.memory_id in memories))


def write_notes(
    memories: Memories, *, teacher: Teacher, on_progress: Callable[[float], None] = lambda fraction: None
) -> Notes:
    """One note a memory, in the memories' order. `on_progress(fraction)` before each."""
    notes = []
    for number, memory in enumerate(memories.items):
        on_progress(number / len(memories.items))
        notes.append(teacher.write_note(memory))
    return Notes(language=memories.language, items=tuple(notes))
