"""Promises: a question for a relative's name is known as one, and so is the memory that tells it."""

import pytest

from kernel.ids import MemoryId
from kernel.kin_names import name_asked, names_told
from kernel.memory import Memory


@pytest.mark.parametrize(
    ("question", "kin"),
    [
        ("What was your mum's first name?", "mother"),
        ("Who was your father?", "father"),
        ("What was the name of your grandmother?", "grandmother"),
        ("What name did you give your son?", "child"),
        ("What did you call your eldest daughter?", "child"),
        ("What were your two sisters called?", "sister"),
        ("What is your husband's name?", "spouse"),
        ("您妈妈叫什么名字？", "mother"),
        ("您外婆的名字是什么？", "grandmother"),
        ("您老伴叫什么？", "spouse"),
        ("您的大孙女叫什么名字？", "grandchild"),
        ("您给孩子起了什么名字？", "child"),
    ],
)
def test_a_relative_whose_name_is_asked_for(question, kin):
    assert name_asked(question) == kin


@pytest.mark.parametrize(
    "question",
    [
        "What did your mother do?",
        "What was your mother's sister's name?",
        "What was your son's dog called?",
        "What did you call your mother's dog?",
        "Who was your father's boss?",
        "What was your dentist's name?",
        "What did you name the boat?",
        "您妈妈的妹妹叫什么？",
        "您儿子的狗叫什么？",
        "您妈妈做什么工作？",
    ],
)
def test_no_relative_of_the_elders_own_is_asked_for(question):
    assert name_asked(question) is None


@pytest.mark.parametrize(
    ("question", "answer", "kin"),
    [
        ("", "My mother, Dora, took in sewing.", {"mother"}),
        ("", "It rained. I married Arthur in 1960, and we had one son, Peter.", {"spouse", "child"}),
        ("", "My mother took in sewing. Arthur's mother was called Nell.", set()),
        ("", "我娘叫沈阿巧，会绣花。", {"mother"}),
        ("", "我娘会绣花。", set()),
        ("Tell me about your children.", "We had two. Susan came in 1963.", {"child"}),
        ("How many sisters did you have?", "Three. Ann was the eldest.", {"sister"}),
        ("Tell me about your father's boat.", "A little blue boat called the Kittiwake.", set()),
        ("讲讲您的孩子吧。", "老大建平是一九六七年的。", {"child"}),
        ("您有几个孩子？", "两个，建平和小梅。", {"child"}),
        ("讲讲您妈妈的裁缝铺吧。", "铺子在街口。", set()),
    ],
)
def test_a_memory_tells_whom_it_names_or_was_asked_about(question, answer, kin):
    memory = Memory(id=MemoryId("m"), question=question, answer=answer, language="en", personal_data=())
    assert names_told(memory) == kin
