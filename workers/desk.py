"""The desk maker: what a stage is given to work with, built once a process from the settings."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from adapters.left_brains import LeftBrains
from config.config_loader import ConfigLoader
from kernel.job import Brain, Job
from kernel.pipeline import Desk, Queue, Stage
from kernel.ports import (
    BaseModels,
    Clock,
    Elders,
    Embedder,
    Engines,
    Feedbacks,
    GoldenSets,
    GraphIndexer,
    Report,
    Reranker,
    Trainer,
    VectorIndex,
    Versions,
)
from kernel.recipe import Recipe
from workers.teachers import Teachers

NEEDS_BASE = ("train_sft", "make_pairs", "train_dpo", "merge", "convert_gguf", "evaluate", "publish")


@dataclass(frozen=True, kw_only=True)
class DeskMaker:
    config: ConfigLoader
    threads: int
    elders: Elders
    feedbacks: Feedbacks
    versions: Versions
    golden: GoldenSets
    left_brains: LeftBrains
    teachers: Teachers
    embedder: Embedder
    index: VectorIndex
    reranker: Reranker
    indexer: GraphIndexer
    trainer: Trainer
    engine: Engines
    kept_versions: int
    bases: BaseModels
    check_memory: Callable[[Recipe], None]  #: raises NotEnoughMemory
    clock: Clock

    def desk(self, job: Job, report: Report, pause: Callable[[float], None]) -> Desk:
        """Everything as the family's data and the configuration stand now. `pause(seconds)` hears a cancel."""
        elder = self.elders.get(job.tenant, job.elder)
        base = self.config.get_current_model(elder.language, wanted=elder.base_model)
        teacher, judge = self.teachers.of(job, pause)
        is_left = job.brain is Brain.LEFT
        calls = self.teachers.replies.calls(job.tenant, job.elder) if is_left else []
        return Desk(
            tenant=job.tenant,
            elder=job.elder,
            elder_name=job.elder_name,
            language=elder.language,
            job=job.id,
            recipe=self.config.get_recipe(base, threads=self.threads, brain=job.brain),
            prompts=self.config.get_prompts(),
            ability=self.config.get_ability(),
            answers=tuple(self.elders.answers(job.tenant, job.elder)),
            probes=tuple(self.elders.probes(job.tenant, job.elder)),
            feedback=tuple(self.feedbacks.of_elder(job.tenant, job.elder)),
            teacher=teacher,
            judge=judge,
            finder=self.teachers.finder,
            embedder=self.embedder,
            index=self.index,
            reranker=self.reranker,
            indexer=self.indexer,
            trainer=self.trainer,
            engine=self.engine.preferring(elder.engine, base=base.key),
            versions=self.versions,
            kept_versions=self.kept_versions,
            clock=self.clock,
            key="",
            folder=Path(),
            scratch=Path(),
            report=report,
            words=self.config.get_extraction_words(),
            calls=tuple(call for call in calls if call.task.purpose == "note"),
            golden=self.golden.of_elder(job.tenant, job.elder) if is_left else {},
            left_brain=self.left_brains.in_use(job.tenant, job.elder) if is_left else None,
        )

    def prepare(self, stage: Stage, desk: Desk) -> None:
        """Before a stage that loads a base model: is it there, and is there memory for it?"""
        if stage.name == "evaluate":
            for reader in self.config.get_rerankers().get(desk.read_language, ()):
                self.bases.prepare_to_read(reader, desk.report)
        if stage.name in NEEDS_BASE:
            self.bases.prepare(desk.recipe.base, desk.report)
        if stage.queue is Queue.GPU and stage.name.startswith("train"):
            self.check_memory(desk.recipe)
