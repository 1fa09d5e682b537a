"""Extraction: the entities that a teacher finds in one note, and how they are related.

An entity stays only where the memory names it; what is said of it only where every name, number and year is the
memory's, and the memory's own sentence stands in its place otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from kernel.graph import EntityType
from kernel.grounding import unsupported
from kernel.ids import MemoryId
from kernel.language import detect_language, names, sentences
from kernel.language_model import Schema

if TYPE_CHECKING:
    from kernel.note import Note, Notes
    from kernel.ports import EntityFinder, Teacher

LONGEST_TITLE = 60  #: characters
MOST_ENTITIES = 40  #: of one note
STRONGEST = 10  #: on the teacher's scale

_TEXT: Mapping[str, object] = {"type": "string"}


def _rows(**properties: object) -> Mapping[str, object]:
    row = {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}
    return {"type": "array", "items": row}


EXTRACTION = Schema(
    name="entities",
    properties={
        "entities": _rows(name=_TEXT, type={"type": "string", "enum": [*EntityType]}, description=_TEXT),
        "relationships": _rows(source=_TEXT, target=_TEXT, description=_TEXT, strength={"type": "integer"}),
    },
)
_DETERMINER = re.compile(r"^(?:the|an?|my|our|his|her|their|its)\s+|['’]s$", re.I)
_NO_NAMES = frozenset(
    """the a an my our this that i me we us you he him she it they them myself narrator speaker
    我 我们 咱 咱们 你 您 他 她 它 他们 她们 自己 老人""".split()
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """An entity by its words as they stand in the memory, and what the memory says of it."""

    title: str
    type: EntityType
    description: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Tie:
    source: str  #: titles of two entities of the same reading
    target: str
    description: str
    strength: int  #: 1-10


@dataclass(frozen=True, kw_only=True, slots=True)
class Reading:
    """What a teacher found in one note; with no entities the note is left to the offline finder."""

    memory_id: MemoryId
    entities: tuple[Found, ...] = ()
    ties: tuple[Tie, ...] = ()
    has_failed: bool = False  #: it could not be read, or nothing that it said is in the memory


def read_notes(
    notes: Notes, *, teacher: Teacher, on_progress: Callable[[int, int], None] = lambda read, failed: None
) -> list[Reading]:
    """In the notes' order. `on_progress(read, failed)` after each."""
    readings: list[Reading] = []
    for note in notes.items:
        readings.append(teacher.find_entities(note, detect_language(note.text, notes.language)))
        on_progress(len(readings), sum(one.has_failed for one in readings))
    return readings


def believed(told: Mapping[str, object], note: Note, *, language: str, finder: EntityFinder) -> Reading:
    """`told`: a reply that fits `EXTRACTION`."""

    def said(description: str, *titles: str) -> str:
        """The teacher's words where the memory bears them, otherwise its first sentence that names them all."""
        if description and not unsupported(description, note.text, language=language, finder=finder):
            return description
        return next((one for one in sentences(note.text) if all(names(one, title) for title in titles)), "")

    entities: dict[str, Found] = {}
    rows = cast(list[Mapping[str, str]], told["entities"])
    for row in rows[:MOST_ENTITIES]:
        title = _bare(row["name"])
        if _is_named(title, note.text) and title.casefold() not in entities:
            description = said(row["description"].strip(), title)
            entities[title.casefold()] = Found(title=title, type=EntityType(row["type"]), description=description)
    ties: dict[frozenset[str], Tie] = {}
    for tie in cast(list[Mapping[str, str]], told["relationships"]):
        ends = [entities.get(_bare(tie[end]).casefold()) for end in ("source", "target")]
        if ends[0] is None or ends[1] is None or ends[0] == ends[1]:
            continue
        source, target = ends[0].title, ends[1].title
        if (pair := frozenset((source, target))) not in ties and (words := said(tie["description"], source, target)):
            strength = min(max(int(tie["strength"]), 1), STRONGEST)
            ties[pair] = Tie(source=source, target=target, description=words, strength=strength)
    return Reading(
        memory_id=note.memory_id,
        entities=tuple(entities.values()),
        ties=tuple(ties.values()),
        has_failed=bool(rows) and not entities,
    )


def _bare(name: str) -> str:
    """ "the Kittiwake" and "Kittiwake" are one."""
    name = " ".join(name.split())
    while (bare := _DETERMINER.sub("", name)) != name:
        name = bare
    return name


def _is_named(title: str, text: str) -> bool:
    return 0 < len(title) <= LONGEST_TITLE and title.casefold() not in _NO_NAMES and names(text, title)
