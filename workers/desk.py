"""The desk maker: what a stage is given to work with, built once a process from the settings."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from config.config_loader import ConfigLoader
from kernel.job import Job
from kernel.pipeline import Desk, Queue, Stage
from kernel.ports import (
    BaseModels,
    Clock,
    Elders,
    Embedder,
    Engines,
    GraphIndexer,
    Report,
    Reranker,
    Trainer,
    VectorIndex,
    Versions,
)
from kernel.recipe import Recipe
from workers.teachers import Teachers

NEEDS_BASE = ("train_sft", "make_pairs", "train_dpo", "merge", "evaluate")


@dataclass(frozen=True, kw_only=True)
class DeskMaker:
    config: ConfigLoader
    threads: int
    elders: Elders
    versions: Versions
    teachers: Teachers
    embedder: Embedder
    index: VectorIndex
    reranker: Reranker
    indexer: GraphIndexer
    trainer: Trainer
    engine: Engines
    bases: BaseModels
    check_memory: Callable[[Recipe], None]  #: raises NotEnoughMemory
    clock: Clock

    def desk(self, job: Job, report: Report, pause: Callable[[float], None]) -> Desk:
        """Everything as the family's data and the configuration stand now. `pause(seconds)` hears a cancel."""
        elder = self.elders.get(job.tenant, job.elder)
        base = self.config.get_current_model(elder.language, wanted=elder.base_model)
        teacher, judge = self.teachers.of(job, pause)
        return Desk(
            tenant=job.tenant,
            elder=job.elder,
            elder_name=job.elder_name,
            language=elder.language,
            job=job.id,
            recipe=self.config.get_recipe(base, threads=self.threads),
            prompts=self.config.get_prompts(),
            answers=tuple(self.elders.answers(job.tenant, job.elder)),
            probes=tuple(self.elders.probes(job.tenant, job.elder)),
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
            clock=self.clock,
            key="",
            folder=Path(),
            scratch=Path(),
            report=report,
        )

    def prepare(self, stage: Stage, desk: Desk) -> None:
        """Before a stage that loads a base model: is it there, and is there memory for it?"""
        if stage.name == "evaluate" and (reader := self.config.get_rerankers().get(desk.read_language)):
            self.bases.prepare(reader, desk.report)
        if stage.name in NEEDS_BASE:
            self.bases.prepare(desk.recipe.base, desk.report)
        if stage.queue is Queue.GPU and stage.name.startswith("train"):
            self.check_memory(desk.recipe)
