"""The timeline: what the memories date, each in the words that say when.

Nothing is reckoned: not from an age, not from another memory. What has no year in its words has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.ids import MemoryId
from kernel.language import names, sentences
from kernel.told_time import month_of, told_times, year_of

if TYPE_CHECKING:
    from kernel.graph import Entity, EntityGraph
    from kernel.note import Note, Notes

LATER = 10_000  #: the year of what has none, when sorting


@dataclass(frozen=True, kw_only=True, slots=True)
class Happening:
    """One sentence of a memory that says when something was."""

    told: str  #: when, as it was told: "September 1961", "一九五六年八月", "the year of the flood"
    year: int | None  #: in those words
    text: str  #: the sentence
    titles: tuple[str, ...]  #: of the graph's entities that it names, but for times
    memory_id: MemoryId


def find_happenings(notes: Notes, graph: EntityGraph) -> tuple[Happening, ...]:
    """In the order they were told."""
    return tuple(one for note in notes.items for one in _of_note(note, graph))


def in_order(happenings: Sequence[Happening]) -> tuple[Happening, ...]:
    """By year and month; what has no year comes last. Equals stay as they are."""
    return tuple(sorted(happenings, key=lambda one: (one.year if one.year is not None else LATER, month_of(one.told))))


def _is_named(entity: Entity, sentence: str, text: str) -> bool:
    """A person of this memory whose whole name is nowhere in it is there by the first: "Arthur died in 2009"."""
    title = entity.title
    if entity.type == "person" and not names(text, title):
        title = title.split()[0]
    return names(sentence, title)


def _of_note(note: Note, graph: EntityGraph) -> list[Happening]:
    entities = graph.entities_of(note.memory_id)
    return [
        Happening(
            told=told,
            year=year_of(told),
            text=sentence,
            titles=tuple(one.title for one in entities if one.type != "time" and _is_named(one, sentence, note.text)),
            memory_id=note.memory_id,
        )
        for sentence in sentences(note.text)
        for told in told_times(sentence)
    ]
