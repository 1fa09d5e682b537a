"""Promises: a question for a relative's name is known as one, and so is a memory that tells it."""

import pytest

from kernel.kin_names import name_asked, names_told


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
    ("text", "kin"),
    [
        ("My mother, Dora, took in sewing.", {"mother"}),
        ("It rained. I married Arthur in 1960, and we had one son, Peter.", {"spouse", "child"}),
        ("My mother took in sewing. Arthur's mother was called Nell.", set()),
        ("我娘叫沈阿巧，会绣花。", {"mother"}),
        ("我娘会绣花。", set()),
    ],
)
def test_a_memory_tells_whom_it_names(text, kin):
    assert names_told(text) == kin
