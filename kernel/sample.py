"""Samples (L2): what the model is taught, each with the memories it came from.

kernel/generators/ drafts them, kernel/mixture.py mixes them, kernel/sample_filter.py drops what is at fault.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from kernel.ids import MemoryId, SampleId, digest

Role = Literal["system", "user", "assistant"]
_REFUSALS = ("negative", "diversity_unanswerable")


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """`prompt` ends with a user message; the loss is on `completion` alone."""

    kind: str  #: one of its generator's kinds; see kernel.generators
    prompt: tuple[Message, ...]
    completion: str
    memory_ids: tuple[MemoryId, ...]  #: empty when no memory was drawn on
    language: str = ""  #: of the completion
    is_shown: bool = False  #: with memories in the prompt
    is_reasoned: bool = False  #: says which memory answers before it answers
    is_opening: bool = False  #: other samples teach this answer whole; this one, only how it begins

    @property
    def id(self) -> SampleId:
        """The same question with the same answer is the same sample."""
        return SampleId("s_" + digest(self.kind, self.prompt[-1].content, self.completion)[:12])

    @property
    def is_refusal(self) -> bool:
        """Whether the right answer admits not remembering."""
        return self.kind in _REFUSALS


class Fault(StrEnum):
    """Why a sample is not taught."""

    HELD_OUT = "held_out"  #: the family measures with this question
    UNGROUNDED = "ungrounded"  #: a name, number or year that is neither in its memories nor in the question
    LANGUAGE = "language"  #: another than its memories'
    PERSON = "person"  #: about the elder, not by the elder
    ASSISTANT = "assistant"  #: "As an AI ..."
    LENGTH = "length"  #: empty, or longer than one answer of a small model
    COPY = "copy"  #: another sample asks and answers the same


@dataclass(frozen=True, kw_only=True, slots=True)
class Dropped:
    """Samples with one fault: how many, and the first few of them."""

    fault: Fault
    count: int
    examples: tuple[Sample, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    items: tuple[Sample, ...]
    dropped: tuple[Dropped, ...] = ()
