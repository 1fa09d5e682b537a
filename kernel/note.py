"""Notes (L1): what one memory says, pulled apart: title, summary, insight, keywords, people, places, dates."""

from dataclasses import dataclass

from kernel.ids import MemoryId


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Notes:
    language: str
    items: tuple[Note, ...]
