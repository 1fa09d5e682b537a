"""A language model that is never asked the same twice, and never for more than a job may spend.

Each reply is kept the moment it comes: a job that is killed, runs out of money or is started again pays only for
what is still to ask. What was refused or garbled is kept too, and asked again only by another job: notes, entities,
questions, topics and the biography by the next one (see workers/runner.py), a judgement when its pairs are made anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel.errors import BudgetSpent, TeacherGarbled, TeacherRefused
from kernel.language_model import Call, Outcome, Reply
from kernel.upload import has_surrogate

if TYPE_CHECKING:
    from kernel.ids import ElderId, JobId, TenantId
    from kernel.language_model import Task
    from kernel.ports import Clock, LanguageModel, Replies


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What one job may ask for; 0 is no limit."""

    calls: int = 0
    tokens: int = 0  #: read and written


class KeptModel:
    """Implements kernel.ports.LanguageModel, for one job of one elder."""

    def __init__(
        self,
        model: LanguageModel,
        replies: Replies,
        *,
        tenant: TenantId,
        elder: ElderId,
        job: JobId,
        budget: Budget,
        may_ask: Callable[[Task], None],
        clock: Clock,
    ) -> None:
        """`may_ask(task)`, before each attempt and before a reply is kept, raises what forbids it: ConsentMissing,
        TeacherRefused for words that were taken back, ElderNotFound.
        """
        self._model, self._replies = model, replies
        self._tenant, self._elder, self._job = tenant, elder, job
        self._budget, self._may_ask, self._clock = budget, may_ask, clock
        self._spent = replies.spent(tenant, job)

    @property
    def name(self) -> str:
        return self._model.name

    def reply(self, task: Task, *, pause: Callable[[float], None], begin: Callable[[], None] = lambda: None) -> Reply:
        """Raises BudgetSpent, what `may_ask` and the model raise, and what was refused or garbled once in this job."""
        key = task.key(self._model.name)
        kept = self._replies.find(self._tenant, self._elder, key)
        if kept is not None and kept.outcome is Outcome.REPLIED:
            return kept.reply
        if kept is not None and kept.job == self._job:
            raise TeacherRefused(purpose=task.purpose)

        def begin_one() -> None:
            begin()
            self._may_ask(task)
            self._check_budget()
            self._count(calls=1)

        outcome, reply = self._outcome(task, pause, begin_one)
        pause(0.0)  # a job that is no longer this worker's keeps nothing
        self._may_ask(task)
        self._count(tokens=reply.tokens_read + reply.tokens_written)
        call = Call(job=self._job, model=self._model.name, task=task, outcome=outcome, reply=reply, at=self._clock())
        self._replies.keep(self._tenant, self._elder, key, call)
        if outcome is Outcome.REPLIED:
            return reply
        raise TeacherRefused(purpose=task.purpose)

    def check(self) -> None:
        self._model.check()

    def close(self) -> None:
        self._model.close()

    def _outcome(self, task: Task, pause: Callable[[float], None], begin: Callable[[], None]) -> tuple[Outcome, Reply]:
        nothing = Reply(value={}, tokens_read=0, tokens_written=0)
        try:
            reply = self._model.reply(task, pause=pause, begin=begin)
        except TeacherRefused:
            return Outcome.REFUSED, nothing
        except TeacherGarbled:
            return Outcome.GARBLED, nothing
        if _can_be_kept(reply.value):
            return Outcome.REPLIED, reply
        return Outcome.GARBLED, replace(reply, value={})

    def _count(self, *, calls: int = 0, tokens: int = 0) -> None:
        self._spent = replace(self._spent, calls=self._spent.calls + calls, tokens=self._spent.tokens + tokens)

    def _check_budget(self) -> None:
        if (count := self._budget.calls) and self._spent.calls >= count:
            raise BudgetSpent(limit=f"{count} calls", setting="HEIRLOOM_TEACHER_MAX_CALLS")
        if (count := self._budget.tokens) and self._spent.tokens >= count:
            raise BudgetSpent(limit=f"{count} tokens", setting="HEIRLOOM_TEACHER_MAX_TOKENS")


def _can_be_kept(value: object) -> bool:
    """Neither half of a character nor a number of more than 64 bits: JSON and the task's schema allow both."""
    if isinstance(value, Mapping):
        return all(map(_can_be_kept, value.values()))
    if isinstance(value, str):
        return not has_surrogate(value)
    if isinstance(value, int):
        return abs(value) < 2**63
    return all(map(_can_be_kept, value)) if isinstance(value, Sequence) else True
