"""The workbench: a sample elder's stages, run here and without the service.

Their artefacts are kept by content, as the service keeps them: runs in one folder share what is the same, and one that
was ended goes on where it was, a training at its last checkpoint. Nothing is published, and nothing tidied.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from adapters.artifacts import ArtifactStore, Place
from adapters.base_models import BaseModelStore
from adapters.embedder import E5Embedder
from adapters.engines import open_engines
from adapters.entity_finder import OfflineEntityFinder
from adapters.graphrag import GraphRagIndexer
from adapters.packaged_gguf import readers
from adapters.reranker import QueryLikelihoodReranker
from config.config_loader import ConfigLoader
from config.settings import Settings
from kernel.artifact import Manifest, artifact_key
from kernel.builtin_teacher import BuiltinTeacher
from kernel.clock import utc_now
from kernel.evaluation import Probe
from kernel.ids import ElderId, JobId, TenantId
from kernel.judge import GroundedJudge
from kernel.memory import Answer
from kernel.pipeline import Desk, Stage
from modelserver.cli.demo import Sample
from tests.fakes import MemoryIndex
from workers.trainer import SubprocessTrainer

TENANT = TenantId("bench")


@dataclass(frozen=True, kw_only=True)
class Made:
    value: Any
    manifest: Manifest


def open_desk(sample: Sample, settings: Settings, *, overrides: Mapping[str, str] | None = None) -> Desk:
    """What the sample elder's family would have, with what the base models need prepared. `overrides`: of
    training_config.yaml, as environment variables."""
    config = ConfigLoader(settings.config_file, model_dir=settings.model_dir, environ=overrides)
    language = sample.elder["language"]
    base, rerankers = config.get_current_model(language), config.get_rerankers()
    bases = BaseModelStore(llama_cpp_dir=settings.llama_cpp_dir)
    bases.prepare(base, _quiet)
    for reader in rerankers.get(language, ()):
        bases.prepare_to_read(reader, _quiet)
    finder, embedder = OfflineEntityFinder(), E5Embedder()
    nothing: Any = None
    return Desk(
        tenant=TENANT,
        elder=ElderId(sample.id),
        elder_name=sample.elder["name"],
        language=language,
        job=JobId("bench"),
        recipe=config.get_recipe(base, threads=settings.threads),
        prompts=config.get_prompts(),
        ability=config.get_ability(),
        answers=tuple(Answer(question=row["question"], answer=row["answer"]) for row in sample.memories),
        probes=tuple(
            Probe(question=row["question"], expects=tuple(map(tuple, row["expects"])))
            for row in map(json.loads, sample.questions().splitlines())
        ),
        feedback=(),
        teacher=BuiltinTeacher(finder),
        judge=GroundedJudge(),
        finder=finder,
        embedder=embedder,
        index=MemoryIndex(embedder),
        reranker=QueryLikelihoodReranker(readers(rerankers), threads=settings.threads),
        indexer=GraphRagIndexer(),
        trainer=SubprocessTrainer(llama_cpp_dir=settings.llama_cpp_dir),
        engine=open_engines(settings, config).preferring("llama_cpp"),
        versions=nothing,
        kept_versions=0,
        clock=utc_now,
        key="",
        folder=Path(),
        scratch=Path(),
        report=_quiet,
    )


def make(
    desk: Desk, stages: Sequence[Stage], store: ArtifactStore, *, given: Mapping[str, Made] = MappingProxyType({})
) -> dict[str, Made]:
    """By stage, what it made now or before; with what was `given` to begin with. Says which it makes, and how long that
    took."""
    made = dict(given)
    for stage in stages:
        place = Place(tenant=desk.tenant, elder=desk.elder, stage=stage.name)
        inputs = {name: made[name].manifest.digest for name in stage.reads}
        key = artifact_key(stage.name, stage.version, stage.settings(desk), inputs)
        stored = store.find(place, key)
        if stored is None:
            print(f"  {stage.name} ...", end="", flush=True)
            began = utc_now()
            with store.aside(place, key, needed_bytes=0) as folder:
                at = replace(
                    desk,
                    key=key,
                    folder=folder,
                    scratch=store.scratch(place, key),
                    earlier=partial(store.earlier, place, stage.makes),
                )
                value = stage.run(at, *(made[name].value for name in stage.reads))
                seconds = (utc_now() - began).total_seconds()
                stored = store.commit(place, key, folder, value, inputs=inputs, seconds=seconds)
            print(f" {seconds:.0f} s", flush=True)
        made[stage.name] = Made(value=store.load(stored, stage.makes), manifest=stored.manifest)
    return made


def _quiet(fraction: float, **facts: object) -> None:
    """Nobody watches."""
