"""Who is whose relative: what the memories say in English and in Chinese, and nothing that they do not."""

import pytest

from kernel.chinese_kin import chinese_kin
from kernel.english_kin import english_kin
from kernel.graph import Entity, EntityGraph, EntityType
from kernel.ids import MemoryId
from kernel.kin import Said
from kernel.kinship import Relative, kinship
from kernel.note import Notes
from tests.unit.test_entity_extraction import note

PEOPLE = (
    "周德明",
    "老周",
    "德亮",
    "阿英",
    "阿芳",
    "建国",
    "建军",
    "建平",
    "小梅",
    "思雨",
    "沈阿巧",
    "陈长根",
    "孙大姐",
    "娘",
)


def plain(found: list[Said]) -> list[tuple[str, str, str]]:
    return [(one.whose, one.kin, one.name) for one in found]


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("My mother, Dora, took in sewing.", [("", "mother", "Dora")]),
        ("Dora was my mother.", [("", "mother", "Dora")]),
        ("My father was called Edwin Hale.", [("", "father", "Edwin Hale")]),
        ("Our eldest daughter, Jane, lives in York.", [("", "daughter", "Jane")]),
        ("My brothers Tom and Jim went to sea.", [("", "brother", "Tom"), ("", "brother", "Jim")]),
        ("We had two sons, Jack and Will.", [("", "son", "Jack"), ("", "son", "Will")]),
        ("I had a sister called Ivy.", [("", "sister", "Ivy")]),
        ("Tom, my brother, ran off.", [("", "brother", "Tom")]),
        ("I married Arthur in 1961.", [("", "spouse", "Arthur")]),
        ("Rosie, Susan's daughter, sang.", [("Susan", "daughter", "Rosie")]),
        ("I had it from Arthur's Aunt Hester.", [("Arthur", "aunt", "Hester")]),
        ("My great-aunt Hetty and my sister-in-law Joan quarrelled.",
         [("", "great-aunt", "Hetty"), ("", "sister-in-law", "Joan")]),
        ("My mother's sister Vera came.", [("mother", "sister", "Vera"), ("", "mother", "")]),
        ("Uncle Elias built her.", [("", "uncle", "Elias")]),
        ("At bedtime Father sang.", [("", "father", "")]),
    ],
)  # fmt: skip
def test_english_says_it_in_many_ways(sentence: str, said: list[tuple[str, str, str]]) -> None:
    assert plain(list(english_kin(sentence))) == said


@pytest.mark.parametrize(
    "sentence",
    [
        "My best friend's mother baked.",
        "I never had a brother.",
        "His Aunt May came with her Uncle Joe.",
        "He said, 'My brother Tom is dead.'",
        "“My wife Anna,” he wrote, “is ill.”",
        "It was Mother's Day, and the buttons were Mother of pearl.",
        "Sister Agnes taught us, and Father Brown came on Fridays.",
    ],
)
def test_english_says_nothing_of_the_elders_relatives(sentence: str) -> None:
    assert list(english_kin(sentence)) == []


def test_a_name_that_only_follows_is_not_the_relatives() -> None:
    assert plain(list(english_kin("I told my mother, Dora cried."))) == [("", "mother", "")]
    assert plain(list(english_kin("I went with Tom, my mother, and Ann."))) == [("", "mother", "")]
    assert plain(list(english_kin("My mother was Irish."))) == [("", "mother", "")]


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("我娘叫沈阿巧，绣花绣得好。", [("", "mother", "沈阿巧")]),
        ("我爹陈长根撑了一辈子竹筏。", [("", "father", "陈长根")]),
        ("有个弟弟叫水生，比我小四岁。", [("", "brother", "水生")]),
        ("我外孙女叫朵朵，爱唱歌。", [("", "granddaughter", "朵朵")]),
        ("头一个是孙女思雨。", [("", "granddaughter", "思雨")]),
        ("周德明是我丈夫。", [("", "husband", "周德明")]),
        ("我老伴是周德明。", [("", "spouse", "周德明")]),
        ("我嫁给了周德明。", [("", "husband", "周德明")]),
        ("我跟周德明结了婚。", [("", "spouse", "周德明")]),
        ("老周的弟弟德亮来了。", [("老周", "brother", "德亮")]),
        ("我娘的妹妹阿英来了。", [("", "mother", ""), ("娘", "sister", "阿英")]),
        ("我有两个妹妹，阿英和阿芳。", [("", "sister", "阿英"), ("", "sister", "阿芳")]),
        ("我生了两个，老大建平，老二小梅。", [("", "child", "建平"), ("", "child", "小梅")]),
        ("外婆留给我一只玉镯。", [("", "grandmother", "")]),
        ("我爹是陈长根的徒弟。", [("", "father", "")]),
    ],
)
def test_chinese_says_it_in_many_ways(sentence: str, said: list[tuple[str, str, str]]) -> None:
    assert plain(list(chinese_kin(sentence, PEOPLE))) == said


@pytest.mark.parametrize(
    "sentence",
    [
        "食堂的孙大姐来说媒。",
        "赵家奶奶没骂我。",
        "隔壁张奶奶送糖。",
        "她妈妈来了。",
        "我娘家在绍兴。",
        "我没有弟弟。",
        "他说：“我哥哥建国死了。”",
        "老周是钳工，有个弟弟叫德亮。",
        "解放军叔叔给我糖。",
    ],
)
def test_chinese_says_nothing_of_the_elders_relatives(sentence: str) -> None:
    assert list(chinese_kin(sentence, PEOPLE)) == []


def view(*texts: str, language: str = "en", people: tuple[str, ...] = ()) -> tuple[Relative, ...]:
    notes = Notes(language=language, items=tuple(note(text, number) for number, text in enumerate(texts)))
    entities = tuple(
        Entity(title=name, type=EntityType.PERSON, description="", memory_ids=(MemoryId("m_0"),)) for name in people
    )
    return kinship(notes, EntityGraph(entities=entities, relationships=(), communities=()))


def test_the_view_joins_what_several_memories_say_and_names_them() -> None:
    found = view(
        "My father, Edwin, fished.",
        "My brother Tom left.",
        "Father sang.",
        "I wrote to my brother Tom.",
        "Mum laughed.",
    )
    assert found == (
        Relative(whose="", kin="mother", called="Mum", name="", memory_ids=(MemoryId("m_4"),)),
        Relative(whose="", kin="father", called="father", name="Edwin", memory_ids=(MemoryId("m_0"), MemoryId("m_2"))),
        Relative(whose="", kin="brother", called="brother", name="Tom", memory_ids=(MemoryId("m_1"), MemoryId("m_3"))),
    )


def test_a_relative_without_a_name_is_not_taken_for_one_with() -> None:
    found = view("My grandmother Agnes prayed.", "I lost my grandmother's ring.")
    assert [(one.name, one.memory_ids) for one in found] == [("Agnes", ("m_0",)), ("", ("m_1",))]


def test_the_view_in_chinese_knows_where_a_name_ends_by_the_graph() -> None:
    found = view("我爹陈长根撑竹筏。", "我爹走的时候下着雪。", language="zh", people=("陈长根",))
    assert found == (
        Relative(whose="", kin="father", called="爹", name="陈长根", memory_ids=(MemoryId("m_0"), MemoryId("m_1"))),
    )


def test_a_long_memory_without_marks_does_not_hold_the_worker() -> None:
    for piece in ("My Mother Anna Bell Carr and ", "Tom's brother Jack's sister ", "my old poor dear "):
        list(english_kin(piece * 60))
    list(chinese_kin("我娘的妹妹阿英和" * 150, PEOPLE))
