"""Memories: nothing lost, nothing twice, and personal data flagged by kind alone."""

import time

import pytest

from kernel.ids import memory_id
from kernel.language import weight
from kernel.memory import LONGEST, PART, Answer, collect_memories, memories_digest, most_told, parts, personal_data
from tests.elders import sample_memories


def collect(*pairs, language="en"):
    answers = [Answer(question=question, answer=answer) for question, answer in pairs]
    return collect_memories(answers, elder_name="Margaret", language=language)


def test_the_same_words_are_the_same_memory_whoever_typed_them():
    [memory] = collect(("Who?", "  My brother Tom.\n")).items
    assert memory.id == memory_id("Who?", "My brother Tom.")


def test_an_empty_answer_is_no_memory():
    assert collect(("Who?", " \n "), ("Where?", "")).items == ()


def test_the_same_story_under_another_question_is_told_once():
    story = "We had a three-legged lurcher called Bramble."
    assert len(collect(("Pets?", story), ("A dog?", story.upper())).items) == 1


def test_a_short_answer_to_another_question_is_another_memory():
    assert len(collect(("Were you happy?", "Yes."), ("Were you ill?", "Yes.")).items) == 2


def test_a_long_answer_is_split_between_sentences_and_loses_none():
    told = [f"In the year {1900 + number} I walked to the lighthouse and back again." for number in range(60)]
    memories = collect(("Walks?", " ".join(told))).items
    assert len(memories) > 1
    assert all(len(memory.answer) <= LONGEST and memory.question == "Walks?" for memory in memories)
    assert " ".join(memory.answer for memory in memories) == " ".join(told)


def test_a_long_chinese_answer_is_split_too():
    text = "".join(f"第{number}天我走到灯塔，又走了回来。" for number in range(200))
    memories = collect(("散步？", text), language="zh").items
    assert "".join(memory.answer for memory in memories) == text
    assert all(len(memory.answer) <= LONGEST for memory in memories)


def test_an_answer_with_no_full_stop_is_split_all_the_same():
    memories = collect(("?", "and then we walked on, " * 200)).items
    assert all(len(memory.answer) <= LONGEST for memory in memories)


def test_the_life_is_in_the_language_most_memories_are_told_in():
    memories = collect(("a", "I was born in Whitby."), ("b", "我生在绍兴。"), ("c", "我在杭州做工。"))
    assert [memory.language for memory in memories.items] == ["en", "zh", "zh"]
    assert memories.language == "zh"


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("我的电话是13812345678。", ("phone",)),
        ("Ring me on 01263 512345.", ("phone",)),
        ("+44 1263 512 345", ("phone",)),
        ("身份证 33010619420906002X", ("id_number",)),
        ("Card 4111 1111 1111 1111, mail a.b@example.org", ("bank_card", "email")),
        ("From 1938 to 1962, and 112 squares, and 18.5 yuan.", ()),
        ("一九四二年九月六号，花了八十六块。", ()),
    ],
)
def test_personal_data_is_flagged_by_its_kind(text, kinds):
    assert personal_data(text) == kinds


@pytest.mark.parametrize("piece", ["a", "是", "1", "a@", "a@b.c ", "0123-", "+1(1)"])
def test_personal_data_is_looked_for_in_no_more_time_than_reading_takes(piece: str) -> None:
    text = (piece * 100_000)[:100_000]
    began = time.process_time()
    personal_data(text)
    assert time.process_time() - began < 2  # it takes 0.1 s, and 24 s where each start reads to the end


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_sample_elders_hold_no_personal_data_and_lose_no_memory(language):
    memories = sample_memories(language)
    assert len(memories.items) == 42
    assert memories.language == language
    assert not any(memory.personal_data for memory in memories.items)


def test_the_digest_is_of_the_words_alone():
    one, other = collect(("Who?", "Tom.")), collect(("Who?", "Tom!"))
    assert memories_digest(one) == memories_digest(collect(("Who?", "Tom.")))
    assert memories_digest(one) != memories_digest(other)


@pytest.mark.parametrize(
    ("language", "sentence"),
    [
        ("en", "In year {} we mended the roof of the chapel with slates from the quarry. "),
        ("zh", "那一年我们第{}次去山里修水渠，来回要走两天的路。"),
    ],
)
def test_a_long_memory_is_told_in_parts_that_lose_no_word(language: str, sentence: str) -> None:
    text = "".join(sentence.format(number) for number in range(12)).strip()
    (memory,) = collect_memories([Answer(question="", answer=text)], elder_name="n", language=language).items
    told = parts(memory)
    assert len(told) > 2 and {part.id for part in told} == {memory.id}
    assert "".join("".join(part.answer for part in told).split()) == "".join(text.split())
    assert all(weight(part.answer) <= 1.3 * PART for part in told)


@pytest.mark.parametrize(
    ("answer", "tokens"), [("I was born. It rained.", 72), ("It rained on the quarry. " * 20, 129)]
)
def test_an_answer_from_a_long_memory_has_room_for_all_that_is_shown(answer: str, tokens: int) -> None:
    memories = collect_memories([Answer(question="q", answer=answer)], elder_name="n", language="en")
    assert most_told(memories, 72) == tokens


def test_a_short_memory_is_told_whole() -> None:
    (memory,) = collect_memories(
        [Answer(question="q", answer="I was born. It rained.")], elder_name="n", language="en"
    ).items
    assert parts(memory) == [memory]
