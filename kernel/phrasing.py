"""Phrasing: the many ways in which a family may ask, made by rules from the elder's own words.

One class a language (kernel/english.py, kernel/chinese.py), made for one elder's memories. It knows fixed word
lists, nothing of any one elder, and never sees the questions that the family keeps for measuring.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Protocol

from kernel.memory import Memory


class Phrasing(Protocol):
    def questions(self, memory: Memory, count: int, rng: random.Random) -> list[str]:
        """`count` different ways to ask for this memory, the interviewer's own question first."""

    def clauses(self, memory: Memory) -> list[tuple[str, str]]:
        """Plain questions, each with the clause of the memory that answers it, as one says it to the elder."""

    def about(self, name: str, rng: random.Random) -> str:
        """A question about a person, place or thing that the elder named: "Who was Arthur?"."""

    def whole_unanswerable(self) -> list[str]:
        """Generic questions, each as it is asked, whose telling words no memory holds."""

    def unanswerable(self, rng: random.Random) -> list[str]:
        """These and smaller ones, in other words too, in a mixed order, a few hundred at most."""

    def greetings(self) -> list[tuple[str, str]]:
        """Small talk: what the family says, and what the elder answers. It asserts no fact."""

    def self_questions(self) -> list[str]:
        """Ways to ask who the elder is."""


def phrasing_of(language: str, memories: Sequence[Memory]) -> Phrasing:
    from kernel.chinese import ChinesePhrasing
    from kernel.english import EnglishPhrasing

    return ChinesePhrasing(memories) if language == "zh" else EnglishPhrasing(memories)
