"""Preference pairs (L2, DPO): two answers to one prompt, and why one is better."""

from dataclasses import dataclass
from typing import Literal

from kernel.ids import MemoryId
from kernel.sample import Message

Source = Literal["reference", "sft", "base", "adversarial", "rule"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """An answer that some model or rule gave to sample number `sample`."""

    sample: int
    source: Source
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Scores of both answers by the judge, 0-1, and the reason in one word."""

    chosen_score: float
    rejected_score: float
    reason: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePair:
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    rejected_source: Source
    verdict: Verdict  #: why chosen won
    memory_ids: tuple[MemoryId, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    items: tuple[PreferencePair, ...]
    ties_dropped: int
