"""The entity graph by a teacher model over HTTP: the strict double of OpenAI's API, and the real GraphRAG program."""

import json
import random
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from adapters.entity_finder import OfflineEntityFinder
from adapters.graphrag import GraphRagIndexer
from adapters.openai_model import OpenAiModel
from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.builtin_teacher import BuiltinTeacher
from kernel.entity_extraction import Reading, read_notes
from kernel.errors import BudgetSpent
from kernel.graph import EntityGraph, EntityType
from kernel.ids import ElderId, JobId, TenantId
from kernel.indexing import index_graph
from kernel.kept_model import Budget, KeptModel
from kernel.llm_teacher import LlmTeacher
from kernel.note import Notes
from tests.elders import sample_memories
from tests.integration.test_graph import notes_of
from tests.memory_store import MemoryReplies
from tests.openai_double import KEY, MODEL, OpenAiDouble

pytestmark = pytest.mark.integration

US, ELDER = TenantId("us"), ElderId("margaret")
FINDER = OfflineEntityFinder()
PROMPTS = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=ROOT, environ={}).get_teacher_prompts()
FAULTS = ["garbage", "misfit", "500", "429", "cut", "empty", "refused", "length"]
NAMES = {
    "en": re.compile(r"\b[A-Z][a-z]{2,}\b"),
    "zh": re.compile("陈长根|沈阿巧|周德明|老周|小梅|建平|思雨|西安|百官镇|新疆"),
}


def teach(name: str, asked: str) -> dict[str, Any]:
    """A teacher that finds capitalised words, relates neighbours, and invents one name and one year a note."""
    assert name == "entities"
    found = list(dict.fromkeys([*NAMES["en"].findall(asked), *NAMES["zh"].findall(asked)]))
    rows = [{"name": one, "type": "person", "description": ""} for one in [*found, "Napoleon"]]
    ties = [
        {"source": one, "target": other, "description": "They met in 1812.", "strength": 5}
        for one, other in pairwise(found)
    ]
    return {"entities": rows, "relationships": ties}


@contextmanager
def teacher(server: OpenAiDouble, replies: MemoryReplies, job: str, calls: int = 0) -> Iterator[LlmTeacher]:
    with closing(OpenAiModel(url=server.url, api_key=KEY, model=MODEL, attempts=3)) as model:
        kept = KeptModel(
            model,
            replies,
            tenant=US,
            elder=ELDER,
            job=JobId(job),
            budget=Budget(calls=calls),
            may_ask=lambda task: None,
            clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        )
        yield LlmTeacher(kept, PROMPTS, finder=FINDER, fallback=BuiltinTeacher(FINDER), pause=lambda seconds: None)


def index(
    notes: Notes, server: OpenAiDouble, replies: MemoryReplies, job: str, scratch: Path
) -> tuple[EntityGraph, dict[str, Any]]:
    """The graph, and the facts of its progress as they stand at the end."""
    facts: dict[str, Any] = {}
    with teacher(server, replies, job) as one:
        graph = index_graph(
            notes,
            teacher=one,
            indexer=GraphRagIndexer(),
            scratch=scratch,
            report=lambda fraction, **said: facts.update(said),
        )
    return graph, facts


def read(notes: Notes, server: OpenAiDouble, replies: MemoryReplies, job: str, calls: int = 0) -> list[Reading]:
    with teacher(server, replies, job, calls) as one:
        return read_notes(notes, teacher=one)


def sample_notes(language: str, limit: int = 12) -> Notes:
    return notes_of(*(memory.answer for memory in sample_memories(language).items[:limit]), language=language)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_graph_is_the_teachers_as_far_as_the_memories_go_and_a_second_run_asks_nothing(
    language: str, tmp_path: Path
) -> None:
    notes, replies = sample_notes(language), MemoryReplies()
    text = {note.memory_id: note.text for note in notes.items}
    with OpenAiDouble(teach) as server:
        graph, facts = index(notes, server, replies, "j1", tmp_path)
        assert len(server.requests) == len(notes.items)
        assert "NAPOLEON" not in {entity.title for entity in graph.entities}
        assert "1812" not in json.dumps(asdict(graph)), "what was said of a relation is not in any memory"
        named = graph.entity("EDWIN" if language == "en" else "陈长根")
        assert named is not None and named.type is EntityType.PERSON
        assert all(named.title.casefold() in text[memory].casefold() for memory in named.memory_ids)
        if language == "en":
            assert graph.communities and graph.neighbours("KITTIWAKE")
        again, _ = index(notes, server, replies, "j2", tmp_path)
        assert len(server.requests) == len(notes.items), "an unchanged set of notes costs no call"
    assert json.dumps(asdict(again)) == json.dumps(asdict(graph))
    assert list(tmp_path.iterdir()) == []
    # Notes that name nothing capitalised are all that the teacher failed on.
    bare = {note.memory_id for note in notes.items if len(teach("entities", note.text)["entities"]) == 1}
    assert set(graph.failed_memory_ids) == bare and facts["failed_notes"] == len(bare)


def test_one_note_that_the_teacher_refuses_is_named_and_read_by_the_offline_finder(tmp_path: Path) -> None:
    notes = notes_of("Tom sailed to Canada.", "Vera danced at Whitby with Ann.", "Ann sang in Whitby.")
    with OpenAiDouble(teach) as server:
        server.faults = ["refused"]
        graph, facts = index(notes, server, MemoryReplies(), "j1", tmp_path)
    assert graph.failed_memory_ids == ("m_0",) and facts["failed_notes"] == 1
    places = {entity.title for entity in graph.entities if entity.type is EntityType.PLACE}
    assert places == {"CANADA"}, "the finder knows a place; the double calls everything a person"
    assert graph.neighbours("WHITBY") == ("ANN", "VERA"), "two notes say one, one the other"


def test_one_note_changed_is_one_call() -> None:
    notes, replies = sample_notes("en"), MemoryReplies()
    with OpenAiDouble(teach) as server:
        read(notes, server, replies, "j1")
        texts = [note.text for note in notes.items]
        texts[3] += " We laughed."
        read(notes_of(*texts), server, replies, "j2")
        assert len(server.requests) == len(notes.items) + 1
    assert replies.spent(US, JobId("j2")).calls == 1


def test_three_in_ten_replies_fail_and_the_readings_are_whole() -> None:
    notes, replies, rng = sample_notes("en", 42), MemoryReplies(), random.Random(7)
    with OpenAiDouble(teach) as server:
        server.faults = [rng.choice(FAULTS) if rng.random() < 0.3 else "" for _ in range(400)]
        readings: list[Reading] = []
        for attempt in range(20):  # as a job is started again after a typed error
            try:
                readings = read(notes, server, replies, f"j{attempt}")
                break
            except Exception as error:
                assert getattr(error, "code", "") == "teacher_unavailable", error
        asked = len(server.requests)
        failed = sum(one.has_failed for one in readings)
        assert [one.memory_id for one in readings] == [note.memory_id for note in notes.items]
        assert failed <= 0.2 * len(readings) and asked <= 2.5 * len(readings)
        server.faults = []
        again = read(notes, server, replies, "again")
        assert len(server.requests) - asked <= failed, "only what was never replied is asked once more"
        assert sum(one.has_failed for one in again) <= failed


def test_a_budget_that_is_spent_in_the_middle_loses_nothing() -> None:
    notes, replies = sample_notes("en"), MemoryReplies()
    with OpenAiDouble(teach) as server:
        with pytest.raises(BudgetSpent):
            read(notes, server, replies, "j1", calls=5)
        assert len(server.requests) == 5
        read(notes, server, replies, "j2", calls=100)
        assert len(server.requests) == len(notes.items)
