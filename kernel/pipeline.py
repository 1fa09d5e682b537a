"""The pipeline: how an elder's memories become a model, as one list.

A stage is a function from typed artefacts to a typed artefact. It knows nothing of queues, leases or jobs:
the `Desk` gives it the ports that it needs, a folder to write weights into, and a scratch folder that
outlives a killed attempt.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from kernel.ability import Ability
from kernel.adapter import ADAPTER, MERGED, Adapter, Gguf, MergedWeights, Storage
from kernel.bio import Bio, write_bio
from kernel.chat_data import write_merged
from kernel.evaluation import Probe, evaluate
from kernel.evaluation import Report as EvaluationReport
from kernel.extraction import Extract, ExtractionWords
from kernel.feedback import Feedback, family_pairs, lessons, regression_questions
from kernel.graph import EntityGraph
from kernel.held_out import HeldOut
from kernel.ids import ElderId, JobId, MemoryId, TenantId
from kernel.indexing import index_graph
from kernel.judge import Background
from kernel.language_model import Call
from kernel.left_brain import LeftBrain
from kernel.memory import Answer, Memories, collect_memories, most_told
from kernel.mixture import make_samples
from kernel.note import Notes, write_notes
from kernel.pair import Pairs, ask_candidates, make_pairs
from kernel.ports import (
    Clock,
    Embedder,
    Engine,
    EntityFinder,
    GraphIndexer,
    Judge,
    Report,
    Reranker,
    Teacher,
    Trainer,
    VectorIndex,
    Versions,
)
from kernel.prompt import Prompts
from kernel.publication import Publication, is_published, publish
from kernel.question import think_of_questions
from kernel.recipe import Recipe
from kernel.retrieval import Retriever
from kernel.sample import Samples
from kernel.split import split_off
from kernel.topic import Topics, find_topics


class Queue(StrEnum):
    CPU = "cpu"
    LLM = "llm"
    GPU = "gpu"


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What a stage may use. `answers`, `probes` and `feedback` are what the family typed; everything else is made."""

    tenant: TenantId
    elder: ElderId
    elder_name: str
    language: str
    job: JobId
    recipe: Recipe
    prompts: dict[str, Prompts]  #: by language
    ability: Mapping[str, Ability]  #: by language
    answers: tuple[Answer, ...]
    probes: tuple[Probe, ...]
    feedback: tuple[Feedback, ...]  #: newest first
    teacher: Teacher
    judge: Judge
    finder: EntityFinder
    embedder: Embedder
    index: VectorIndex
    reranker: Reranker
    indexer: GraphIndexer
    trainer: Trainer
    engine: Engine
    versions: Versions
    kept_versions: int  #: before the one in use
    clock: Clock
    key: str  #: of the artefact being made
    folder: Path
    scratch: Path
    report: Report
    earlier: Callable[[], Sequence[Any]] = tuple  #: what is kept that this stage made before; not when forced
    # Of the left brain alone:
    words: Mapping[str, ExtractionWords] = field(default_factory=dict)  #: by language
    calls: tuple[Call, ...] = ()  #: the log of the elder's teachers
    golden: Mapping[MemoryId, Extract] = field(default_factory=dict)  #: what a person reviewed
    left_brain: LeftBrain | None = None  #: in use

    @property
    def begins_with(self) -> int:
        return self.recipe.begins_with if self.engine.continues else 0

    @property
    def read_language(self) -> str:
        """Of the memories, which may not be the elder's: the reranker must know it."""
        told = collect_memories(self.answers, elder_name=self.elder_name, language=self.language)
        return told.language

    @property
    def storage(self) -> Storage:
        """Of the version that is made: what the base model's policy says, where the engine can serve it."""
        return self.recipe.base.storage if self.engine.serves_adapters else MERGED

    def recipe_for(self, memories: Memories) -> Recipe:
        """With room for what an answer tells of these memories."""
        return replace(self.recipe, max_new_tokens=most_told(memories, self.recipe.max_new_tokens))

    def retriever(self, memories: Memories) -> Retriever:
        return Retriever(memories, index=self.index, reranker=self.reranker, tenant=self.tenant, elder=self.elder)


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    name: str
    queue: Queue
    reads: tuple[str, ...]  #: names of the stages whose artefacts it takes, in order
    makes: type
    run: Callable[..., Any]  #: (desk, *artefacts) -> artefact of type `makes`
    settings: Callable[[Desk], object]  #: what else shapes the result, for the key
    version: int = 1  #: goes up when the code's result changes
    is_deterministic: bool = True  #: the same inputs give the same bytes
    holds: Callable[[Desk, Any], bool] = lambda desk, artefact: True  #: what it did outside is still so


def _probes(desk: Desk, memories: Memories) -> tuple[Probe, ...]:
    """What it is measured with, and nothing is taught from: the family's questions, or else some that are split off."""
    return desk.probes or split_off(memories, seed=desk.recipe.seed, finder=desk.finder)


PIPELINE: tuple[Stage, ...] = (
    Stage(
        name="collect_memories",
        queue=Queue.CPU,
        reads=(),
        makes=Memories,
        run=lambda desk: collect_memories(desk.answers, elder_name=desk.elder_name, language=desk.language),
        settings=lambda desk: [desk.elder_name, desk.language, [asdict(answer) for answer in desk.answers]],
    ),
    Stage(
        name="write_notes",
        queue=Queue.LLM,
        reads=("collect_memories",),
        makes=Notes,
        run=lambda desk, memories: write_notes(memories, teacher=desk.teacher, on_progress=desk.report),
        settings=lambda desk: desk.teacher.name,
        version=3,
    ),
    Stage(
        name="find_topics",
        queue=Queue.LLM,
        reads=("write_notes",),
        makes=Topics,
        run=lambda desk, notes: find_topics(notes, teacher=desk.teacher, embedder=desk.embedder),
        settings=lambda desk: desk.teacher.name,
        version=2,
    ),
    Stage(
        name="write_bio",
        queue=Queue.LLM,
        reads=("collect_memories", "write_notes", "find_topics"),
        makes=Bio,
        run=lambda desk, memories, notes, topics: write_bio(memories, notes, topics, teacher=desk.teacher),
        settings=lambda desk: desk.teacher.name,
        version=2,
    ),
    Stage(
        name="index_graph",
        queue=Queue.LLM,
        reads=("write_notes",),
        makes=EntityGraph,
        run=lambda desk, notes: index_graph(
            notes, teacher=desk.teacher, indexer=desk.indexer, scratch=desk.scratch, report=desk.report
        ),
        settings=lambda desk: desk.teacher.name,
        version=2,
    ),
    Stage(
        name="make_samples",
        queue=Queue.LLM,
        reads=("collect_memories", "write_notes", "find_topics", "write_bio", "index_graph"),
        makes=Samples,
        run=lambda desk, memories, notes, topics, bio, graph: write_merged(
            make_samples(
                memories,
                notes,
                topics,
                bio,
                graph,
                asked=think_of_questions(
                    memories, teacher=desk.teacher, on_progress=lambda done: desk.report(0.5 * done)
                ),
                held_out=HeldOut(_probes(desk, memories)),
                retriever=desk.retriever(memories),
                finder=desk.finder,
                prompts=desk.prompts,
                shown=desk.recipe.retrieved_memories,
                seed=desk.recipe.seed,
                counts=desk.recipe.samples,
                on_progress=lambda done: desk.report(0.5 + 0.5 * done),
            ),
            desk.folder,
            report=desk.report,
        ),
        settings=lambda desk: [
            desk.teacher.name,
            {language: asdict(prompts) for language, prompts in desk.prompts.items()},
            asdict(desk.recipe.samples),
            desk.recipe.retrieved_memories,
            desk.recipe.seed,
            [probe.question for probe in desk.probes],
        ],
        version=4,
    ),
    Stage(
        name="train_sft",
        queue=Queue.GPU,
        reads=("make_samples",),
        makes=Adapter,
        run=lambda desk, samples: desk.trainer.train_sft(
            samples, recipe=desk.recipe, folder=desk.folder, scratch=desk.scratch, report=desk.report
        ),
        settings=lambda desk: [
            desk.recipe.base.key,
            asdict(desk.recipe.lora),
            asdict(desk.recipe.sft),
            desk.recipe.seed,
        ],
        is_deterministic=False,  # threads add in another order; resuming restarts the data loader's workers
    ),
    Stage(
        name="make_pairs",
        queue=Queue.GPU,
        reads=("train_sft", "make_samples", "write_notes", "write_bio", "index_graph", "collect_memories"),
        makes=Pairs,
        run=lambda desk, adapter, samples, notes, bio, graph, memories: make_pairs(
            samples,
            desk.trainer.propose(
                adapter,
                ask_candidates(
                    samples,
                    prompts=desk.prompts,
                    language=desk.language,
                    limit=desk.recipe.dpo.max_pairs,
                    seed=desk.recipe.seed,
                ),
                recipe=desk.recipe_for(memories),
                scratch=desk.scratch,
                report=desk.report,
            ),
            Background(bio=bio, notes=notes, graph=graph),
            judge=desk.judge,
            limit=desk.recipe.dpo.max_pairs,
            seed=desk.recipe.seed,
            family=list(
                family_pairs(
                    lessons(desk.feedback, _probes(desk, memories)),
                    memories,
                    Background(bio=bio, notes=notes, graph=graph),
                    prompts=desk.prompts,
                )
            ),
        ),
        settings=lambda desk: [
            desk.recipe.dpo.max_pairs,
            desk.recipe.seed,
            desk.judge.name,
            [one.lesson for one in lessons(desk.feedback, desk.probes)],
        ],
    ),
    Stage(
        name="train_dpo",
        queue=Queue.GPU,
        reads=("train_sft", "make_pairs"),
        makes=Adapter,
        run=lambda desk, adapter, pairs: desk.trainer.train_dpo(
            adapter, pairs, recipe=desk.recipe, folder=desk.folder, scratch=desk.scratch, report=desk.report
        ),
        settings=lambda desk: [desk.recipe.base.key, asdict(desk.recipe.dpo), desk.recipe.seed],
        is_deterministic=False,
    ),
    Stage(
        name="merge",
        queue=Queue.GPU,
        reads=("train_dpo",),
        makes=MergedWeights,
        run=lambda desk, adapter: desk.trainer.merge(
            adapter, recipe=desk.recipe, folder=desk.folder, report=desk.report
        ),
        settings=lambda desk: desk.recipe.base.key,
    ),
    Stage(
        name="convert_gguf",
        queue=Queue.CPU,
        reads=("merge", "make_samples", "train_dpo"),
        makes=Gguf,
        run=lambda desk, merged, samples, adapter: desk.trainer.convert(
            merged,
            adapter=adapter if desk.storage == ADAPTER else None,
            recipe=desk.recipe,
            prompts=[sample.prompt for sample in samples.items[:: max(1, len(samples.items) // 8)][:8]],
            folder=desk.folder,
            report=desk.report,
        ),
        settings=lambda desk: [desk.recipe.base.quantisation, desk.storage],
    ),
    Stage(
        name="evaluate",
        queue=Queue.CPU,
        reads=("convert_gguf", "collect_memories"),
        makes=EvaluationReport,
        run=lambda desk, gguf, memories: evaluate(
            _probes(desk, memories),
            memories,
            retriever=desk.retriever(memories),
            finder=desk.finder,
            prompts=desk.prompts,
            trained=gguf,
            recipe=desk.recipe_for(memories),
            trainer=desk.trainer,
            report=desk.report,
            ability=desk.ability[memories.language],
            begins_with=desk.begins_with,
            regressions=regression_questions(desk.feedback, memories, desk.finder),
            earlier=desk.earlier(),
            is_familys=bool(desk.probes),
        ),
        settings=lambda desk: [
            [asdict(probe) for probe in desk.probes],
            desk.recipe.seed,
            [one.lesson for one in desk.feedback],
            desk.recipe.retrieved_memories,
            desk.begins_with,
            desk.recipe.recalls_first,
            desk.reranker.model(desk.read_language),
            asdict(desk.ability[desk.read_language]),
            desk.recipe.max_new_tokens,
            desk.recipe.base.key,
        ],
        version=6,
    ),
    Stage(
        name="publish",
        queue=Queue.CPU,
        reads=("convert_gguf", "evaluate", "collect_memories", "train_dpo"),
        makes=Publication,
        run=lambda desk, gguf, report, memories, adapter: publish(
            gguf,
            report,
            memories,
            adapter,
            tenant=desk.tenant,
            elder=desk.elder,
            job=desk.job,
            key=desk.key,
            prompts=desk.prompts,
            engine=desk.engine,
            versions=desk.versions,
            clock=desk.clock,
            progress=desk.report,
            kept=desk.kept_versions,
            begins_with=desk.begins_with,
            recalls_first=desk.recipe.recalls_first,
        ),
        settings=lambda desk: [
            desk.engine.name,
            {language: asdict(prompts) for language, prompts in desk.prompts.items()},
        ],
        holds=lambda desk, publication: is_published(
            publication, tenant=desk.tenant, elder=desk.elder, versions=desk.versions, engine=desk.engine
        ),
    ),
)

STAGE_NAMES = tuple(stage.name for stage in PIPELINE)
