"""Leases: who may work on a job, and until when.

A worker may write only while its token matches. A stale worker's write matches no document; it must then
stop, never retry. A heartbeat thread moves the expiry, writes the running step's progress, and learns of a
cancellation; the stage hears of both at its next `report`.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from types import TracebackType
from typing import Self

import structlog

from kernel.errors import Cancelled, LeaseLost, StoreUnavailable
from kernel.job import Fact, Job, Step, StepState
from kernel.ports import Clock, Jobs

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class LeaseTerms:
    ttl: timedelta  #: without a heartbeat for so long, the job is anyone's
    heartbeat: timedelta
    store_patience: timedelta = timedelta(minutes=10)  #: how long a write waits for a store that is down


class HeldLease:
    """One worker's hold on one job, renewed in the background from `with` to its end."""

    def __init__(self, job: Job, jobs: Jobs, *, terms: LeaseTerms, clock: Clock) -> None:
        assert job.lease is not None  # noqa: S101 - claim gave it
        self.job, self.token = job, job.lease.token
        self._jobs, self._terms, self._clock = jobs, terms, clock
        self._step: Step | None = None
        self._is_cancelled = job.is_cancel_requested
        self._is_lost = False
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    def begin(self, step: Step) -> None:
        """`step` runs now; it has been written as running."""
        self._save(step)
        self._step = step

    def report(self, fraction: float, **facts: Fact) -> None:
        """A stage's progress; kept here, written at the next heartbeat. Raises Cancelled or LeaseLost."""
        self.check()
        step = self._step
        if step is not None:
            self._step = replace(step, fraction=min(max(fraction, 0.0), 1.0), facts=step.facts | facts)

    def pause(self, seconds: float) -> None:
        """Wait, a heartbeat at a time. Raises Cancelled or LeaseLost as soon as that is known."""
        end = time.monotonic() + seconds
        self.check()
        while (left := end - time.monotonic()) > 0:
            self._over.wait(min(left, self._terms.heartbeat.total_seconds()))
            self.check()

    def end(self, step: Step) -> None:
        self._step = None
        self._save(step)

    @property
    def step(self) -> Step | None:
        """The running step with its latest facts."""
        return self._step

    def check(self) -> None:
        if self._is_lost:
            raise LeaseLost
        if self._is_cancelled:
            raise Cancelled

    def hold(self) -> None:
        """Renew it now, before what cannot be taken back: who was suspended may have lost it and not heard of it yet.

        While the store is down nobody else can take it. Raises Cancelled or LeaseLost.
        """
        self._renew()
        self.check()

    def patiently(self, write: Callable[[], None]) -> None:
        """Do a write, waiting for a store that is down. Raises LeaseLost, or StoreUnavailable at last."""
        deadline = time.monotonic() + self._terms.store_patience.total_seconds()
        while True:
            try:
                write()
                return
            except StoreUnavailable:
                if time.monotonic() > deadline:
                    raise
                self._over.wait(self._terms.heartbeat.total_seconds())

    def _save(self, step: Step) -> None:
        self.patiently(lambda: self._jobs.save_step(self.job.tenant, self.job.id, token=self.token, step=step))

    def _beat(self) -> None:
        while not self._over.wait(self._terms.heartbeat.total_seconds()):
            self._renew()
            if self._is_lost:
                return

    def _renew(self) -> None:
        step = self._step
        if step is not None and step.state is not StepState.RUNNING:
            step = None
        try:
            job = self._jobs.renew(
                self.job.tenant,
                self.job.id,
                token=self.token,
                now=self._clock(),
                ttl=self._terms.ttl,
                step=step,
            )
            self._is_cancelled = job.is_cancel_requested
        except LeaseLost:
            self._is_lost = True
        except StoreUnavailable:
            log.warning("lease.store_unavailable", job=self.job.id)
