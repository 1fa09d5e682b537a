"""Memories: what the elder said, each with an id that stays with everything made from it."""

from dataclasses import dataclass
from datetime import datetime

from kernel.ids import MemoryId


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One document of the `answers` collection, as the family typed it."""

    question: str
    answer: str
    told_at: datetime | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    id: MemoryId
    question: str
    answer: str
    language: str  #: "zh" or "en"
    personal_data: tuple[str, ...]  #: kinds found ("phone", "id_number", "email"), never the values

    @property
    def text(self) -> str:
        """What a prompt shows and retrieval reads."""
        return self.answer


@dataclass(frozen=True, kw_only=True, slots=True)
class Memories:
    elder_name: str
    language: str  #: the language most memories are told in
    items: tuple[Memory, ...]
