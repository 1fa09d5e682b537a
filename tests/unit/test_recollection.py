"""Recollection and follow-ups: what is shown where retrieval is in doubt, and what is searched for."""

from collections.abc import Sequence

import pytest

from kernel.follow_up import find_in_talk
from kernel.memory import Answer, collect_memories
from kernel.recollection import settled
from kernel.retrieval import Found
from kernel.sample import Message

TOLD = collect_memories(
    [
        Answer(question="Home?", answer="I was born in Dunmore by the mill. My mother said the cuckoo was calling."),
        Answer(question="Dog?", answer="Our dog Captain slept on the stairs and barked at the postman."),
        Answer(question="School?", answer="I went to school in Tuam when I was five."),
        Answer(question="Children?", answer="We had two. Susan came in 1963, in the snow."),
        Answer(question="河？", answer="我们家门口有一条小河，夏天我天天去摸鱼。"),
    ],
    elder_name="Ann",
    language="en",
).items
HOME, DOG = TOLD[:2]
DOUBTED = Found(memories=(HOME, DOG), is_sure=False)


@pytest.mark.parametrize(
    "said",
    [
        "Our dog Captain slept on the stairs",
        "our dog Captain slept, and then",
        "My mother said the cuckoo was calling.",
    ],
)
def test_what_both_retrieval_and_the_model_came_upon_is_shown(said: str) -> None:
    assert settled(DOUBTED, said, TOLD) == DOUBTED


@pytest.mark.parametrize(
    "said",
    [
        "I don't remember that.",
        "That I don't remember, dear.",
        "I went to school in Tuam when I",
        "We had two. Susan came in",
        "我们家门口有一条",
    ],
)
def test_nothing_is_remembered_where_the_model_admits_it_or_thinks_of_something_else(said: str) -> None:
    assert settled(DOUBTED, said, TOLD) is None


LIKELY = Found(memories=(HOME, DOG), is_sure=False, is_likely=True)


def test_what_is_likely_meant_is_shown_alone_to_a_model_that_remembers_something_else() -> None:
    assert settled(LIKELY, "I went to school in Tuam when I", TOLD) == Found(memories=(HOME,), is_sure=True)
    assert settled(LIKELY, "I don't remember that.", TOLD) is None
    assert settled(LIKELY, "Our dog Captain slept on the stairs", TOLD) == LIKELY


@pytest.mark.parametrize(
    "said", ["Good morning, dear. Ask me anything you like.", "I am Ann. Ask me about my life.", ""]
)
def test_what_begins_as_no_memory_does_is_said_with_nothing_shown(said: str) -> None:
    assert settled(DOUBTED, said, TOLD) == Found(memories=(), is_sure=False)


def test_what_the_model_says_later_does_not_count() -> None:
    said = "Our dog Captain slept on the stairs and barked at the postman. I don't remember his name."
    assert settled(DOUBTED, said, TOLD) == DOUBTED


def test_where_retrieval_is_sure_the_model_is_not_heard() -> None:
    sure = Found(memories=(HOME,), is_sure=True)
    assert settled(sure, "I don't remember.", TOLD) == sure


BEFORE = (
    Message(role="user", content="Where did your brother Tom work?"),
    Message(role="assistant", content="At the mill."),
)
ZH_BEFORE = (Message(role="user", content="您弟弟在哪儿上班？"), Message(role="assistant", content="在磨坊。"))


def searched(question: str, history: Sequence[Message], *, is_sure: bool) -> str:
    """What was searched for in the end."""
    asked: list[str] = []

    def find(text: str) -> Found:
        asked.append(text)
        return Found(memories=(), is_sure=is_sure)

    find_in_talk(question, history, find)
    return asked[-1]


@pytest.mark.parametrize("is_sure", [False, True])
@pytest.mark.parametrize("asked", ["Why?", "And then?", "What else do you remember?", "What was her name?"])
def test_a_question_that_says_little_is_searched_for_with_the_one_before(asked: str, is_sure: bool) -> None:
    assert searched(asked, BEFORE, is_sure=is_sure) == f"Where did your brother Tom work? {asked}"


@pytest.mark.parametrize("asked", ["How many years did he carry the flour?", "Was there a lurcher in the pantry?"])
def test_a_question_that_points_back_is_searched_for_by_itself_first(asked: str) -> None:
    assert searched(asked, BEFORE, is_sure=True) == asked
    assert searched(asked, BEFORE, is_sure=False) == f"Where did your brother Tom work? {asked}"


@pytest.mark.parametrize("asked", ["Did you ever sail to Canada?", "您是哪一年结婚的，在哪儿办的酒席？"])
def test_a_question_that_stands_by_itself_is_searched_for_alone(asked: str) -> None:
    assert searched(asked, BEFORE, is_sure=False) == asked


@pytest.mark.parametrize("asked", ["还有呢？", "他后来去了哪里？", "那时候谁跟您在一起？"])
def test_a_chinese_question_leans_too(asked: str) -> None:
    assert searched(asked, ZH_BEFORE, is_sure=False) == f"您弟弟在哪儿上班？ {asked}"
    assert searched(asked, (), is_sure=False) == asked
