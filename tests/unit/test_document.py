"""Texts become passages: paragraphs stay whole, headings are asked, a page's width parts nothing."""

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


def test_a_heading_of_nothing_is_left_out_and_nothing_has_no_passages():
    assert passages([Block(text="Preface", is_heading=True), Block(text="  ")]) == []
    assert passages(read_blocks("\n \n\r\n\f")) == []
