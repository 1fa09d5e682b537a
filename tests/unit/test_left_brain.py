"""The left brain: measured on what it was not taught, kept when it is no better, and believed as any teacher is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.adapter import Gguf
from kernel.builtin_teacher import BuiltinTeacher
from kernel.elder import Elder
from kernel.errors import TeacherGarbled
from kernel.extraction import SCHEMA, Extract, Extraction, Extractions, HeldOut, HeldOuts
from kernel.extraction_report import ExtractionReport, evaluate_extraction
from kernel.ids import ElderId, JobId, MemoryId, TenantId
from kernel.job import Brain, Job, JobStatus
from kernel.kept_model import Budget, KeptModel
from kernel.language_model import Reply, Task
from kernel.left_brain import LeftBrain, is_in_place, publish_left_brain
from kernel.left_brain_teacher import LeftBrainTeacher
from kernel.llm_teacher import note_task
from kernel.memory import Answer, collect_memories
from kernel.note import write_notes
from kernel.sample import Message
from tests.memory_store import MemoryElders, MemoryReplies
from tests.offline import FINDER
from tests.tiny_recipe import tiny_recipe
from workers.teachers import Teachers

US, ELDER = TenantId("us"), ElderId("margaret")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
CONFIG = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=ROOT, environ={})
BOAT = Extract(title="The boat", summary="She was blue.", people=("Edwin", "Elias"), places=("Cley",))
NOTHING = Extract()


TOLD = Answer(
    question="And the boat?", answer="Father's boat was the Kittiwake. Uncle Elias built her at Cley in 1934."
)
MEMORIES = collect_memories([TOLD], elder_name="Margaret", language="en")


class Answers:
    """A Trainer that answers each prompt with what `says` has for it; a schema mends what is no JSON."""

    def __init__(self, **says: str) -> None:
        self.says = says
        self.schemas: list[Mapping[str, object] | None] = []

    def answer(
        self,
        gguf: Path,
        prompts: Sequence[Sequence[Message]],
        *,
        recipe: object,
        report: object,
        adapter: Path | None = None,
        schema: Mapping[str, object] | None = None,
    ) -> list[str]:
        self.schemas.append(schema)
        said = [self.says[prompt[-1].content] for prompt in prompts]
        return [one if one.endswith("}") or not schema else one + "}" for one in said]


def held_out(name: str, wanted: Extract = BOAT, *, said: Extract | None = BOAT, is_reviewed: bool = False) -> HeldOut:
    return HeldOut(
        memory_id=MemoryId(name),
        instruction="Extract.",
        input=name,
        wanted=wanted,
        is_reviewed=is_reviewed,
        said=said,
    )


def measured(*held: HeldOut, **says: str) -> tuple[ExtractionReport, Answers]:
    talk = Extraction(instruction="Extract.", input="haha", output=NOTHING.as_json())
    trainer = Answers(haha=NOTHING.as_json(), **says)
    report = evaluate_extraction(
        HeldOuts(memories=held, small_talk=(talk,)),
        left_brain=Gguf(base="tiny", quantisation="q8_0", same_answers=1, asked=1, folder=Path("g")),
        recipe=tiny_recipe(Path("tiny")),
        trainer=trainer,  # type: ignore[arg-type]
        report=lambda fraction, **facts: None,
    )
    return report, trainer


def test_what_is_as_wanted_is_measured_as_whole_with_and_without_a_grammar() -> None:
    report, trainer = measured(held_out("a"), a=BOAT.as_json())
    assert [one.arm for one in report.scores] == ["free", "grammar"]
    assert trainer.schemas == [None, SCHEMA.as_json()]
    for score in report.scores:
        assert (score.valid, score.exact, score.f1, score.small_talk) == (1.0, 1.0, 1.0, 1.0)


def test_what_is_no_json_counts_as_nothing_said_and_a_grammar_mends_its_form() -> None:
    report, _ = measured(held_out("a"), a=BOAT.as_json()[:-1])
    free, grammar = report.scores
    assert (free.valid, free.exact, free.f1) == (0.5, 0.0, 0.0)
    assert (grammar.valid, grammar.exact) == (1.0, 1.0)


def test_f1_counts_the_items_of_the_lists_and_exact_the_fields() -> None:
    half = replace(BOAT, people=("edwin", "Horace"), places=(), title="A boat").as_json()
    report, _ = measured(held_out("a"), a=half)
    score = report.scores[-1]
    assert score.f1 == pytest.approx(2 * 1 / (3 + 2))  # Edwin; of three wanted and two said
    assert score.exact == pytest.approx(4 / 7, abs=1e-4)  # summary, insight, keywords, dates
    assert (score.fields["title"], score.fields["people"], score.fields["dates"]) == (0.0, 0.5, 1.0)


def test_only_what_a_person_reviewed_is_measured_with_where_there_is_any_and_the_teacher_too() -> None:
    reviewed = held_out("a", BOAT, said=replace(BOAT, people=()), is_reviewed=True)
    report, _ = measured(reviewed, held_out("b"), a=BOAT.as_json())
    teacher = report.score("teacher")
    assert (report.memories, report.is_reviewed) == (1, True)
    assert teacher and (teacher.fields["people"], teacher.valid, teacher.small_talk) == (0.0, 1.0, None)
    refused, _ = measured(replace(reviewed, said=None), a=BOAT.as_json())
    assert refused.scores[0].valid == 0.0


# ---- publishing -------------------------------------------------------------------------------------------


def quiet(fraction: float, **facts: object) -> None:
    return None


def publish(
    name: str, report: ExtractionReport, in_use: LeftBrain | None = None, *, progress: Any = quiet, told: str = "m1 m2"
) -> LeftBrain:
    """`told`: the ids of what the family still tells; m1 is taught."""
    memory = MEMORIES.items[0]
    return publish_left_brain(
        Gguf(base="tiny", quantisation="q8_0", same_answers=1, asked=1, folder=Path(name)),
        report,
        Extractions(taught=(Extraction(instruction="", input="", output="", memory_ids=(MemoryId("m1"),)),)),
        replace(MEMORIES, items=tuple(replace(memory, id=MemoryId(one)) for one in told.split())),
        key=f"key of {name}",
        in_use=in_use,
        progress=progress,
    )


def test_a_new_left_brain_takes_the_place_of_one_that_is_no_better() -> None:
    report, _ = measured(held_out("a"), a=BOAT.as_json())
    first = publish("g1", report)
    second = publish("g2", report, first)
    assert (first.number, second.number, second.gguf, second.shortfall) == (1, 2, "g2", None)
    assert publish("g2", report, second) == second


NAMES = "abcdefghi"
GOOD, _ = measured(*map(held_out, NAMES), **dict.fromkeys(NAMES, BOAT.as_json()))
BAD, _ = measured(*map(held_out, NAMES), **dict.fromkeys(NAMES, NOTHING.as_json()))


def test_one_that_finds_clearly_less_on_the_same_memories_is_not_used_and_says_so() -> None:
    told: dict[str, object] = {}
    first = publish("g1", GOOD)
    kept = publish("g2", BAD, first, progress=lambda fraction, **facts: told.update(facts))
    assert (kept.number, kept.gguf, told["kept"], told["got"]) == (1, "g1", "f1", 0.0)
    assert is_in_place(kept, first) and not is_in_place(kept, None)
    others, _ = measured(*map(held_out, "rstuvwxyz"), **dict.fromkeys("rstuvwxyz", NOTHING.as_json()))
    assert publish("g3", others, first).gguf == "g3"


def test_one_that_was_taught_what_the_family_took_back_goes_whatever_its_successor_is_worth() -> None:
    assert publish("g2", BAD, publish("g1", GOOD), told="m2").gguf == "g2"


# ---- in the teacher's place -------------------------------------------------------------------------------


class Model:
    name = "own/left brain"

    def __init__(self, said: Mapping[str, object] | Exception) -> None:
        self.said = said
        self.asked: list[Task] = []

    def reply(self, task: Task, *, pause: Callable[[float], None], begin: Callable[[], None] = lambda: None) -> Reply:
        begin()
        self.asked.append(task)
        if isinstance(self.said, Exception):
            raise self.said
        return Reply(value=self.said, tokens_read=9, tokens_written=9)


SAID = {"title": "The Kittiwake", "summary": "Horace built her.", "insight": None, "keywords": ["boat", "whale"]} | {
    "people": ["Elias", "Napoleon"],
    "places": ["Cley"],
    "dates": ["1934"],
}


def test_a_left_brain_is_asked_in_a_few_words_and_only_what_the_memory_holds_is_kept() -> None:
    model = Model(SAID)
    built_in = BuiltinTeacher(FINDER)
    teacher = LeftBrainTeacher(
        model,  # type: ignore[arg-type]
        CONFIG.get_extraction_words(),
        finder=FINDER,
        fallback=built_in,
        pause=lambda seconds: None,
    )
    [note] = write_notes(MEMORIES, teacher=teacher).items
    [task] = model.asked
    assert [one.role for one in task.messages] == ["system", "user"] and len(task.messages[0].content) < 40
    assert (task.schema, task.max_tokens) == (SCHEMA, 512)
    assert (note.title, note.people, note.keywords) == ("The Kittiwake", ("Elias",), ("boat",))
    assert note.summary == built_in.write_note(MEMORIES.items[0]).summary
    assert teacher.find_entities(note, "en") == built_in.find_entities(note, "en")
    model.said = TeacherGarbled(reason="a reply that was cut off")
    assert write_notes(MEMORIES, teacher=teacher).items[0] == built_in.write_note(MEMORIES.items[0])
    assert teacher.missed == len(MEMORIES.items)


def test_the_log_of_a_call_holds_what_was_told_the_context_and_what_the_teacher_said() -> None:
    replies, said = MemoryReplies(), {**SAID, "insight": ""}
    model = KeptModel(
        Model(said),  # type: ignore[arg-type]
        replies,
        tenant=US,
        elder=ELDER,
        job=JobId("j"),
        budget=Budget(),
        may_ask=lambda task: None,
        clock=lambda: NOON,
    )
    task = note_task(MEMORIES.items[0], CONFIG.get_teacher_prompts())
    model.reply(task, pause=lambda seconds: None)
    [call] = replies.calls(US, ELDER)
    assert call.task.messages[-1].content == MEMORIES.items[0].source
    assert call.task.messages[:-1] == task.messages[:-1] and len(call.task.messages[0].content) > 200
    assert call.reply.value == said and call.model == "own/left brain"


def test_a_retired_teacher_is_asked_for_no_note_but_to_teach_the_left_brain() -> None:
    """A left brain that were taught by itself would learn its own mistakes."""
    elders, replies = MemoryElders(), MemoryReplies()
    elders.add(US, Elder(id=ELDER, name="M", language="en", base_model="", created_at=NOON))
    elders.add_answers(US, ELDER, [TOLD])
    own, remote = Model(SAID), Model(SAID | {"title": "The boat", "insight": ""})
    teachers = Teachers(
        elders=elders,
        builtin=BuiltinTeacher(FINDER),
        finder=FINDER,
        model=remote,  # type: ignore[arg-type]
        is_remote=False,
        prompts=CONFIG.get_teacher_prompts(),
        replies=replies,
        budget=Budget(),
        clock=lambda: NOON,
        words=CONFIG.get_extraction_words(),
        left_brain=lambda tenant, elder: own if (tenant, elder) == (US, ELDER) else None,  # type: ignore[arg-type]
    )
    job = Job(
        id=JobId("j"),
        tenant=US,
        elder=ELDER,
        elder_name="M",
        status=JobStatus.TRAINING,
        force_retrain=False,
        steps=(),
        created_at=NOON,
        updated_at=NOON,
    )
    for brain, title in ((Brain.RIGHT, "The Kittiwake"), (Brain.LEFT, "The boat"), (Brain.RIGHT, "The Kittiwake")):
        teacher, _ = teachers.of(replace(job, brain=brain), lambda seconds: None)
        assert write_notes(MEMORIES, teacher=teacher).items[0].title == title
    assert (len(own.asked), len(remote.asked)) == (1, 1), "nothing is asked twice"
    assert {call.task.purpose for call in replies.calls(US, ELDER)} == {"note", "extraction"}
