"""The progress tracker: how far a job is, and how long it will take.

A stage weighs as many seconds as it took in the elder's last completed job of the same brain; before there is one, as
it took on the sample elder (40 memories, SmolLM2-135M, two cores).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kernel.job import Brain, Job, JobStatus, Step, StepState

TYPICAL_SECONDS = {
    Brain.RIGHT: {
        "collect_memories": 1.0,
        "write_notes": 4.0,
        "find_topics": 2.0,
        "write_bio": 1.0,
        "index_graph": 14.0,
        "make_samples": 10.0,
        "train_sft": 580.0,
        "make_pairs": 40.0,
        "train_dpo": 40.0,
        "merge": 7.0,
        "convert_gguf": 30.0,
        "evaluate": 266.0,
        "publish": 2.0,
    },
    Brain.LEFT: {
        "collect_memories": 1.0,
        "write_notes": 4.0,
        "collect_extractions": 2.0,
        "hold_out": 1.0,
        "train_sft": 90.0,
        "merge": 13.0,
        "convert_gguf": 35.0,
        "evaluate_extraction": 30.0,
        "publish": 1.0,
    },
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    percent: int  #: 0-100
    eta_seconds: float | None  #: None when the job is over
    current_epoch: int
    total_epochs: int
    loss: float | None
    tokens_per_second: float | None


TYPICAL_PARTS = 42  #: of memories, that the sample elder's training learns; see kernel.memory.parts


class ProgressTracker:
    """Made for one elder; `past` are the elder's earlier jobs, newest first."""

    def __init__(self, past: Sequence[Job] = ()) -> None:
        self._known = {brain: _measured(past, brain) for brain in Brain}
        self._seconds = {brain: TYPICAL_SECONDS[brain] | self._known[brain] for brain in Brain}

    def whole_seconds(self, brain: Brain = Brain.RIGHT, *, told: int = TYPICAL_PARTS) -> float:
        """Of all stages, when none can be skipped. `told`: parts of memories; a first SFT takes in proportion."""
        more = 0 if "train_sft" in self._known[brain] else told / TYPICAL_PARTS - 1
        return sum(self._seconds[brain].values()) + more * self._seconds[brain]["train_sft"]

    def progress(self, job: Job) -> Progress:
        seconds = self._seconds[job.brain]
        done = sum(seconds[step.name] * _fraction(step) for step in job.steps)
        whole = sum(seconds[step.name] for step in job.steps)
        training = _latest_with(job, "epochs")
        return Progress(
            percent=100 if job.status is JobStatus.COMPLETED else min(99, int(100 * done / whole)),
            eta_seconds=self._remaining(job) if job.status.is_live else None,
            current_epoch=int(training.get("epoch", 0)),
            total_epochs=int(training.get("epochs", 0)),
            loss=_number(training.get("loss")),
            tokens_per_second=_number(training.get("tokens_per_second")),
        )

    def _remaining(self, job: Job) -> float:
        return round(sum(self._left(step, self._seconds[job.brain]) for step in job.steps), 1)

    @staticmethod
    def _left(step: Step, seconds: Mapping[str, float]) -> float:
        if step.is_over:
            return 0.0
        said = _number(step.facts.get("eta_seconds")) if step.state is StepState.RUNNING else None
        return said if said is not None else seconds[step.name] * (1 - step.fraction)


def _measured(past: Sequence[Job], brain: Brain) -> dict[str, float]:
    done = next((job for job in past if job.brain is brain and job.status is JobStatus.COMPLETED), None)
    steps = done.steps if done else ()
    return {step.name: step.seconds for step in steps if step.state is StepState.DONE and step.seconds}


def eta_words(seconds: float | None, language: str) -> str:
    """ "5分钟", "5 minutes"; "" when nothing is left to wait for."""
    if seconds is None:
        return ""
    minutes = round(seconds / 60)
    if minutes < 1:
        return "不到1分钟" if language == "zh" else "less than a minute"
    if language == "zh":
        return f"{minutes}分钟"
    return f"{minutes} minute{'s' if minutes > 1 else ''}"


def _fraction(step: Step) -> float:
    return 1.0 if step.is_over else step.fraction


def _latest_with(job: Job, fact: str) -> dict[str, float | int | str]:
    return next((step.facts for step in reversed(job.steps) if fact in step.facts), {})


def _number(value: float | int | str | None) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None
