"""When something was, as it was told, and the year in those words, in English and Chinese."""

import pytest

from kernel.told_time import month_of, told_times, year_of


@pytest.mark.parametrize(
    ("sentence", "told", "year"),
    [
        ("We sailed in 1958.", "1958", 1958),
        ("It was the second of June 1953 and it rained.", "the second of June 1953", 1953),
        ("On March 3rd, 1962 the mill shut.", "March 3rd, 1962", 1962),
        ("The winter of '47 was hard.", "The winter of '47", 1947),
        ("In nineteen fifty-two I left.", "nineteen fifty-two", 1952),
        ("She was born in nineteen oh four.", "nineteen oh four", 1904),
        ("He died in two thousand and nine.", "two thousand and nine", 2009),
        ("In the fifties we had nothing.", "the fifties", 1950),
        ("The 1960s were kind to us.", "The 1960s", 1960),
        ("一九六二年三月五号我进了厂。", "一九六二年三月五号", 1962),
        ("我是1962年春天来的。", "1962年春天", 1962),
        ("民国二十六年我爹逃难。", "民国二十六年", 1937),
        ("五八年大炼钢铁。", "五八年", 1958),
        ("上世纪六十年代我进厂。", "上世纪六十年代", 1960),
        ("零八年地震。", "零八年", 2008),
    ],
)
def test_a_time_has_the_year_that_is_in_its_words(sentence: str, told: str, year: int) -> None:
    assert told in told_times(sentence)
    assert year_of(told) == year


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("The year of the flood we moved to Cley.", "The year of the flood"),
        ("It was the year my father died, and we sold the boat.", "the year my father died"),
        ("I had measles when I was nine.", "when I was nine"),
        ("At fifteen I went to sea.", "At fifteen"),
        ("During the war we kept hens.", "During the war"),
        ("发大水那年，我们搬了家。", "发大水那年"),
        ("我记得解放那年我六岁。", "解放那年"),
        ("九岁那年我打摆子。", "九岁那年"),
        ("小梅出嫁那天，我哭了。", "小梅出嫁那天"),
        ("十八岁我进了厂。", "十八岁"),
        ("困难时期没吃的。", "困难时期"),
        ("一五年我搬了家。", "一五年"),  # of this century or the last
    ],
)
def test_a_time_without_a_year_is_kept_as_it_was_told(sentence: str, told: str) -> None:
    assert told in told_times(sentence)
    assert year_of(told) is None


@pytest.mark.parametrize(
    "sentence",
    [
        "He paid two thousand and nine pounds.",
        "It cost £1950.",
        "There were 1,950 sheep.",
        "The winter was long.",
        "We rose at four, in the dark.",
        "Nineteen ten-shilling notes lay there.",
        "过了五六年才回来。",
        "等了三五年。",
        "那年很冷。",
        "他小我四岁。",
        "花了八十六块。",
    ],
)
def test_a_number_or_a_stretch_of_time_is_no_date(sentence: str) -> None:
    assert told_times(sentence) == []


def test_every_time_stands_in_the_sentence_in_its_order() -> None:
    sentence = "From 1970 I stamped books, until May 1998, the year my sister came home."
    assert told_times(sentence) == ["1970", "May 1998", "the year my sister came home"]


def test_months_in_both_languages() -> None:
    assert [month_of(told) for told in ("May 1938", "一九四二年九月六号", "1942年11月", "the spring of 1950")] == [
        5,
        9,
        11,
        0,
    ]


def test_a_memory_without_a_single_mark_does_not_hold_the_worker() -> None:
    for piece in ("the year my brother ", "when I was twenty ", "五八年那天发大水", "nineteen "):
        told_times(piece * 200)
