"""What a teacher finds in a note is believed as far as the memory goes, in both languages."""

import jsonschema
import pytest

from kernel.entity_extraction import EXTRACTION, Found, Reading, Tie, believed, read_notes
from kernel.errors import TeacherGarbled, TeacherRefused
from kernel.graph import EntityType
from kernel.ids import MemoryId
from kernel.language_model import Task
from kernel.note import Note, Notes
from tests.offline import FINDER
from tests.unit.test_llm_teacher import Model, teacher

BOAT = "Father's boat was the Kittiwake. Uncle Elias built her at Cley in 1934, and she was painted blue."
MILL = "一九五二年我爹陈长根撑着竹筏，把茶叶运到百官镇去卖。我娘在家里绣花。"


def note(text: str, number: int = 1) -> Note:
    return Note(
        memory_id=MemoryId(f"m_{number}"), title="", summary="", insight="", keywords=(), people=(), places=(),
        dates=(), text=text, teacher="",
    )  # fmt: skip


def told(*entities: tuple[str, str, str], ties: tuple[tuple[str, str, str, int], ...] = ()) -> dict[str, object]:
    """As a model would reply; held to the schema, as the adapters hold it."""
    value = {
        "entities": [dict(zip(("name", "type", "description"), one, strict=True)) for one in entities],
        "relationships": [dict(zip(("source", "target", "description", "strength"), one, strict=True)) for one in ties],
    }
    jsonschema.validate(value, EXTRACTION.as_json())
    return value


def read(text: str, said: dict[str, object], language: str = "en") -> Reading:
    return believed(said, note(text), language=language, finder=FINDER)


def test_what_the_memory_names_is_kept_as_the_teacher_typed_it() -> None:
    said = told(
        ("Uncle Elias", "person", "He built the boat."),
        ("the  Kittiwake", "object", "A blue boat."),
        ("1934", "time", "When she was built."),
        ties=(("Uncle Elias", "Kittiwake", "He built her at Cley.", 9),),
    )
    reading = read(BOAT, said)
    assert [(one.title, one.type.value) for one in reading.entities] == [
        ("Uncle Elias", "person"),
        ("Kittiwake", "object"),
        ("1934", "time"),
    ]
    assert reading.ties == (
        Tie(source="Uncle Elias", target="Kittiwake", description="He built her at Cley.", strength=9),
    )
    assert not reading.has_failed


def test_in_chinese_as_well() -> None:
    said = told(
        ("陈长根", "person", "撑竹筏的父亲。"),
        ("百官镇", "place", "卖茶叶的地方。"),
        ("绍兴", "place", "故乡。"),
        ties=(("陈长根", "百官镇", "把茶叶运到那里。", 8), ("陈长根", "绍兴", "故乡。", 5)),
    )
    reading = read(MILL, said, "zh")
    assert [one.title for one in reading.entities] == ["陈长根", "百官镇"]
    assert [(tie.source, tie.target) for tie in reading.ties] == [("陈长根", "百官镇")]


@pytest.mark.parametrize("name", ["Napoleon", "Eli", "I", "she", "", "   ", "the", "k" * 200])
def test_a_name_that_the_memory_does_not_hold_as_a_word_is_none(name: str) -> None:
    reading = read(BOAT + " I sailed and she sang.", told((name, "person", "Somebody."), ("Cley", "place", "A place.")))
    assert [one.title for one in reading.entities] == ["Cley"]


def test_an_invented_description_gives_way_to_the_memorys_own_sentence() -> None:
    said = told(
        ("Kittiwake", "object", "Built by Horace in 1888."),
        ("Elias", "person", ""),
        ties=(("Elias", "Kittiwake", "He sailed her to Valparaiso.", 5), ("Elias", "Cley", "There.", 5)),
    )
    reading = read(BOAT, said)
    assert [one.description for one in reading.entities] == ["Father's boat was the Kittiwake.", BOAT.split(". ")[1]]
    assert reading.ties == (), "no sentence names both, and what was said of them is invented"


def test_a_thing_is_not_tied_to_itself_nor_twice_and_strengths_have_bounds() -> None:
    said = told(
        ("Elias", "person", ""),
        ("Cley", "place", ""),
        ties=(("Elias", "the Elias", "x", 5), ("Elias", "Cley", "there", 99), ("Cley", "Elias", "there", -3)),
    )
    assert [tie.strength for tie in read(BOAT, said).ties] == [10]


def test_a_reply_of_which_nothing_is_in_the_memory_has_failed_and_one_that_finds_nothing_has_not() -> None:
    assert read(BOAT, told(("Napoleon", "person", "An emperor."))).has_failed
    assert not read("Yes.", told()).has_failed


@pytest.mark.parametrize("error", [TeacherRefused(purpose="entities"), TeacherGarbled(reason="an empty reply")])
def test_one_note_that_cannot_be_read_is_counted_and_the_others_are_read(error: Exception) -> None:
    def reply(task: Task) -> object:
        return error if "poison" in task.messages[-1].content else told(("Cley", "place", "A harbour."))

    progress: list[tuple[int, int]] = []
    notes = Notes(language="en", items=(note("It was poison.", 1), note("We sailed from Cley.", 2)))
    readings = read_notes(notes, teacher=teacher(Model(reply)), on_progress=lambda *done: progress.append(done))
    assert [one.has_failed for one in readings] == [True, False]
    assert readings[1].entities == (Found(title="Cley", type=EntityType.PLACE, description="A harbour."),)
    assert progress == [(1, 1), (2, 1)]


def test_each_note_is_asked_about_in_its_own_language_under_its_own_memory() -> None:
    model = Model(lambda task: told())
    notes = Notes(language="zh", items=(note(BOAT, 1), note(MILL, 2)))
    read_notes(notes, teacher=teacher(model))
    systems = [task.messages[0].content for task in model.asked]
    assert "graph of their life" in systems[0] and "关系图" in systems[1]
    assert [task.memory_ids for task in model.asked] == [("m_1",), ("m_2",)]
    assert model.asked[0].messages[-1].content == BOAT
