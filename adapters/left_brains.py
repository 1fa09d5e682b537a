"""Which left brain an elder has in use: what the newest completed job of it published, among the artefacts.

There is no record beside them, so nothing is left of one whose artefacts were deleted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.artifacts import ArtifactStore, Place
from adapters.llama_cpp_model import LlamaCppModel
from kernel.adapter import Gguf
from kernel.ids import ElderId, TenantId
from kernel.job import Brain, JobStatus
from kernel.left_brain import LeftBrain
from kernel.note import Notes
from kernel.ports import Jobs, LanguageModel


@dataclass(frozen=True, kw_only=True)
class LeftBrains:
    jobs: Jobs
    artifacts: ArtifactStore

    def in_use(self, tenant: TenantId, elder: ElderId) -> LeftBrain | None:
        """None where there was none, or where its weights were deleted."""
        for job in self.jobs.of_elder(tenant, elder):
            if job.brain is Brain.LEFT and job.status is JobStatus.COMPLETED:
                key = job.step("publish").key
                found: LeftBrain | None = self._load(tenant, elder, "publish", key, LeftBrain)
                return found
        return None

    def gguf(self, tenant: TenantId, elder: ElderId) -> Gguf | None:
        """Of the one in use, every byte of it compared with its digest."""
        brain = self.in_use(tenant, elder)
        found: Gguf | None = self._load(tenant, elder, "convert_gguf", brain.gguf, Gguf) if brain else None
        return found

    def notes(self, tenant: TenantId, elder: ElderId) -> Notes | None:
        """What was last written of the memories; by a teacher, where a left brain was ever trained by one."""
        for job in sorted(self.jobs.of_elder(tenant, elder), key=lambda job: job.brain is not Brain.LEFT):
            step = job.step("write_notes")
            if step.is_over:
                found: Notes | None = self._load(tenant, elder, step.name, step.key, Notes)
                return found
        return None

    def _load(self, tenant: TenantId, elder: ElderId, stage: str, key: str, kind: type) -> Any:
        stored = self.artifacts.look(Place(tenant=tenant, elder=elder, stage=stage), key)
        return self.artifacts.load(stored, kind) if stored else None


class LoadedLeftBrain:
    """The left brain of one elder in this process's memory: the last one whose notes were written here."""

    def __init__(
        self, left_brains: LeftBrains, *, base_gguf: Callable[[str], Path], threads: int, context_tokens: int
    ) -> None:
        """`base_gguf(key)`: where a base model's own GGUF lies."""
        self._left_brains, self._base_gguf = left_brains, base_gguf
        self._threads, self._context_tokens = threads, context_tokens
        self._path: Path | None = None
        self._model: LlamaCppModel | None = None

    def of(self, tenant: TenantId, elder: ElderId) -> LanguageModel | None:
        """None for an elder who has none. Nothing is loaded before it is asked."""
        gguf = self._left_brains.gguf(tenant, elder)
        if gguf is None:
            return None
        if self._model is None or gguf.path != self._path:
            if self._model is not None:
                self._model.close()
            weights, adapter = gguf.on(self._base_gguf(gguf.base))
            self._model = LlamaCppModel(
                weights, threads=self._threads, context_tokens=self._context_tokens, adapter=adapter
            )
            self._path = gguf.path
        return self._model
