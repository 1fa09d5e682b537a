"""The judge: is a sample's own answer better than another, by how much, and what is wrong with the other?

The grounded judge scores both by what is in the memories. It needs no model and cannot prefer a position.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kernel.admission import admits_not_remembering
from kernel.language import tokens

if TYPE_CHECKING:
    from kernel.bio import Bio
    from kernel.graph import EntityGraph
    from kernel.note import Notes
    from kernel.sample import Sample

MARGIN = 0.2  #: a smaller difference of scores is a tie

Reason = Literal["invents", "forgets", "refuses", "incomplete", "cold"]
Corrected = Literal["corrected"]  #: by the family, which no judge says


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """Scores of both answers by the judge, 0-1, and what the rejected one did."""

    chosen_score: float
    rejected_score: float
    reason: Reason | Corrected
    judge: str = ""  #: its name


@dataclass(frozen=True, kw_only=True, slots=True)
class Background:
    """What is known of the life: what a judge sees besides the two answers."""

    bio: Bio
    notes: Notes
    graph: EntityGraph


class GroundedJudge:
    """Implements kernel.ports.Judge."""

    name = "grounded/1"

    def verdict(self, sample: Sample, rejected: str, background: Background) -> Verdict | None:
        """None for a tie."""
        known = _known_words(background)
        good, bad = _score(sample.completion, sample, known), _score(rejected, sample, known)
        if good - bad < MARGIN:
            return None
        return Verdict(
            chosen_score=round(good, 3),
            rejected_score=round(bad, 3),
            reason=_reason(rejected, sample),
            judge=self.name,
        )


def _score(answer: str, sample: Sample, known: frozenset[str]) -> float:
    """0-1. Unanswerable: does it admit it? Answerable: half for the share of the truth that it tells, half for
    the share of what it tells that is the elder's (in the true answer, or in the question and known of the life)."""
    admits = admits_not_remembering(answer)
    if sample.is_refusal:
        return 1.0 if admits else 0.0
    if admits:
        return 0.0
    truth, said = set(tokens(sample.completion)), set(tokens(answer))
    asked = set(tokens(sample.prompt[-1].content))
    told = len(truth & said) / len(truth) if truth else 1.0
    supported = len({word for word in said if word in truth or (word in asked and word in known)})
    return 0.5 * told + 0.5 * (supported / len(said) if said else 0.0)


def _reason(rejected: str, sample: Sample) -> Reason:
    if sample.is_refusal:
        return "invents"
    if admits_not_remembering(rejected):
        return "refuses"
    truth, said = set(tokens(sample.completion)), set(tokens(rejected))
    return "incomplete" if said <= truth else "forgets"


def _known_words(background: Background) -> frozenset[str]:
    titles = (word for entity in background.graph.entities for word in tokens(entity.title))
    return frozenset(tokens(background.bio.first_person)) | frozenset(titles)
