"""The entity graph: who, where, when and what, how they hang together, and which memory says so."""

from dataclasses import dataclass
from enum import StrEnum

from kernel.ids import MemoryId


class EntityType(StrEnum):
    PERSON = "person"
    PLACE = "place"
    EVENT = "event"
    TIME = "time"
    OBJECT = "object"
    ORGANISATION = "organisation"


@dataclass(frozen=True, kw_only=True, slots=True)
class Entity:
    title: str
    type: EntityType
    description: str
    memory_ids: tuple[MemoryId, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Relationship:
    source: str
    target: str
    description: str
    weight: float
    memory_ids: tuple[MemoryId, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Community:
    level: int
    titles: tuple[str, ...]  #: of its entities
    memory_ids: tuple[MemoryId, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class EntityGraph:
    """Sorted, with no generated ids, so that the same notes give the same bytes."""

    entities: tuple[Entity, ...]
    relationships: tuple[Relationship, ...]
    communities: tuple[Community, ...]
    failed_memory_ids: tuple[MemoryId, ...] = ()  #: notes the extraction gave up on

    def neighbours(self, title: str) -> tuple[str, ...]:
        """Titles one relationship away from `title`, heaviest first."""
        near = [
            (-edge.weight, edge.target if edge.source == title else edge.source)
            for edge in self.relationships
            if title in (edge.source, edge.target)
        ]
        return tuple(name for _, name in sorted(near))
