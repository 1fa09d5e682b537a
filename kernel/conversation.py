"""Conversations: what a member of the family asked an elder, and was answered.

The tenant's key is who may read; a member is a name that somebody chose, so that each finds their own talks again.
An answer often quotes the memory that it was given: when that memory is taken back, the turn goes with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime

from kernel.ids import ConversationId, ElderId, MemoryId, TurnId
from kernel.language import weight
from kernel.sample import Message

MOST_TURNS = 200  #: of one conversation: with the longest questions and answers a document of 10 MB
TURNS_READ = 5  #: earlier turns that a question is asked with
_TITLE = 60  #: in Latin letters; a Chinese character counts three


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """One question and its answer: all of it, or in a live talk what was said until somebody broke in. What failed is
    not kept."""

    id: TurnId
    question: str
    answer: str
    memory_ids: tuple[MemoryId, ...]  #: what the answer was given
    model: str  #: the version's tag
    is_refused: bool = False  #: nothing fitted, and nothing was generated
    asked_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    id: ConversationId
    elder: ElderId
    member: str
    created_at: datetime
    updated_at: datetime
    turns: tuple[Turn, ...]  #: of a list, the first alone

    @property
    def title(self) -> str:
        return title_of(self.turns[0].question) if self.turns else ""

    @property
    def history(self) -> list[Message]:
        """What the next question is asked with."""
        return [
            message
            for turn in self.turns[-TURNS_READ:]
            for message in (
                Message(role="user", content=turn.question),
                Message(role="assistant", content=turn.answer),
            )
        ]


def title_of(question: str) -> str:
    """The question's first words, in one line."""
    line = " ".join(question.split())
    if weight(line) <= _TITLE:
        return line
    cut = ""
    for character in line:
        if weight(cut + character) > _TITLE:
            break
        cut += character
    is_inside_a_word = line[len(cut)].isascii() and line[len(cut)].isalnum() and " " in cut
    return (cut.rpartition(" ")[0] if is_inside_a_word else cut).rstrip(" ,;:，；：、") + "…"


def turns_of(
    conversation: Conversation, memory_ids: Collection[MemoryId], is_quotation: Callable[[str], bool]
) -> list[TurnId]:
    """The turns that were given one of these memories, or that quote one all the same, as trained weights may."""
    return [
        turn.id
        for turn in conversation.turns
        if not set(turn.memory_ids).isdisjoint(memory_ids) or is_quotation(turn.answer)
    ]
