"""A left brain from memories to notes, with the real runner, programs and llama.cpp, on a tiny model."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.artifacts import ArtifactStore
from adapters.converter import convert, prepare_converter
from adapters.left_brains import LeftBrains, LoadedLeftBrain
from adapters.llama_cpp import quantise
from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.adapter import ADAPTER
from kernel.builtin_teacher import BuiltinTeacher
from kernel.extraction import Extract, held_out_ids
from kernel.ids import ElderId, JobId, MemoryId, TenantId
from kernel.job import Brain, Job, JobStatus, Step, StepState
from kernel.left_brain_pipeline import LEFT_BRAIN, PIPELINES
from kernel.left_brain_teacher import LeftBrainTeacher
from kernel.memory import Answer, collect_memories
from kernel.note import write_notes
from kernel.pipeline import Desk, Queue, Stage
from kernel.recipe import Recipe
from tests.memory_store import MemoryJobs
from tests.tiny_model import make_tiny_base
from tests.tiny_recipe import tiny_recipe
from workers.lease import LeaseTerms
from workers.runner import Runner
from workers.trainer import SubprocessTrainer

US, ELDER = TenantId("us"), ElderId("rose")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
WORDS = {
    language: replace(words, small_talk=words.small_talk[:5])
    for language, words in ConfigLoader(ROOT / "config/training_config.yaml", model_dir=ROOT, environ={})
    .get_extraction_words()
    .items()
}
TOLD = tuple(Answer(question="Where did you live?", answer=f"I lived in house number {n} then.") for n in range(1, 7))
MEMORIES = collect_memories(TOLD, elder_name="Rose", language="en")


class Nobody:
    def find(self, text: str, language: str) -> list[Any]:
        return []


class House:
    """The real runner over the real stages; the stores are in memory."""

    def __init__(self, root: Path, recipe: Recipe) -> None:
        self.jobs, self.artifacts, self.recipe = MemoryJobs(), ArtifactStore(root), recipe
        self.left_brains = LeftBrains(jobs=self.jobs, artifacts=self.artifacts)
        self.trainer = SubprocessTrainer(llama_cpp_dir=prepare_converter(ROOT / "vendor" / "llama.cpp", quiet))
        self.teacher = BuiltinTeacher(Nobody())
        self.golden: dict[MemoryId, Extract] = {}

    def train(self, name: str) -> Job:
        job = Job(
            id=JobId(name),
            tenant=US,
            elder=ELDER,
            elder_name="Rose",
            status=JobStatus.QUEUED,
            force_retrain=False,
            steps=tuple(Step(name=stage.name) for stage in LEFT_BRAIN),
            created_at=NOON + timedelta(hours=len(self.jobs.of_elder(US, ELDER))),
            updated_at=NOON,
            brain=Brain.LEFT,
        )
        self.jobs.add(US, job)
        runner = Runner(
            jobs=self.jobs,
            artifacts=self.artifacts,
            doorbell=self,
            desks=self,  # type: ignore[arg-type]
            terms=LeaseTerms(ttl=timedelta(minutes=5), heartbeat=timedelta(seconds=1)),
            max_attempts=1,
            owner="w",
            clock=lambda: NOON,
        )
        for queue in (Queue.CPU, Queue.LLM, Queue.CPU, Queue.GPU, Queue.CPU):
            runner.advance(self.jobs.get(US, job.id), queue)
        return self.jobs.get(US, job.id)

    def ring(self, tenant: TenantId, job: JobId, queue: str) -> None:
        """The test goes from queue to queue itself."""

    def prepare(self, stage: Stage, desk: Desk) -> None:
        """The tiny base is there."""

    def desk(self, job: Job, report: Any, pause: Callable[[float], None]) -> Desk:
        nothing: Any = None
        return Desk(
            tenant=US,
            elder=ELDER,
            elder_name="Rose",
            language="en",
            job=job.id,
            recipe=self.recipe,
            prompts={},
            ability={},
            answers=TOLD,
            probes=(),
            feedback=(),
            teacher=self.teacher,
            judge=nothing,
            finder=Nobody(),
            embedder=nothing,
            index=nothing,
            reranker=nothing,
            indexer=nothing,
            trainer=self.trainer,
            engine=nothing,
            versions=nothing,
            kept_versions=1,
            clock=lambda: NOON,
            key="",
            folder=Path(),
            scratch=Path(),
            report=report,
            words=WORDS,
            golden=self.golden,
            left_brain=self.left_brains.in_use(US, ELDER),
        )


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The left brain is an adapter on the base's own GGUF, as it is by default."""
    folder = tmp_path_factory.mktemp("base") / "tiny"
    make_tiny_base(folder)
    recipe = tiny_recipe(folder)
    recipe = replace(recipe, base=replace(recipe.base, storage=ADAPTER))
    full = folder.with_name("full.gguf")
    converter = prepare_converter(ROOT / "vendor" / "llama.cpp", quiet)
    convert(converter, folder, full, outtype="f16", log=folder.with_name("log"))
    quantise(full, recipe.base.gguf_path, "q8_0", threads=1)
    return House(tmp_path_factory.mktemp("artifacts"), recipe)


@pytest.fixture(scope="module")
def trained(house: House) -> Job:
    job = house.train("first")
    assert job.status is JobStatus.COMPLETED, (job.error_code, job.error_details)
    return job


def test_it_is_trained_converted_measured_and_published_by_the_runner_of_the_other_brain(
    house: House, trained: Job
) -> None:
    assert [step.state for step in trained.steps] == [StepState.DONE] * len(PIPELINES[Brain.LEFT])
    assert trained.version == 1
    assert {"valid", "exact", "f1", "small_talk"} <= set(trained.step("evaluate_extraction").facts)
    published = house.left_brains.in_use(US, ELDER)
    assert published and [score.arm for score in published.report.scores] == ["free", "grammar"]
    assert (published.report.memories, published.report.is_reviewed) == (2, False)
    assert house.left_brains.in_use(TenantId("them"), ELDER) is None


def test_with_nothing_changed_nothing_is_done_again(house: House, trained: Job) -> None:
    again = house.train("again")
    assert [step.state for step in again.steps] == [StepState.SKIPPED] * len(LEFT_BRAIN)
    assert again.version == trained.version


def test_it_writes_notes_in_process_in_its_teachers_place(house: House, trained: Job) -> None:
    loaded = LoadedLeftBrain(
        house.left_brains, base_gguf=lambda key: house.recipe.base.gguf_path, threads=1, context_tokens=512
    )
    assert loaded.of(TenantId("them"), ELDER) is None
    model = loaded.of(US, ELDER)
    assert model is not None and loaded.of(US, ELDER) is model
    teacher = LeftBrainTeacher(model, WORDS, finder=Nobody(), fallback=house.teacher, pause=lambda seconds: None)
    notes = write_notes(MEMORIES, teacher=teacher).items
    model.close()
    plain = write_notes(MEMORIES, teacher=house.teacher).items
    assert [note.text for note in notes] == [note.text for note in plain]
    for note, memory in zip(notes, MEMORIES.items, strict=True):
        assert all(word.casefold() in memory.source.casefold() for word in (*note.people, *note.places, *note.dates))


def test_a_review_of_what_is_held_out_is_measured_with_and_trains_nothing_anew(house: House, trained: Job) -> None:
    reviewed = min(held_out_ids([memory.id for memory in MEMORIES.items], {}))
    house.golden[reviewed] = Extract(title="My house")
    job = house.train("reviewed")
    assert job.step("train_sft").state is StepState.SKIPPED and job.step("hold_out").state is StepState.DONE
    published = house.left_brains.in_use(US, ELDER)
    assert published and published.report.score("teacher") is not None
    assert (published.report.memories, published.report.is_reviewed) == (1, True)
    assert {one.memory_id for one in published.report.results} == {reviewed, None}


def quiet(fraction: float, **facts: float | int | str) -> None:
    assert 0 <= fraction <= 1
