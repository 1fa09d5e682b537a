"""Teachers: who writes an elder's notes, topics and biography, who judges, and whether they may read what was told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kernel.errors import ConsentMissing, TeacherRefused
from kernel.extraction import ExtractionWords
from kernel.ids import ElderId, MemoryId, TenantId
from kernel.job import Brain, Job
from kernel.judge import GroundedJudge
from kernel.kept_model import Budget, KeptModel
from kernel.language_model import Task
from kernel.left_brain_teacher import LeftBrainTeacher
from kernel.llm_judge import LlmJudge
from kernel.llm_teacher import LlmTeacher, TeacherPrompts
from kernel.memory import collect_memories
from kernel.ports import Clock, Elders, EntityFinder, Judge, LanguageModel, Replies, Teacher


@dataclass(frozen=True, kw_only=True)
class Teachers:
    elders: Elders
    builtin: Teacher
    finder: EntityFinder
    model: LanguageModel | None  #: None: the built-in teacher does it all
    is_remote: bool  #: the model is not on this machine
    prompts: Mapping[str, TeacherPrompts]  #: by language
    replies: Replies
    budget: Budget
    clock: Clock
    words: Mapping[str, ExtractionWords]  #: by language, for a left brain
    #: an elder's own left brain, where there is one; None: it does not take the teacher's place
    left_brain: Callable[[TenantId, ElderId], LanguageModel | None] | None

    def of(self, job: Job, pause: Callable[[float], None]) -> tuple[Teacher, Judge]:
        """For one job. Nothing is asked without consent, nor of words that were taken back: not even in the middle.

        A left brain is never taught by one: what it gets wrong would be learnt again.
        """
        grounded = GroundedJudge()
        own = self.left_brain(job.tenant, job.elder) if self.left_brain and job.brain is Brain.RIGHT else None
        if own is not None:
            model = self._kept(own, job, is_remote=False, budget=Budget())
            return LeftBrainTeacher(model, self.words, finder=self.finder, fallback=self.builtin, pause=pause), grounded
        if self.model is None:
            return self.builtin, grounded
        kept = self._kept(self.model, job, is_remote=self.is_remote, budget=self.budget)
        language = self.elders.get(job.tenant, job.elder).language
        return (
            LlmTeacher(kept, self.prompts, finder=self.finder, fallback=self.builtin, pause=pause),
            LlmJudge(kept, self.prompts, language=language, fallback=grounded, pause=pause),
        )

    def _kept(self, model: LanguageModel, job: Job, *, is_remote: bool, budget: Budget) -> KeptModel:
        return KeptModel(
            model,
            self.replies,
            tenant=job.tenant,
            elder=job.elder,
            job=job.id,
            budget=budget,
            may_ask=_Gate(job, self.elders, is_remote=is_remote).check,
            clock=self.clock,
        )


class _Gate:
    """What may still be asked for a job: the family may withdraw consent, or take an answer back, at any moment."""

    def __init__(self, job: Job, elders: Elders, *, is_remote: bool) -> None:
        self._job, self._elders, self._is_remote = job, elders, is_remote
        self._mark, self._told = "", frozenset[MemoryId]()

    def check(self, task: Task) -> None:
        """Raises ConsentMissing, ElderNotFound, and TeacherRefused where a memory of the task is no longer told."""
        elder = self._elders.get(self._job.tenant, self._job.elder)
        if self._is_remote and elder.consent is None:
            raise ConsentMissing(elder=elder.id)
        mark = self._elders.answers_mark(self._job.tenant, self._job.elder)
        if mark != self._mark:
            told = self._elders.answers(self._job.tenant, self._job.elder)
            memories = collect_memories(told, elder_name=elder.name, language=elder.language)
            self._mark, self._told = mark, frozenset(memory.id for memory in memories.items)
        if not self._told.issuperset(task.memory_ids):
            raise TeacherRefused(purpose=task.purpose)
