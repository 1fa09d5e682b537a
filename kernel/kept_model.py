"""A language model that is never asked the same twice, and never for more than a job may spend.

Each reply is kept the moment it comes: a job that is killed, runs out of money or is started again pays only for
what is still to ask.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.errors import BudgetSpent
from kernel.language_model import Call

if TYPE_CHECKING:
    from kernel.ids import ElderId, JobId, TenantId
    from kernel.language_model import Reply, Task
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
        clock: Clock,
    ) -> None:
        self._model, self._replies = model, replies
        self._tenant, self._elder, self._job = tenant, elder, job
        self._budget, self._clock = budget, clock

    @property
    def name(self) -> str:
        return self._model.name

    def reply(self, task: Task, *, pause: Callable[[float], None]) -> Reply:
        """Raises BudgetSpent, and what the model raises."""
        key = task.key(self._model.name)
        kept = self._replies.find(self._tenant, self._elder, key)
        if kept is not None:
            return kept
        self._check_budget()
        reply = self._model.reply(task, pause=pause)
        call = Call(job=self._job, model=self._model.name, task=task, reply=reply, at=self._clock())
        self._replies.keep(self._tenant, self._elder, key, call)
        return reply

    def _check_budget(self) -> None:
        spent = self._replies.spent(self._tenant, self._job)
        if (count := self._budget.calls) and spent.calls >= count:
            raise BudgetSpent(limit=f"{count} calls", setting="HEIRLOOM_TEACHER_MAX_CALLS")
        if (count := self._budget.tokens) and spent.tokens >= count:
            raise BudgetSpent(limit=f"{count} tokens", setting="HEIRLOOM_TEACHER_MAX_TOKENS")
