"""Grounding: a name, number or year that the source does not hold is found."""

import pytest

from kernel.grounding import unsupported
from tests.offline import FINDER

EN = "Anna built the Kittiwake at Cley in 1934, with her cousin Arthur Whitcombe."
ZH = "我一九三八年生在苏州，家里有三个孩子。"


@pytest.mark.parametrize("text", ["Arthur built her in 1934.", "It was at Cley.", "They remember it well."])
def test_what_the_source_holds_is_supported(text: str) -> None:
    assert unsupported(text, EN, language="en", finder=FINDER) == []


@pytest.mark.parametrize(
    ("text", "invented"),
    [
        ("They were 3 children.", "3"),
        ("She was 19.", "19"),
        ("It was in 1943.", "1943"),
        ("Horace Plunkett built her.", "Horace"),
    ],
)
def test_a_number_or_name_of_its_own_is_not(text: str, invented: str) -> None:
    assert invented in " ".join(unsupported(text, EN, language="en", finder=FINDER))


def test_chinese_numbers_count_too() -> None:
    assert unsupported("一九三八年，家里有三个孩子。", ZH, language="zh", finder=FINDER) == []
    assert "五" in unsupported("家里有五个孩子。", ZH, language="zh", finder=FINDER)
    assert "一九四八" in "".join(unsupported("一九四八年生。", ZH, language="zh", finder=FINDER))


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("1956年去了苏州。", "我一九五六年去了苏州。"),
        ("一九五六年八月去了苏州。", "我1956年八月去了苏州。"),
        ("那是五六年。", "我一九五六年去了苏州。"),
        ("She came in 1956.", "She came in 1956, as 一九五六年 says."),
    ],
)
def test_a_year_is_the_same_in_digits_and_in_characters(text: str, source: str) -> None:
    assert unsupported(text, source, language="zh", finder=FINDER) == []


@pytest.mark.parametrize("text", ["1957年去了苏州。", "一九五六年八月去了苏州。", "1966年去了苏州。"])
def test_another_year_or_month_is_not(text: str) -> None:
    assert unsupported(text, "我一九五六年三月去了苏州。", language="zh", finder=FINDER)
