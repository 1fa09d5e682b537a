"""A teacher that fails three times in ten: the notes are whole and grounded, and nothing is asked or paid for twice."""

import json
import random
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import pytest

from adapters.openai_model import OpenAiModel
from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.builtin_teacher import BuiltinTeacher
from kernel.errors import HeirloomError, TeacherMisconfigured
from kernel.grounding import unsupported
from kernel.ids import ElderId, JobId, TenantId
from kernel.kept_model import Budget, KeptModel
from kernel.language_model import Outcome
from kernel.llm_teacher import LlmTeacher
from kernel.memory import Answer, Memories, collect_memories
from kernel.note import Notes, write_notes
from tests.elders import sample_memories
from tests.memory_store import MemoryReplies
from tests.offline import FINDER
from tests.openai_double import KEY, MODEL, OpenAiDouble

US, ELDER = TenantId("us"), ElderId("margaret")
PROMPTS = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=ROOT, environ={}).get_teacher_prompts()
FAULTS = ["garbage", "misfit", "500", "429", "cut", "empty", "refused", "length"]


def note(name: str, asked: str) -> dict[str, Any]:
    """What a teacher that invents now and then would write: the last sentence, and a name of its own."""
    sentence = asked.rsplit(". ", 1)[-1]
    return {
        "title": "A memory", "summary": sentence, "insight": "Napoleon was there in 1812.", "keywords": [],
        "people": ["Napoleon"], "places": [], "dates": [],
    }  # fmt: skip


def write(memories: Memories, server: OpenAiDouble, replies: MemoryReplies, job: str) -> Notes:
    with closing(OpenAiModel(url=server.url, api_key=KEY, model=MODEL, attempts=3)) as model:
        kept = KeptModel(
            model,
            replies,
            tenant=US,
            elder=ELDER,
            job=JobId(job),
            budget=Budget(),
            may_ask=lambda task: None,
            clock=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        )
        teacher = LlmTeacher(kept, PROMPTS, finder=FINDER, fallback=BuiltinTeacher(FINDER), pause=lambda seconds: None)
        return write_notes(memories, teacher=teacher)


def resumed(write_once: Callable[[str], Notes]) -> tuple[Notes, int]:
    """As a job is started again after a typed error: how many attempts it took."""
    for attempt in range(1, 20):
        try:
            return write_once(f"j{attempt}"), attempt
        except HeirloomError as error:
            assert error.code.startswith("teacher"), error
    raise AssertionError("never done")


@pytest.fixture(scope="module")
def memories() -> Memories:
    return sample_memories("en")


def test_notes_are_whole_and_grounded_though_three_in_ten_replies_fail(memories: Memories) -> None:
    rng = random.Random(7)
    replies = MemoryReplies()
    with OpenAiDouble(note) as server:
        server.faults = [rng.choice(FAULTS) if rng.random() < 0.3 else "" for _ in range(400)]
        notes, _ = resumed(lambda job: write(memories, server, replies, job))
        assert [one.memory_id for one in notes.items] == [memory.id for memory in memories.items]
        for one, memory in zip(notes.items, memories.items, strict=True):
            said = f"{one.title} {one.summary} {one.insight} {' '.join(one.people)}".replace("A memory", "")
            source = f"{memory.question} {memory.answer}"
            assert unsupported(said, source, language="en", finder=FINDER) == []
        by_teacher = sum("teacher-1" in one.teacher for one in notes.items)
        assert by_teacher >= 0.8 * len(notes.items)
        asked = len(server.requests)
        assert asked <= 2.5 * len(notes.items)
        replied = [
            call.task.messages[-1].content for call in replies.calls(US, ELDER) if call.outcome is Outcome.REPLIED
        ]
        assert len(replied) == len(set(replied)) == by_teacher, "a reply that was got is not asked for again"
        server.faults = []
        again = write(memories, server, replies, "again")
        wrong = len(notes.items) - by_teacher
        assert len(server.requests) - asked == wrong, "only what was never replied is asked once more"
        assert sum("teacher-1" in one.teacher for one in again.items) == len(again.items)


def test_an_account_that_runs_dry_in_the_middle_loses_nothing_and_is_not_asked_twice(memories: Memories) -> None:
    replies = MemoryReplies()
    with OpenAiDouble(note) as server:
        server.faults = [*[""] * 20, *["no money"] * 50]
        with pytest.raises(TeacherMisconfigured, match="credit"):
            write(memories, server, replies, "j1")
        assert len(server.requests) == 21
        server.faults = []
        notes = write(memories, server, replies, "j2")
        assert len(server.requests) == 21 + len(memories.items) - 20
        write(memories, server, replies, "j3")
        assert len(server.requests) == 21 + len(memories.items) - 20
    assert all("teacher-1" in one.teacher for one in notes.items)


def test_one_memory_changed_is_one_call(memories: Memories) -> None:
    replies = MemoryReplies()
    with OpenAiDouble(note) as server:
        write(memories, server, replies, "j1")
        assert len(server.requests) == len(memories.items)
        assert all(json.dumps(one).count('"role": "user"') == 1 for one in server.requests)
        told = [Answer(question=one.question, answer=one.answer) for one in memories.items]
        told[3] = Answer(question=told[3].question, answer=told[3].answer + " We laughed.")
        changed = collect_memories(told, elder_name=memories.elder_name, language="en")
        write(changed, server, replies, "j2")
        assert len(server.requests) == len(memories.items) + 1
        spent = replies.spent(US, JobId("j2"))
        assert spent.calls == 1 and spent.tokens > 100
