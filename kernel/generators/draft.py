"""Drafts: what a generator writes, a question and what answers it. kernel/mixture.py puts the prompt around it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel.ids import MemoryId
    from kernel.memory import Memory
    from kernel.prompt import Role
    from kernel.sample import Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Draft:
    """`answer`: "" is the memory's own words; without a memory either, an admission of not remembering."""

    kind: str
    question: str
    memory: Memory | None = None
    answer: str = ""
    quoted: tuple[MemoryId, ...] = ()  #: further memories whose words are in the answer
    history: tuple[Message, ...] = ()  #: what was said before the question
    role: Role = "memory"  #: which system prompt
    is_shown: bool = False  #: with memories in the prompt
    is_reasoned: bool = False  #: step by step
    is_opening: bool = False

    @property
    def asked(self) -> tuple[str, ...]:
        """All that the family says in it."""
        return (*(turn.content for turn in self.history if turn.role == "user"), self.question)
