"""Teachers: who writes an elder's notes, topics and biography, and whether they may read what was told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from kernel.elder import Elder
from kernel.errors import ConsentMissing
from kernel.job import Job
from kernel.kept_model import Budget, KeptModel
from kernel.llm_teacher import LlmTeacher, TeacherPrompts
from kernel.ports import Clock, EntityFinder, LanguageModel, Replies, Teacher


@dataclass(frozen=True, kw_only=True)
class Teachers:
    builtin: Teacher
    finder: EntityFinder
    model: LanguageModel | None  #: None: the built-in teacher does it all
    is_remote: bool  #: the model is not on this machine
    prompts: Mapping[str, TeacherPrompts]  #: by language
    replies: Replies
    budget: Budget
    clock: Clock

    def teacher_of(self, elder: Elder, job: Job, pause: Callable[[float], None]) -> Teacher:
        """For one job. Raises ConsentMissing where the elder's words would leave this machine without it."""
        if self.model is None:
            return self.builtin
        if self.is_remote and elder.consent is None:
            raise ConsentMissing(elder=elder.id)
        kept = KeptModel(
            self.model,
            self.replies,
            tenant=job.tenant,
            elder=elder.id,
            job=job.id,
            budget=self.budget,
            clock=self.clock,
        )
        return LlmTeacher(kept, self.prompts, finder=self.finder, fallback=self.builtin, pause=pause)
