"""What the left brain is taught, and what it never sees: a person's golden set, and whatever is measured with."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.builtin_teacher import BuiltinTeacher
from kernel.errors import BadInput, BadLine, NothingExtracted
from kernel.extraction import (
    SCHEMA,
    Extract,
    Extractions,
    HeldOuts,
    collect_extractions,
    extract_of,
    held_out_ids,
    hold_out,
    parse_extract,
)
from kernel.golden import golden_lines, keep_golden, read_golden
from kernel.ids import ElderId, JobId, MemoryId, TenantId
from kernel.language_model import Call, Outcome, Reply
from kernel.llm_teacher import note_task
from kernel.memory import Answer, Memories, collect_memories
from kernel.note import Notes, write_notes
from tests.memory_store import MemoryGoldenSets
from tests.offline import FINDER

US, ELDER = TenantId("us"), ElderId("rose")
CONFIG = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=ROOT, environ={})
WORDS = CONFIG.get_extraction_words()
PLACES = (
    "Cley",
    "Salthouse",
    "Blakeney",
    "Wells",
    "Stiffkey",
    "Morston",
    "Holkham",
    "Brancaster",
    "Thornham",
    "Titchwell",
)
SHARED = "Everybody in the family knows that story by heart."


def told(*answers: str) -> Memories:
    said = [
        Answer(
            question=f"What do you remember of {place}?", answer=f"In {place} I mended nets with my cousin {place}son."
        )
        for place in PLACES
    ]
    said += [Answer(question="And then?", answer=answer) for answer in answers]
    return collect_memories(said, elder_name="Rose", language="en")


def notes_of(memories: Memories) -> Notes:
    return write_notes(memories, teacher=BuiltinTeacher(FINDER))


def collect(
    memories: Memories, *calls: Call, golden: Mapping[MemoryId, Extract] | None = None, max_tokens: int = 1024
) -> Extractions:
    return collect_extractions(
        memories,
        notes_of(memories),
        calls=calls,
        reviewed=golden or {},
        words=WORDS,
        finder=FINDER,
        seed=7,
        max_tokens=max_tokens,
    )


def kept_apart(memories: Memories, *calls: Call, golden: Mapping[MemoryId, Extract] | None = None) -> HeldOuts:
    notes = notes_of(memories)
    return hold_out(memories, notes, calls=calls, golden=golden or {}, words=WORDS, finder=FINDER, seed=7)


def call(memories: Memories, place: int, outcome: Outcome = Outcome.REPLIED, **said: object) -> Call:
    nothing = {"title": "", "summary": "", "insight": "", "keywords": [], "people": [], "places": [], "dates": []}
    return Call(
        job=JobId("j"),
        model="here/teacher",
        task=note_task(memories.items[place], CONFIG.get_teacher_prompts()),
        outcome=outcome,
        reply=Reply(value=nothing | said if outcome is Outcome.REPLIED else {}, tokens_read=9, tokens_written=9),
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )


def a_taught_place(memories: Memories) -> int:
    apart = held_out_ids([memory.id for memory in memories.items], {})
    return next(place for place, memory in enumerate(memories.items) if memory.id not in apart)


def test_a_memory_is_learnt_as_its_note_under_an_instruction_of_a_few_words() -> None:
    memories = told()
    found = collect(memories)
    notes = {note.memory_id: note for note in notes_of(memories).items}
    learnt = [one for one in found.taught if one.memory_ids]
    assert len(learnt) == 8
    for one in learnt:
        assert one.output == extract_of(notes[one.memory_ids[0]]).as_json()
        assert len(one.instruction) < 40 and set(json.loads(one.output)) == set(SCHEMA.properties)


def test_small_talk_and_a_question_without_an_answer_are_learnt_as_nothing() -> None:
    silent = [one for one in collect(told()).taught if not one.memory_ids]
    assert len(silent) > 20 and any("What do you remember of" in one.input for one in silent)
    for one in silent:
        assert json.loads(one.output) == dict.fromkeys(("title", "summary", "insight")) | {
            name: [] for name in ("keywords", "people", "places", "dates")
        }


def test_no_sentence_of_what_is_held_out_is_taught_not_even_where_another_memory_tells_it_too() -> None:
    memories = told(*(f"{SHARED} It was in the year {year}, and we laughed about it." for year in range(1950, 1960)))
    found = collect(memories)
    held_out = kept_apart(memories)
    apart = {one.memory_id for one in held_out.memories}
    assert any(SHARED in one.input for one in held_out.memories)
    assert not any(SHARED in one.input for one in found.taught)
    for one in found.taught:
        assert not apart & set(one.memory_ids)
        assert not any(memory.answer in one.input for memory in memories.items if memory.id in apart)
    assert not {one.input for one in held_out.small_talk} & {one.input for one in found.taught}


def test_what_a_person_reviewed_is_never_taught_and_is_what_is_wanted() -> None:
    memories = told()
    place = a_taught_place(memories)
    memory = memories.items[place]
    mine = Extract(title="Nets", people=("my cousin",))
    said = call(memories, place, title="Nets again")
    found = collect(memories, said, golden={memory.id: mine})
    assert not any(memory.answer in one.input or memory.id in one.memory_ids for one in found.taught)
    [reviewed] = [one for one in kept_apart(memories, said, golden={memory.id: mine}).memories if one.is_reviewed]
    assert (reviewed.memory_id, reviewed.wanted) == (memory.id, mine)
    assert reviewed.said == Extract(title="Nets again")


def test_the_log_is_learnt_as_far_as_the_memory_holds_it() -> None:
    memories = told()
    place = a_taught_place(memories)
    name = PLACES[place]
    said = call(memories, place, title=f"Nets in {name}", people=[f"{name}son", "Napoleon"], summary="It was in 1815.")
    [learnt] = [one for one in collect(memories, said).taught if memories.items[place].id in one.memory_ids]
    output = parse_extract(learnt.output)
    assert output and output.title == f"Nets in {name}" and output.people == (f"{name}son",)
    assert output.summary and "1815" not in output.summary
    assert learnt.teacher == "here/teacher"


def test_a_later_refusal_does_not_take_a_reply_away_and_a_later_reply_takes_the_place_of_one() -> None:
    memories = told()
    place = a_taught_place(memories)
    calls = [call(memories, place, title="Nets"), call(memories, place, title="Cousins and nets")]
    calls.append(call(memories, place, Outcome.GARBLED))
    [learnt] = [one for one in collect(memories, *calls).taught if memories.items[place].id in one.memory_ids]
    assert json.loads(learnt.output)["title"] == "Cousins and nets"


def test_a_sample_that_would_be_cut_off_is_not_learnt() -> None:
    memories = told("It went on. " * 90)
    longest = max(memories.items, key=lambda memory: len(memory.answer))
    assert not any(longest.id in one.memory_ids for one in collect(memories, max_tokens=256).taught)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{",
        '{"title": null}',
        "[" * 100_000,
        Extract().as_json().replace("null", "3", 1),
        Extract().as_json()[:-1],
        Extract().as_json().replace("}", ', "age": 28}'),
    ],
)
def test_what_is_not_of_the_schema_is_no_extract(text: str) -> None:
    assert parse_extract(text) is None


def test_an_extract_is_read_as_it_was_written_without_blanks_and_twins() -> None:
    boat = Extract(title="船", people=("爱德温",), dates=("1934",))
    assert parse_extract(boat.as_json()) == boat
    untidy = boat.as_json().replace('"爱德温"', '" 爱德温", "爱德温", " "')
    assert parse_extract(untidy) == boat


# ---- the golden set ---------------------------------------------------------------------------------------


def sent_out(memories: Memories, golden: Mapping[MemoryId, Extract] | None = None) -> list[dict[str, object]]:
    lines = golden_lines(ELDER, memories, notes_of(memories), calls=(), golden=golden or {})
    return [json.loads(line) for line in lines]


def test_what_is_sent_out_approved_and_sent_back_is_measured_with_and_stays_so() -> None:
    memories, sets = told(), MemoryGoldenSets()
    [first, *others] = sent_out(memories)
    assert first["approved"] is False and len(others) == 1
    output = json.loads(json.dumps(first["output"])) | {"title": "As I would say it"}
    body = "\n".join(json.dumps(one) for one in [first | {"output": output, "approved": True}, *others])
    assert keep_golden(US, ELDER, read_golden(body.encode(), memories), sets) == 1
    golden = sets.of_elder(US, ELDER)
    [again] = [one for one in sent_out(memories, golden) if one["approved"]]
    assert again["memory_id"] == first["memory_id"] and again["output"] == output
    assert {one.memory_id for one in kept_apart(memories, golden=golden).memories if one.is_reviewed} == set(golden)
    withdrawn = json.dumps(first | {"approved": False}).encode()
    assert keep_golden(US, ELDER, read_golden(withdrawn, memories), sets) == 0


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"memory_id": "m_000000000000"}, "memory_id"),
        ({"memory_id": ["m"]}, "memory_id"),
        ({"approved": "yes"}, "approved"),
        ({"output": {"title": "x"}}, "other fields"),
        ({"output": None}, "other fields"),
        ({"output": json.loads(Extract(title="x" * 9_000).as_json())}, "longer"),
        ({"output": json.loads(Extract(title="\ud83d").as_json())}, "half a character"),
        ({"output": json.loads(Extract(title="a\0b").as_json())}, "NUL"),
    ],
)
def test_a_bad_line_is_named_and_says_why(change: dict[str, object], reason: str) -> None:
    memories = told()
    [first, second] = sent_out(memories)
    lines = [first | {"approved": True}, second | {"approved": True} | change]
    with pytest.raises(BadLine, match=reason) as error:
        read_golden("\n".join(json.dumps(one) for one in lines).encode(), memories)
    assert error.value.details["line"] == 2


def test_an_empty_file_and_an_elder_of_whom_nothing_was_extracted_are_said_so() -> None:
    with pytest.raises(BadInput):
        read_golden(b"\n", told())
    with pytest.raises(NothingExtracted):
        list(golden_lines(ELDER, told(), None, calls=(), golden={}))


def test_a_chinese_memory_gets_the_chinese_instruction() -> None:
    said = [Answer(question="", answer=f"我在第{number}个村子教过书，学生叫小明。") for number in range(9)]
    memories = collect_memories(said, elder_name="李", language="zh")
    note = notes_of(memories).items[0]
    plain = Notes(language="zh", items=tuple(replace(note, memory_id=memory.id) for memory in memories.items))
    found = collect_extractions(
        memories, plain, calls=(), reviewed=(), words=WORDS, finder=FINDER, seed=7, max_tokens=1024
    )
    assert {one.instruction for one in found.taught} == {WORDS["zh"].instruction}
    assert all(isinstance(one, str) for one in WORDS["zh"].small_talk)
