"""Documents: a memoir, a letter or notes as answers, one a passage; a heading stands where a question would.

A passage is a few paragraphs under one heading: long enough to be understood alone, short enough to be shown whole.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kernel.language import weight
from kernel.memory import Answer

SHORT, LONG = 300, 900  #: of a passage, in Latin letters; a Chinese character counts three
LONGEST_HEADING = 80  #: characters
WIDEST = 150  #: of a line on a page, in the same measure

_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_ENDS = re.compile(r"[.!?…。！？；;:：,，、”’\"')）」』]\s*$")
_INDENTED = re.compile(r"\u3000|\t|  ")
_CHAPTER = re.compile(r"^\s*(chapter\b|part\b|[IVXLC]+\.?\s*$|第[〇零一二三四五六七八九十百\d]+[章节回部篇])", re.I)


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """A paragraph or a heading, without line breaks that only a page's width made."""

    text: str
    is_heading: bool = False


def read_blocks(text: str) -> list[Block]:
    """Of plain text: blank lines part the blocks, and see `_paragraphs`."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\f", "\n\n")
    found = []
    for stretch in re.split(r"\n[ \t\u3000]*\n", text):
        for paragraph in _paragraphs([line for line in stretch.split("\n") if line.strip()]):
            found.append(Block(text=paragraph, is_heading=_is_heading(paragraph)))
    return found


def passages(blocks: Iterable[Block]) -> list[Answer]:
    """Paragraphs under one heading, joined until they are a passage. A heading of nothing is left out."""
    answers: list[Answer] = []
    heading, held = "", ""
    for block in blocks:
        text = " ".join(block.text.split())
        if block.is_heading:
            answers += _answer(heading, held)
            heading, held = text, ""
        elif held and (weight(held) >= SHORT or weight(held) + weight(text) > LONG):
            answers += _answer(heading, held)
            held = text
        elif text:
            held = f"{held}\n{text}" if held else text
    answers += _answer(heading, held)
    return answers


def _answer(heading: str, text: str) -> Iterator[Answer]:
    if text:
        yield Answer(question=heading, answer=text)


def _paragraphs(lines: list[str]) -> Iterator[str]:
    """Lines that only the page's width parted are joined. A line wider than any page is a paragraph; so is what ends
    with a short line that ends a sentence, and what stands before an indented line.
    """
    widest = max(map(weight, lines), default=0)
    held = ""
    for line in lines:
        if held and (_INDENTED.match(line) or _CHAPTER.match(line)):
            yield held
            held = ""
        held = _joined(held, line.strip())
        width = weight(line)
        is_last = width > WIDEST or (width < 0.75 * widest and _ENDS.search(line)) or _CHAPTER.match(line)
        if is_last:
            yield held
            held = ""
    if held:
        yield held


def _is_heading(text: str) -> bool:
    return bool(_CHAPTER.match(text)) or (len(text) <= LONGEST_HEADING and not _ENDS.search(text))


def _joined(before: str, line: str) -> str:
    if not before:
        return line
    if re.search(r"[a-z]-$", before) and line[:1].islower():  # a word parted at the line's end
        return before[:-1] + line
    glue = "" if _CJK.match(line[:1]) or _CJK.match(before[-1]) else " "
    return before + glue + line
