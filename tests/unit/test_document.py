"""Texts become passages: paragraphs stay whole, headings are asked, a page's width parts nothing."""

import time

import pytest

from kernel.document import LONG, Block, passages, read_blocks
from kernel.language import weight

MEMOIR = """Chapter One: The Farm

My father kept forty ewes on the hill above
Tarn Beck, and each of them had a name that
only he and the dog could tell apart.

In the winter of 1947 the snow stood higher than
the barn door. We dug a tun-
nel to the byre and milked by lamplight.

CHAPTER TWO

Then I went to school.
"""
回忆 = """第一章　老屋
　　我家的老屋在石桥边，门前有一棵大槐树，夏天全村的人都来树下乘凉。
　　我爹在树下给人剃头，一个头收两分钱，逢年过节不收钱。
第二章　上学
　　我七岁才上学，先生姓周，一只眼睛看不见。
"""


def test_lines_that_a_page_parted_are_one_paragraph_and_a_heading_is_what_is_asked():
    answers = passages(read_blocks(MEMOIR))
    assert [one.question for one in answers] == ["Chapter One: The Farm", "CHAPTER TWO"]
    assert answers[0].answer.startswith("My father kept forty ewes on the hill above Tarn Beck, and each")
    assert "We dug a tunnel to the byre" in answers[0].answer
    assert answers[1].answer == "Then I went to school."


def test_chinese_lines_are_joined_without_a_blank_and_indented_ones_are_paragraphs():
    blocks = read_blocks(回忆)
    assert [block.is_heading for block in blocks] == [True, False, False, True, False]
    answers = passages(blocks)
    assert [one.question for one in answers] == ["第一章 老屋", "第二章 上学"]
    assert "乘凉。\n我爹在树下" in answers[0].answer
    assert read_blocks("我家的老屋在石桥边，门前\n有一棵大槐树。")[0].text == "我家的老屋在石桥边，门前有一棵大槐树。"


def test_a_text_of_one_long_line_a_paragraph_keeps_them_apart():
    lines = [f"Paragraph number {number} goes on. " * 8 for number in range(4)]
    assert len(read_blocks("\n".join(lines))) == 4


def test_every_word_is_kept_and_passages_have_a_middle_length():
    blocks = [Block(text=f"This is sentence number {number} of a long life.") for number in range(60)]
    answers = passages(blocks)
    assert " ".join(one.answer for one in answers).split() == " ".join(block.text for block in blocks).split()
    assert all(weight(one.answer) <= LONG for one in answers)
    assert len(answers) <= 12


@pytest.mark.parametrize(
    "text",
    [
        "We took most of it by cart, and then a\npart of the honey to the market in Ludlow.\nIt sold well there.",
        "Part of my childhood I spent with my aunt in Leeds, and the rest of it at home.",
        "第一回见到你爷爷是在1956年的夏天，他在桥头修车。",
        "我一九三五年生在绍兴\n\n家里兄弟五个我是老三\n\n父亲是木匠母亲给人洗衣服\n\n十六岁去上海当学徒。",
        "Roses are red\n\nViolets are blue\n\nMy mother said this\n\nAnd it was true",
        "Dear Tom,\n\nThe roof is mended.\n\nYour Gran",
    ],
)
def test_no_word_of_a_text_without_chapters_is_lost(text: str) -> None:
    answers = passages(read_blocks(text))
    kept = "".join(f"{one.question}{one.answer}" for one in answers)
    assert sorted("".join(kept.split())) == sorted("".join(text.split()))
    assert all(len(one.question) <= 30 for one in answers)


def test_headings_in_a_row_are_one() -> None:
    blocks = [
        Block(text="Part One", is_heading=True),
        Block(text="The farm", is_heading=True),
        Block(text="We ploughed."),
    ]
    assert [(one.question, one.answer) for one in passages(blocks)] == [("Part One · The farm", "We ploughed.")]


def test_a_whole_text_set_as_headings_is_no_question() -> None:
    long = Block(text="We ploughed with two horses, and I walked behind them. " * 9, is_heading=True)
    assert passages([long])[0].question == ""
    contents = [Block(text=f"Chapter {number}", is_heading=True) for number in range(999)]
    assert len(passages([*contents, Block(text="We ploughed.")])[0].question) < 200


def test_a_text_of_many_short_lines_is_read_in_a_moment() -> None:
    began = time.monotonic()
    passages(read_blocks("abcdefg abc\n" * 50_000))
    passages(read_blocks("家 " * 200_000))
    assert time.monotonic() - began < 5


def test_a_heading_of_nothing_is_left_out_and_nothing_has_no_passages():
    assert passages([Block(text="Preface", is_heading=True), Block(text="  ")]) == []
    assert passages(read_blocks("\n \n\r\n\f")) == []
