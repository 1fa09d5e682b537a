"""Jobs: one training of one elder, its steps, and its events. The store holds the truth of it.

A job is live while it is queued or training; at most one live job an elder, whichever brain it trains.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from kernel.ids import ElderId, JobId, TenantId

Fact = float | int | str  #: what an event or a running step tells: a number, or a name; never a person's words


class Brain(StrEnum):
    """What is trained: who the family talks with, or who writes notes of what was told."""

    RIGHT = "right"
    LEFT = "left"


class JobStatus(StrEnum):
    QUEUED = "queued"
    TRAINING = "training"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_live(self) -> bool:
        return self in (JobStatus.QUEUED, JobStatus.TRAINING)


class StepState(StrEnum):
    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    SKIPPED = "skipped"  #: its artefact was there and whole
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """One stage of one job."""

    name: str
    state: StepState = StepState.WAITING
    fraction: float = 0.0
    attempts: int = 0
    seconds: float = 0.0
    key: str = ""  #: of the artefact
    digest: str = ""  #: of the artefact's content
    facts: dict[str, Fact] = field(default_factory=dict)  #: epoch, loss, tokens_per_second ...

    @property
    def is_over(self) -> bool:
        return self.state in (StepState.DONE, StepState.SKIPPED)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lease:
    """Who may write, and until when. A worker writes only while its token matches."""

    owner: str
    token: int
    expires_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    id: JobId
    tenant: TenantId
    elder: ElderId
    elder_name: str
    status: JobStatus
    force_retrain: bool
    steps: tuple[Step, ...]
    created_at: datetime
    updated_at: datetime
    brain: Brain = Brain.RIGHT
    lease: Lease | None = None
    is_cancel_requested: bool = False
    version: int | None = None  #: the model version it published, or found unchanged
    error_code: str = ""
    error_details: dict[str, str] = field(default_factory=dict)
    training_file: str = ""  #: that it was started with through OpenAI's interface
    metadata: dict[str, str] = field(default_factory=dict)  #: the client's own, given back as it came

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened to a job, numbered from 1 within the job."""

    number: int
    at: datetime
    kind: str  #: "step.started", "step.done", "step.skipped", "job.completed" ...
    facts: dict[str, Fact]
