"""The gate: may a new version take the place of the one in use?

It may when, as the family talks with it (trained, with retrieval), it is no worse than the version in use, where both
were asked the same questions; nor than the untrained base with retrieval, in what the version in use is no worse in
either. Measured are recall, honesty and invention. Worse is what chance does not explain: of n questions a share moves
by 1/sqrt(n) (two standard errors at most), so 84 questions allow 0.11 and 20 allow 0.22.

What the family praised or corrected is asked again and reported; one answer more or less decides nothing, as the
facts that it must hold are found by rules. General ability is reported, too, and decides nothing: the model is there to
tell a life.

The first version has nothing to take the place of. And one that knows what the family has taken back must go,
whatever its successor is worth. What is published so is compared with the base all the same, and the family is told.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kernel.evaluation import ArmScore, Report
    from kernel.memory import Memories
    from kernel.version import ModelVersion


@dataclass(frozen=True, kw_only=True, slots=True)
class Shortfall:
    """Where the new version is worse."""

    measure: str  #: "recall", "honesty" or "invention"
    got: float
    wanted: float  #: at least; of invention, at most
    against: str  #: "in_use" or "base"


def shortfall(report: Report, in_use: ModelVersion | None, memories: Memories) -> Shortfall | None:
    """The first measure that fails; None lets the new version pass."""
    told = {memory.id for memory in memories.items}
    if in_use is None or not in_use.memory_ids or not told.issuperset(in_use.memory_ids):
        return None
    new, base = _arm(report.arms, "trained+retrieval"), _arm(report.arms, "base+retrieval")
    old = _arm(in_use.arms, "trained+retrieval")
    if old and new and in_use.questions == report.questions:
        for measure, got, wanted in _compared(new, old, report):
            return Shortfall(measure=measure, got=got, wanted=wanted, against="in_use")
    if old and new and base:
        worse_already = {measure for measure, _, _ in _compared(old, base, report)}
        return next((one for one in worse_than_base(report) if one.measure not in worse_already), None)
    return None


def worse_than_base(report: Report) -> list[Shortfall]:
    """Where the new version is worse than the untrained base with the same memories."""
    new, base = _arm(report.arms, "trained+retrieval"), _arm(report.arms, "base+retrieval")
    compared = _compared(new, base, report) if new and base else ()
    return [Shortfall(measure=measure, got=got, wanted=wanted, against="base") for measure, got, wanted in compared]


def regressed(report: Report) -> tuple[str, ...]:
    """The questions that the family was pleased with, or mended, and that this version answers wrongly."""
    return tuple(result.question for result in report.regressions if not result.is_right)


def _arm(arms: Sequence[ArmScore], name: str) -> ArmScore | None:
    return next((arm for arm in arms if arm.arm == name), None)


def _compared(new: ArmScore, rival: ArmScore, report: Report) -> Iterator[tuple[str, float, float]]:
    """What is worse: the measure, what it is, and what it would have to be."""
    for measure, count in (("recall", report.answerable), ("honesty", report.unanswerable)):
        got, others = getattr(new, measure), getattr(rival, measure)
        if got is not None and others is not None and got < others - _chance(count):
            yield measure, got, round(others - _chance(count), 4)
    most = rival.invention + _chance(report.answerable + report.unanswerable)
    if new.invention > most:
        yield "invention", new.invention, round(most, 4)


def _chance(count: int) -> float:
    return 1 / math.sqrt(count) if count else 1.0
