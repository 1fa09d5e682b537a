"""The Bio (L1): the elder's life in the first, second and third person, tied to its memories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.ids import MemoryId

if TYPE_CHECKING:
    from kernel.memory import Memories
    from kernel.note import Notes
    from kernel.ports import Teacher
    from kernel.topic import Topics


@dataclass(frozen=True, kw_only=True, slots=True)
class Bio:
    elder_name: str
    first_person: str
    second_person: str
    third_person: str
    memory_ids: tuple[MemoryId, ...]


def write_bio(memories: Memories, notes: Notes, topics: Topics, *, teacher: Teacher) -> Bio:
    return teacher.tell_bio(memories, notes, topics)
