"""A training as far as a teacher is asked, through the real runner: what asks one is real, what trains is not.

Its teacher is the strict double of OpenAI's API, whose replies here are shaped as a large model's: as long, in the
memories' language, and now and then with somebody whom no memory knows.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from adapters.artifacts import ArtifactStore
from adapters.openai_model import OpenAiModel
from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.adapter import Adapter
from kernel.builtin_teacher import BuiltinTeacher
from kernel.elder import Consent, Elder
from kernel.graph import EntityType
from kernel.ids import ElderId, JobId, TenantId
from kernel.job import Brain, Job, JobStatus, Step
from kernel.judge import Reason
from kernel.kept_model import Budget
from kernel.language import detect_language, sentences
from kernel.language import tokens as words_of
from kernel.memory import Answer
from kernel.pair import Ask, Candidate
from kernel.pipeline import PIPELINE, Queue, Stage
from kernel.ports import Embedder, GraphIndexer, Replies, VectorIndex
from kernel.publication import Publication
from kernel.removal import take_back_answer
from kernel.sample import Samples
from modelserver.cli.demo import Sample
from tests.fakes import Reads
from tests.memory_store import MemoryElders, MemoryFeedbacks, MemoryJobs, MemoryVersions, word_stores
from tests.offline import FINDER
from tests.openai_double import KEY, MODEL, OpenAiDouble
from workers.desk import DeskMaker
from workers.lease import LeaseTerms
from workers.runner import Runner
from workers.teachers import Teachers

US = TenantId("us")
STRANGER = {"en": "Napoleon", "zh": "拿破仑"}
#: Which stage asks for what, by the schema's name.
ASKED_BY = {
    "note": "write_notes",
    "topic": "find_topics",
    "bio": "write_bio",
    "entities": "index_graph",
    "questions": "make_samples",
    "judgement": "make_pairs",
}


def _until_pairs() -> tuple[Stage, ...]:
    """The stages up to the last that asks a teacher, and an end."""
    last = next(place for place, stage in enumerate(PIPELINE) if stage.name == "make_pairs")
    end = replace(
        PIPELINE[-1],
        reads=("make_pairs",),
        run=lambda desk, pairs: Publication(number=1, tag=""),
        settings=lambda desk: "",
        holds=lambda desk, publication: True,
    )
    return (*PIPELINE[: last + 1], end)


STAGES = _until_pairs()


class ByHeart:
    """A Trainer whose models know every answer by heart, and give the next question's."""

    def train_sft(self, samples: Samples, *, recipe: Any, folder: Path, **_: Any) -> Adapter:
        (folder / "weights.json").write_text(json.dumps([one.completion for one in samples.items]))
        return Adapter(base=recipe.base.key, method="sft", steps=1, loss=0.1, folder=folder)

    def propose(self, adapter: Adapter, asks: Sequence[Ask], **_: Any) -> list[Candidate]:
        known = json.loads((adapter.folder / "weights.json").read_text())
        return [
            Candidate(sample=ask.sample, source=ask.source, text=known[(ask.sample + 1) % len(known)]) for ask in asks
        ]


class Household:
    """One family with one elder, who agreed to a teacher elsewhere; its jobs, artefacts and replies."""

    def __init__(
        self,
        sample: Sample,
        root: Path,
        server: OpenAiDouble,
        *,
        replies: Replies,
        embedder: Embedder,
        index: VectorIndex,
        indexer: GraphIndexer,
        overrides: dict[str, str] | None = None,
        **options: Any,
    ) -> None:
        """`overrides`: of training_config.yaml, as environment variables; `options`: of OpenAiModel."""
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.elder = ElderId(sample.id)
        self.replies, self.artifacts, self.jobs, self.elders = (
            replies,
            ArtifactStore(root),
            MemoryJobs(),
            MemoryElders(),
        )
        self.config = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=ROOT, environ=overrides or {})
        self.budget = Budget()
        self.model = OpenAiModel(url=server.url, api_key=KEY, model=MODEL, **{"first_wait_seconds": 0.001} | options)
        language, name = sample.elder["language"], sample.elder["name"]
        consent = Consent(by=name, at=self.now)
        self.elders.add(
            US,
            Elder(id=self.elder, name=name, language=language, base_model="", created_at=self.now, consent=consent),
        )
        told = [Answer(question=row["question"], answer=row["answer"]) for row in sample.memories]
        self.elders.add_answers(US, self.elder, told)
        self._made: dict[str, Any] = {"embedder": embedder, "index": index, "indexer": indexer}

    def train(self, *, force: bool = False) -> Job:
        """A new job, until it is over or waits."""
        self.now += timedelta(hours=1)
        job = Job(
            id=JobId(f"j{len(self.jobs.of_elder(US, self.elder)) + 1}"),
            tenant=US,
            elder=self.elder,
            elder_name=self.elders.get(US, self.elder).name,
            status=JobStatus.QUEUED,
            force_retrain=force,
            steps=tuple(Step(name=stage.name) for stage in STAGES),
            created_at=self.now,
            updated_at=self.now,
        )
        self.jobs.add(US, job)
        return self.go_on(job.id)

    def go_on(self, job: JobId) -> Job:
        """As workers of each queue do when the sweep rings."""
        for queue in (Queue.CPU, Queue.LLM, Queue.GPU, Queue.CPU):
            self._runner().advance(self.jobs.get(US, job), queue)
        return self.jobs.get(US, job)

    def change(self, number: int, more: str) -> None:
        """One answer is taken back, and told anew with `more`."""
        old = self.elders.answers(US, self.elder)[number]
        take_back_answer(US, self.elder, old.id, words=word_stores(elders=self.elders, replies=self.replies))
        self.elders.add_answers(US, self.elder, [Answer(question=old.question, answer=old.answer + more)])

    def _runner(self) -> Runner:
        """Of a new process: nothing is known but what is kept."""
        nothing: Any = None
        there: Any = SimpleNamespace(prepare=lambda *_: None)
        engine: Any = SimpleNamespace(preferring=lambda *_, **__: SimpleNamespace(continues=True, name="none"))
        trainer: Any = ByHeart()
        desks = DeskMaker(
            config=self.config,
            threads=1,
            elders=self.elders,
            feedbacks=MemoryFeedbacks(),
            versions=MemoryVersions(),
            golden=nothing,
            left_brains=nothing,
            teachers=self._teachers(),
            reranker=Reads(),
            trainer=trainer,
            engine=engine,
            kept_versions=1,
            bases=there,
            check_memory=lambda recipe: None,
            clock=lambda: self.now,
            **self._made,
        )
        return Runner(
            jobs=self.jobs,
            artifacts=self.artifacts,
            doorbell=SimpleNamespace(ring=lambda *_: None),
            desks=desks,
            terms=LeaseTerms(ttl=timedelta(seconds=10), heartbeat=timedelta(milliseconds=20)),
            max_attempts=3,
            owner="w",
            clock=lambda: self.now,
            pipelines={Brain.RIGHT: STAGES},
        )

    def _teachers(self) -> Teachers:
        return Teachers(
            elders=self.elders,
            builtin=BuiltinTeacher(FINDER),
            finder=FINDER,
            model=self.model,
            is_remote=True,
            prompts=self.config.get_teacher_prompts(),
            replies=self.replies,
            budget=self.budget,
            clock=lambda: self.now,
            words={},
            left_brain=None,
        )


# ---- what the double says --------------------------------------------------------------------------------


def say(name: str, asked: str) -> dict[str, Any]:
    """A reply to the last message of a task, by its schema's name; "" is a check whether it replies at all."""
    language = detect_language(asked)
    told: dict[str, Any] = {
        "note": _note,
        "topic": lambda asked, language: {"name": _start(asked.removeprefix("- ").split(":")[0], 5, language)},
        "bio": _bio,
        "entities": _entities,
        "questions": _questions,
        "judgement": lambda asked, language: _judgement(asked),
    }
    return told[name](asked, language) if name else {}


def _note(asked: str, language: str) -> dict[str, Any]:
    _, *whole = sentences(asked)  # after the question
    answer = " ".join(whole)
    named = FINDER.find(answer, language)

    def of(kind: EntityType) -> list[str]:
        return list(dict.fromkeys(one.title for one in named if one.type is kind))

    return {
        "title": _start(answer, 6, language),
        "summary": whole[0],
        "insight": whole[-1] if len(whole) > 1 else "",
        "keywords": _telling(answer, language)[:8],
        "people": [*of(EntityType.PERSON), STRANGER[language]],
        "places": of(EntityType.PLACE),
        "dates": of(EntityType.TIME),
    }


def _bio(asked: str, language: str) -> dict[str, Any]:
    """The notes one after the other, to the length that it was told to keep."""
    lines = [line.split(": ", 1)[-1] for line in asked.splitlines()[1:]]
    told = _start(" ".join(lines), 200, language) if language == "en" else "".join(lines)[:300]
    return dict.fromkeys(("first_person", "second_person", "third_person"), told)


def _entities(asked: str, language: str) -> dict[str, Any]:
    """Who and what the memory names, each said of in its sentence; neighbours belong together."""
    found = {one.title: one.type for one in FINDER.find(asked, language)}
    said = {title: next((one for one in sentences(asked) if title in one), "") for title in found}
    return {
        "entities": [
            *({"name": title, "type": kind, "description": said[title]} for title, kind in found.items()),
            {"name": STRANGER[language], "type": EntityType.PERSON, "description": ""},
        ],
        "relationships": [
            {"source": one, "target": other, "description": said[one], "strength": 5} for one, other in pairwise(found)
        ],
    }


def _questions(asked: str, language: str) -> dict[str, Any]:
    words = (_telling(asked, language) * 8)[:8]
    if language == "zh":
        return {
            "answered": [f"您还记得{word}的事吗，是怎么一回事？" for word in words]
            + [f"{STRANGER['zh']}那时候在那里吗？"],
            "unanswered": [f"除了{word}以外，别人家又是怎样的呢？" for word in words[:4]],
            "needs": [f"我想给孩子们讲讲{word}，从哪里讲起好呢？" for word in words[:2]],
        }
    return {
        "answered": [f"What was it that you told us about the {word}?" for word in words] + ["Was Napoleon with you?"],
        "unanswered": [f"What did the neighbours think of your {word} then?" for word in words[:4]],
        "needs": [f"I want to tell the children about the {word}. Where should I begin?" for word in words[:2]],
    }


def _judgement(asked: str) -> dict[str, Any]:
    """The answer with more of what was asked and is known; the order does not matter to it."""
    rest, _, second = asked.rpartition("\n\n[second]\n")
    known, _, first = rest.rpartition("\n\n[first]\n")
    held = set(words_of(known))
    shares = [len(held & set(words_of(one))) / max(1, len(set(words_of(one)))) for one in (first, second)]
    better = "same" if shares[0] == shares[1] else "first" if shares[0] > shares[1] else "second"
    wrong: Reason = "forgets"
    return {"better": better, "wrong": wrong}


def _start(text: str, words: int, language: str) -> str:
    """So many words of it, or twice as many characters."""
    return text[: 2 * words] if language == "zh" else " ".join(text.split()[:words])


def _telling(text: str, language: str) -> list[str]:
    """The longest words; of Chinese, what stands between its marks, cut to four characters."""
    if language == "zh":
        parts = [part[-4:] for sentence in sentences(text) for part in sentence.rstrip("。？！").split("，") if part]
        return list(dict.fromkeys(parts))
    words = {word.strip(".,?!;:'\"") for word in text.split() if word.islower()}
    return sorted(words, key=lambda word: (-len(word), word))
