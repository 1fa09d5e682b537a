"""The runner: takes one job through the stages of one queue. The job says which brain's list of stages it goes through.

    claim the lease -> for each stage: skip it if its artefact is whole, else run it aside and commit
                    -> at a stage of another queue, give the lease back and ring there
                    -> at the end, finish

Whatever kills it in between, the next runner finds the finished artefacts and goes on. A step that is over
names its artefact; if that has gone or rotted since, the step is done again. So it is by another job where the teacher
left something to the built-in one: what it replied is kept, and only the rest is asked for.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from traceback import format_tb
from typing import Any

import structlog

from adapters.artifacts import ArtifactStore, Place
from kernel.artifact import StoredArtifact, artifact_key
from kernel.errors import (
    Cancelled,
    HeirloomError,
    LeaseLost,
    QueueUnavailable,
    StageFailed,
    StageKeepsDying,
    Transient,
)
from kernel.job import Brain, Fact, Job, JobStatus, Step, StepState
from kernel.left_brain_pipeline import PIPELINES
from kernel.pipeline import Desk, Stage
from kernel.ports import Clock, Doorbell, Jobs
from workers.desk import DeskMaker
from workers.lease import HeldLease, LeaseTerms

log = structlog.get_logger(__name__)

_WEIGHTS = {"merge": 4, "convert_gguf": 6, "train_sft": 2, "train_dpo": 2}  #: bytes of disk a parameter needs
_SPARE_BYTES = 100_000_000


@dataclass(frozen=True, kw_only=True)
class Runner:
    jobs: Jobs
    artifacts: ArtifactStore
    doorbell: Doorbell
    desks: DeskMaker
    terms: LeaseTerms
    max_attempts: int
    owner: str
    clock: Clock
    pipelines: Mapping[Brain, tuple[Stage, ...]] = field(default_factory=lambda: PIPELINES)

    def advance(self, job: Job, queue: str) -> None:
        """Take the job as far as `queue` goes. Nothing happens when another worker holds it."""
        held = self.jobs.claim(job.tenant, job.id, owner=self.owner, now=self.clock(), ttl=self.terms.ttl)
        if held is None:
            return
        structlog.contextvars.bind_contextvars(job=job.id, elder=job.elder, token=held.lease.token)
        with HeldLease(held, self.jobs, terms=self.terms, clock=self.clock) as lease:
            try:
                next_queue = self._until_the_queue_ends(lease, queue)
            except LeaseLost:
                log.warning("job.lease_lost")
                return
        if next_queue:
            self._ring(job, next_queue)

    def _until_the_queue_ends(self, lease: HeldLease, queue: str) -> str:
        """The queue to ring next; "" when the job is over. Raises LeaseLost."""
        try:
            lease.check()
            work = _Work(runner=self, lease=lease, desk=self.desks.desk(lease.job, lease.report, lease.pause))
            while (stage := work.next_stage()) is not None:
                if stage.queue != queue:
                    self._give_back(lease)
                    return stage.queue
                work.do(stage)
            version = work.version()
            lease.hold()
            lease.patiently(lambda: self._tidy(lease.job, version))  # while the lease is held: nobody else writes there
            self._finish(lease, JobStatus.COMPLETED, version=version)
            return ""
        except LeaseLost:
            raise
        except HeirloomError as error:
            wrong = error
        except Exception as error:
            # The message may hold a person's words; where it happened does not.
            log.error("job.broke", error=type(error).__name__, where=format_tb(error.__traceback__)[-3:])
            name = lease.step.name if lease.step else "?"
            wrong = StageFailed(stage=name, reason=f"unexpected {type(error).__name__}; see the worker's log")
        # No longer in the handler: what is raised from here on would carry the message along, and into the log.
        if isinstance(wrong, Transient):
            return self._try_again_later(lease, wrong, queue)
        self._finish(lease, JobStatus.CANCELLED if isinstance(wrong, Cancelled) else JobStatus.FAILED, error=wrong)
        return ""

    def _try_again_later(self, lease: HeldLease, error: Transient, queue: str) -> str:
        """Leave the job to the sweep, which rings after its grace; too many times is a failure."""
        step = lease.step
        if step is None or step.attempts >= self.max_attempts:
            self._finish(lease, JobStatus.FAILED, error=error)
            return ""
        log.warning("step.waits", step=step.name, error=error.code, attempt=step.attempts)
        self.event(lease.job, "step.waits", step=step.name, error=error.code, attempt=step.attempts)
        lease.end(replace(step, state=StepState.WAITING, fraction=0.0))
        self._give_back(lease)
        return ""

    def _give_back(self, lease: HeldLease) -> None:
        job = lease.job
        lease.patiently(lambda: self.jobs.release(job.tenant, job.id, token=lease.token, now=self.clock()))

    def _finish(
        self,
        lease: HeldLease,
        status: JobStatus,
        *,
        version: int | None = None,
        error: HeirloomError | None = None,
    ) -> None:
        job = lease.job
        if lease.step is not None:
            state = StepState.CANCELLED if status is JobStatus.CANCELLED else StepState.FAILED
            lease.end(replace(lease.step, state=state))
        outcome = replace(
            job,
            status=status,
            version=version,
            error_code=error.code if error else "",
            error_details={name: str(value) for name, value in error.details.items()} if error else {},
        )
        lease.patiently(
            lambda: self.jobs.finish(job.tenant, job.id, token=lease.token, now=self.clock(), outcome=outcome)
        )
        facts: dict[str, Fact] = {"error": error.code} if error else {"version": version or 0}
        self.event(job, f"job.{status.value}", **facts)
        log.info(f"job.{status.value}", **facts)

    def _tidy(self, job: Job, version: int) -> None:
        """Keep, of each brain, what the last two completed jobs and the one that made what is in use have made."""
        jobs = [
            replace(one, status=JobStatus.COMPLETED, version=version) if one.id == job.id else one
            for one in self.jobs.of_elder(job.tenant, job.elder)
        ]
        kept: list[Job] = []
        for brain in Brain:
            completed = [one for one in jobs if one.brain is brain and one.status is JobStatus.COMPLETED]
            in_use = completed[0].version if completed else None
            kept += [*completed[:2], *[one for one in completed if one.version == in_use][-1:]]
        self.artifacts.tidy(job.tenant, job.elder, {step.key for one in kept for step in one.steps})

    def event(self, job: Job, kind: str, **facts: Fact) -> None:
        self.jobs.add_event(job.tenant, job.id, kind=kind, at=self.clock(), facts=facts)

    def _ring(self, job: Job, queue: str) -> None:
        try:
            self.doorbell.ring(job.tenant, job.id, queue)
        except QueueUnavailable:
            log.warning("doorbell.unavailable", job=job.id)  # the sweep rings again


@dataclass
class _Work:
    """One claim's work on one job: which stages are left, and the artefacts of those that are not."""

    runner: Runner
    lease: HeldLease
    desk: Desk

    def __post_init__(self) -> None:
        self._pipeline = self.runner.pipelines[self.lease.job.brain]
        self._steps = {step.name: step for step in self.lease.job.steps}
        self._loaded: dict[str, Any] = {}

    def next_stage(self) -> Stage | None:
        """The first stage that is not over, or whose artefact has gone."""
        for stage in self._pipeline:
            step = self._steps[stage.name]
            if not (step.is_over and self.runner.artifacts.exists(self._place(stage), step.key)):
                return stage
        return None

    def do(self, stage: Stage) -> None:
        self.lease.check()
        inputs = self._inputs(stage)
        if inputs is None:
            return  # an artefact it reads has rotted: next_stage names the one to make again
        digests = {name: stored.manifest.digest for name, stored in inputs.items()}
        key = artifact_key(stage.name, stage.version, stage.settings(self.desk), digests)
        desk = replace(self.desk, key=key)
        if self._can_skip(stage, key, desk):
            return
        self._run(stage, key, desk, inputs)

    def version(self) -> int:
        """The version that the publish stage made or found."""
        return int(self._value(self._pipeline[-1]).number)

    def _can_skip(self, stage: Stage, key: str, desk: Desk) -> bool:
        step = self._steps[stage.name]
        is_forced = self.lease.job.force_retrain and not step.is_over
        stored = None if is_forced else self.runner.artifacts.find(self._place(stage), key)
        if stored is None or stored.manifest.missed:
            return False
        self._loaded[stage.name] = self.runner.artifacts.load(stored, stage.makes)
        if not stage.holds(desk, self._loaded[stage.name]):
            return False
        self._record(replace(step, state=StepState.SKIPPED, fraction=1.0), stored, "step.skipped")
        return True

    def _run(self, stage: Stage, key: str, desk: Desk, inputs: dict[str, StoredArtifact]) -> None:
        step = replace(
            self._steps[stage.name],
            state=StepState.RUNNING,
            attempts=self._steps[stage.name].attempts + 1,
            fraction=0.0,
            key="",
            facts={},
        )
        if step.attempts > self.runner.max_attempts:
            raise StageKeepsDying(stage=stage.name, attempts=step.attempts - 1)
        self._steps[stage.name] = step
        self.lease.begin(step)
        self.runner.event(self.lease.job, "step.started", step=stage.name, attempt=step.attempts)
        log.info("step.started", step=stage.name, attempt=step.attempts)
        stored, seconds = self._make(stage, key, desk, inputs)
        running = self.lease.step or step
        done = replace(running, state=StepState.DONE, fraction=1.0, seconds=round(step.seconds + seconds, 2))
        self._record(done, stored, "step.done")

    def _make(
        self, stage: Stage, key: str, desk: Desk, inputs: dict[str, StoredArtifact]
    ) -> tuple[StoredArtifact, float]:
        started = time.monotonic()
        artifacts, place = self.runner.artifacts, self._place(stage)
        needed = _SPARE_BYTES + _WEIGHTS.get(stage.name, 0) * self.desk.recipe.base.parameters
        self.runner.desks.prepare(stage, self.desk)
        with artifacts.aside(place, key, needed_bytes=needed) as folder:
            desk = replace(
                desk,
                folder=folder,
                scratch=artifacts.scratch(place, key),
                earlier=lambda: () if self.lease.job.force_retrain else artifacts.earlier(place, stage.makes),
            )
            missed = desk.teacher.missed
            made = stage.run(desk, *(self._value(self._stage(name)) for name in stage.reads))
            seconds = time.monotonic() - started
            self.lease.hold()
            digests = {name: stored.manifest.digest for name, stored in inputs.items()}
            missed = desk.teacher.missed - missed
            stored = artifacts.commit(place, key, folder, made, inputs=digests, seconds=seconds, missed=missed)
        self._loaded[stage.name] = artifacts.load(stored, stage.makes)
        return stored, seconds

    def _inputs(self, stage: Stage) -> dict[str, StoredArtifact] | None:
        found: dict[str, StoredArtifact] = {}
        for name in stage.reads:
            stored = self.runner.artifacts.find(self._place(self._stage(name)), self._steps[name].key)
            if stored is None:
                self._loaded.pop(name, None)
                return None
            found[name] = stored
        return found

    def _value(self, stage: Stage) -> Any:
        if stage.name not in self._loaded:
            stored = self.runner.artifacts.find(self._place(stage), self._steps[stage.name].key)
            if stored is None:
                raise StageFailed(stage=stage.name, reason="its artefact vanished while it was in use")
            self._loaded[stage.name] = self.runner.artifacts.load(stored, stage.makes)
        return self._loaded[stage.name]

    def _record(self, step: Step, stored: StoredArtifact, kind: str) -> None:
        step = replace(step, key=stored.manifest.key, digest=stored.manifest.digest)
        self._steps[step.name] = step
        self.lease.end(step)
        self.runner.event(self.lease.job, kind, step=step.name, seconds=step.seconds)
        log.info(kind, step=step.name, seconds=step.seconds)

    def _place(self, stage: Stage) -> Place:
        return Place(tenant=self.lease.job.tenant, elder=self.lease.job.elder, stage=stage.name)

    def _stage(self, name: str) -> Stage:
        return next(stage for stage in self._pipeline if stage.name == name)
