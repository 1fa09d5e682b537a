"""Documents: a memoir, a letter or notes as answers, one a passage; a heading stands where a question would.

A passage is a few paragraphs under one heading: long enough to be understood alone, short enough to be shown whole.
Every word is kept but a heading's of nothing.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from kernel.language import weight
from kernel.memory import Answer

SHORT, LONG = 300, 900  #: of a passage, in Latin letters; a Chinese character counts three
LONGEST_HEADING = 80  #: characters
WIDEST = 150  #: of a line on a page, in the same measure

_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_ENDS = re.compile(r"[.!?…。！？；;:：,，、”’\"')）」』]\s*$")
_INDENTED = re.compile(r"\u3000|\t|  ")
_CHAPTER = re.compile(
    r"\s*(?:(?:chapter|part|book)\s+(?:\d+|[ivxlc]+|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b"
    r"|[IVXLC]+\.?\s*$|第[〇零一二三四五六七八九十百\d]+[章节回部篇卷](?:[\s\u3000：:、]|$))",
    re.I,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A paragraph or a heading, without line breaks that only a page's width made."""

    text: str
    is_heading: bool = False


def read_blocks(text: str) -> list[Block]:
    """Of plain text: blank lines part the blocks, and see `_paragraphs`.

    A heading is a chapter's line, or a short line without a mark at its end before a paragraph that has one.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    found = [
        paragraph
        for stretch in re.split(r"\n[ \t\u3000]*\n", text)
        for paragraph in _paragraphs([line for line in stretch.split("\n") if line.strip()])
    ]
    return [
        Block(text=one, is_heading=_is_chapter(one) or (_is_short(one) and bool(_ENDS.search(following[-9:]))))
        for one, following in pairwise([*found, ""])
    ]


def passages(blocks: Iterable[Block]) -> list[Answer]:
    """Paragraphs under one heading, joined until they are a passage. Headings in a row are one.

    What is set as a heading and is longer than one is a paragraph.
    """
    answers: list[Answer] = []
    heading, width = "", 0
    held: list[str] = []
    for block in blocks:
        text = " ".join(block.text.split())
        if block.is_heading and len(text) <= 2 * LONGEST_HEADING:
            answers += _answer(heading, held)
            above = "" if held or not heading else f"{heading[-LONGEST_HEADING:]} · "
            heading = above + text
            held, width = [], 0
        elif text:
            if held and (width >= SHORT or width + weight(text) > LONG):
                answers += _answer(heading, held)
                held, width = [], 0
            held.append(text)
            width += weight(text)
    return [*answers, *_answer(heading, held)]


def _answer(heading: str, held: list[str]) -> Iterator[Answer]:
    if held:
        yield Answer(question=heading, answer="\n".join(held))


def _paragraphs(lines: list[str]) -> Iterator[str]:
    """Lines that only the page's width parted are joined. A line wider than any page is a paragraph; so is what ends
    with a short line that ends a sentence, and what stands before an indented line.
    """
    widths = [weight(line) for line in lines]
    widest = max(widths, default=0)
    held: list[str] = []
    for line, width in zip(lines, widths, strict=True):
        is_chapter = _is_chapter(line) and not (held and not _ENDS.search(held[-1][-9:]))
        if held and (is_chapter or _INDENTED.match(line)):
            yield _joined(held)
            held = []
        held.append(line.strip())
        if is_chapter or width > WIDEST or (width < 0.75 * widest and _ENDS.search(line[-9:])):
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)


def _joined(lines: list[str]) -> str:
    """A word parted at a line's end is whole again; Chinese needs no blank."""
    parts = lines[:1]
    for before, line in pairwise(lines):
        if re.search(r"[a-z]-$", before[-2:]) and line[:1].islower():
            parts[-1] = parts[-1][:-1]
        elif not (_CJK.match(line[:1]) or _CJK.match(before[-1])):
            parts.append(" ")
        parts.append(line)
    return "".join(parts)


def _is_chapter(text: str) -> bool:
    return len(text) <= LONGEST_HEADING and bool(_CHAPTER.match(text)) and not re.search(r"[.!?。！？]\s*$", text[-9:])


def _is_short(text: str) -> bool:
    return len(text) <= LONGEST_HEADING and not _ENDS.search(text)
