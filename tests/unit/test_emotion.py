"""Emotion tags out of a stream: the same parse wherever it is cut, and no word lost."""

import random
from collections.abc import AsyncIterator

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernel.emotion import OPENING, EmotionParser, Felt

ALLOWED = ["开心", "生气", "悲伤", "惊讶", "撒娇", "平静", "Happy", "Angry", "Sad", "Surprised", "Coquettish", "Calm"]
ANSWERS = [
    "[开心] 你好！很高兴见到你！[悲伤] 可是你奶奶不在了……【平静】都过去了。😀",
    "［Happy］ Good morning! [ sad ] I miss him. [1998] was hard. 【SURPRISED】Oh!",
    "没有标签的一段话，写得很长很长，超过了二十个字，中间还有一个没有关上的括号[开",
    "[excited] Not one of ours. [[Happy]] twice [开心",
    "",
]


def parsed(pieces: list[str] | list[bytes], default: str = "平静") -> list[Felt]:
    parser = EmotionParser(ALLOWED, default)
    found = [felt for piece in pieces for felt in parser.feed(piece)] + parser.end()
    joined: list[Felt] = []
    for felt in found:
        if joined and joined[-1].emotion == felt.emotion:
            felt = Felt(emotion=felt.emotion, text=joined.pop().text + felt.text)
        joined.append(felt)
    return joined


def pairs(text: str) -> list[tuple[str, str]]:
    return [(felt.emotion, felt.text) for felt in parsed([text])]


@pytest.mark.parametrize("answer", ANSWERS)
def test_a_thousand_random_cuts_give_the_same_parse(answer: str) -> None:
    whole, data, rng = parsed([answer]), answer.encode(), random.Random(7)
    for _ in range(1000):
        cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.randrange(1, 30)))
        pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
        assert parsed(pieces) == whole


@given(st.binary(max_size=120), st.lists(st.integers(0, 120), max_size=12))
def test_whatever_bytes_come_and_however_they_are_cut_the_parse_is_the_same(data: bytes, at: list[int]) -> None:
    cuts = sorted(min(cut, len(data)) for cut in at)
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert parsed(pieces) == parsed([data])


@given(st.text(alphabet="ab 。[］【happyHAPY开心", max_size=80))
def test_no_word_is_lost_but_those_of_tags(text: str) -> None:
    said = "".join(felt.text for felt in parsed([text]))
    left = iter(text)
    assert all(character in left for character in said)  # in order
    if not any(bracket in text for bracket in "]］】"):
        assert said == text


def test_a_tag_speaks_for_all_that_follows_until_the_next() -> None:
    assert pairs("[开心] 你好！[Sad] Oh.") == [("开心", " 你好！"), ("Sad", " Oh.")]


@pytest.mark.parametrize("tag", ["[Happy]", "［Happy］", "【Happy】", "[HAPPY]", "[ happy ]", "［Ｈａｐｐｙ］"])
def test_brackets_and_letters_may_be_of_either_width(tag: str) -> None:
    assert pairs(f"{tag}Hello") == [("Happy", "Hello")]


def test_an_answer_without_a_tag_is_said_with_the_default_emotion() -> None:
    assert pairs("Hello.") == [("平静", "Hello.")]


def test_a_tag_that_begins_after_the_opening_does_not_speak_for_what_was_before_it() -> None:
    before = "x" * (OPENING + 1)
    assert pairs(f"{before}[Happy]now") == [("平静", before), ("Happy", "now")]


def test_the_few_words_before_the_first_tag_are_said_with_its_emotion() -> None:
    before = "x" * OPENING
    assert pairs(f"{before}[Happy]now") == [("Happy", f"{before}now")]


def test_text_is_told_as_soon_as_the_opening_is_over() -> None:
    parser = EmotionParser(ALLOWED, "Calm")
    assert parser.feed("x" * OPENING) == []
    assert parser.feed("y") == [Felt(emotion="Calm", text="x" * OPENING + "y")]
    assert parser.feed("z") == [Felt(emotion="Calm", text="z")]


def test_an_emotion_that_is_not_allowed_is_neither_felt_nor_read_aloud() -> None:
    assert pairs("[兴奋] 你好") == [("平静", " 你好")]


def test_a_bracket_of_the_text_itself_stays_in_it() -> None:
    assert pairs("[Calm] In [1958] and [a b] it") == [("Calm", " In [1958] and [a b] it")]


def test_a_bracket_that_is_never_closed_is_not_waited_for() -> None:
    parser = EmotionParser(ALLOWED, "Calm")
    parser.feed("[Calm]")
    told = "".join(felt.text for felt in parser.feed("[" + "x" * 40))
    assert told.startswith("[xxx") and len(told) > 20


def test_parse_is_an_async_generator_over_the_stream() -> None:
    async def pieces() -> AsyncIterator[str]:
        for piece in ("[开", "心]", "你", "好"):
            yield piece

    async def run() -> list[Felt]:
        return [felt async for felt in EmotionParser(ALLOWED, "平静").parse(pieces())]

    assert "".join(felt.text for felt in anyio.run(run)) == "你好"
