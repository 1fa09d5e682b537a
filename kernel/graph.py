"""The entity graph: who, where, when and what, how they hang together, and which memory says so.

Generators, judge and chat read it through the methods of `EntityGraph`.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from typing import TypeVar

from kernel.ids import MemoryId
from kernel.timeline import Happening, in_order


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


_Described = TypeVar("_Described", Entity, Relationship)


@dataclass(frozen=True, kw_only=True, slots=True)
class Community:
    level: int
    titles: tuple[str, ...]  #: of its entities
    memory_ids: tuple[MemoryId, ...]


@dataclass(frozen=True, kw_only=True)
class EntityGraph:
    """Sorted, with no generated ids, so that the same notes give the same bytes. Titles are upper case; a method
    takes one in any case."""

    entities: tuple[Entity, ...]
    relationships: tuple[Relationship, ...]
    communities: tuple[Community, ...]
    happenings: tuple[Happening, ...] = ()  #: in the order they were told
    failed_memory_ids: tuple[MemoryId, ...] = ()  #: notes that a teacher gave up on, or else the offline finder

    def entity(self, title: str) -> Entity | None:
        return self._by_title.get(title.upper())

    def neighbours(self, title: str) -> tuple[str, ...]:
        """Titles one relationship away from `title`, heaviest first."""
        title = title.upper()
        near = [
            (-edge.weight, edge.target if edge.source == title else edge.source)
            for edge in self.relationships_of(title)
        ]
        return tuple(name for _, name in sorted(near))

    def memories_of(self, title: str) -> tuple[MemoryId, ...]:
        """The memories, one a note, that name the entity; none for a title that is not there."""
        entity = self.entity(title)
        return entity.memory_ids if entity else ()

    def entities_of(self, *memories: MemoryId) -> tuple[Entity, ...]:
        """What any of these memories names, sorted by title."""
        found = {entity.title: entity for memory in memories for entity in self._by_memory.get(memory, ())}
        return tuple(found[title] for title in sorted(found))

    def told_by_alone(self, memory: MemoryId) -> tuple[Entity, ...]:
        """What this memory names and no other does."""
        return tuple(entity for entity in self.entities_of(memory) if len(entity.memory_ids) == 1)

    def relationships_of(self, *titles: str) -> tuple[Relationship, ...]:
        """Those with one of these entities at an end, in the graph's order."""
        numbers = {number for title in titles for number in self._edges.get(title.upper(), ())}
        return tuple(self.relationships[number] for number in sorted(numbers))

    def communities_of(self, title: str) -> tuple[Community, ...]:
        """From the widest to the closest."""
        return tuple(one for one in self.communities if title.upper() in one.titles)

    def timeline(self) -> tuple[Happening, ...]:
        """By year; what was told without one comes last, in the order it was told."""
        return in_order(self.happenings)

    def told_in(self, memories: frozenset[MemoryId]) -> EntityGraph:
        """What these memories alone tell of it."""
        entities = [_told_in(one, memories) for one in self.entities if not memories.isdisjoint(one.memory_ids)]
        titles = {one.title for one in entities}
        return replace(
            self,
            entities=tuple(entities),
            relationships=tuple(
                _told_in(one, memories) for one in self.relationships if not memories.isdisjoint(one.memory_ids)
            ),
            communities=tuple(
                replace(
                    one,
                    titles=tuple(title for title in one.titles if title in titles),
                    memory_ids=_held(one.memory_ids, memories),
                )
                for one in self.communities
                if not memories.isdisjoint(one.memory_ids)
            ),
            happenings=tuple(one for one in self.happenings if one.memory_id in memories),
            failed_memory_ids=_held(self.failed_memory_ids, memories),
        )

    @cached_property
    def _by_title(self) -> dict[str, Entity]:
        return {entity.title: entity for entity in self.entities}

    @cached_property
    def _by_memory(self) -> dict[MemoryId, list[Entity]]:
        found: dict[MemoryId, list[Entity]] = defaultdict(list)
        for entity in self.entities:
            for memory in entity.memory_ids:
                found[memory].append(entity)
        return found

    @cached_property
    def _edges(self) -> dict[str, list[int]]:
        """Numbers of the relationships at each title."""
        found: dict[str, list[int]] = defaultdict(list)
        for number, edge in enumerate(self.relationships):
            found[edge.source].append(number)
            found[edge.target].append(number)
        return found


def _told_in(one: _Described, memories: frozenset[MemoryId]) -> _Described:
    """A description that may be another memory's is left out."""
    held = _held(one.memory_ids, memories)
    return replace(one, memory_ids=held, description=one.description if held == one.memory_ids else "")


def _held(ids: tuple[MemoryId, ...], memories: frozenset[MemoryId]) -> tuple[MemoryId, ...]:
    return tuple(one for one in ids if one in memories)
