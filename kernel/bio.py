"""The Bio (L1): the elder's life in the first, second and third person, each sentence tied to its memories."""

from dataclasses import dataclass

from kernel.ids import MemoryId


@dataclass(frozen=True, kw_only=True, slots=True)
class Bio:
    elder_name: str
    first_person: str
    second_person: str
    third_person: str
    memory_ids: tuple[MemoryId, ...]
