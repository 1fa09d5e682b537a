"""Memories: what the elder said, each with an id that stays with everything made from it."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import accumulate

from kernel.ids import AnswerId, MemoryId, answer_id, digest, memory_id
from kernel.language import detect_language, sentences, weight

LONGEST = 1200  #: characters of one memory; a longer answer becomes several
PART = 290  #: of what one answer tells, in Latin letters; a Chinese character counts three
EXCERPT = 520  #: of what a prompt shows of one memory, in the same; about 85 words
TELLING = 20  #: characters from which the same answer is the same memory, whatever was asked

# Kinds of personal data, the first that matches a stretch of text wins. Each tries a bounded stretch from every
# character: the time is that of reading, whatever the text.
_PERSONAL = {
    "email": re.compile(r"[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]+)+"),
    "id_number": re.compile(r"(?<!\d)[1-9]\d{5}(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:[0-2]\d|3[01])\d{3}[\dXx](?!\d)"),
    "bank_card": re.compile(r"(?<!\d)\d(?:[ -]?\d){12,18}(?!\d)"),
    "phone": re.compile(
        r"(?<![\d.])(?:1[3-9]\d[ -]?\d{4}[ -]?\d{4}"  # Chinese mobile
        r"|0\d{2,4}[ -]?\d{3,4}[ -]?\d{3,4}"  # with an area code
        r"|\(?\d{3}\)?[ .-]\d{3}[.-]\d{4}"  # North American
        r"|\+\d{1,3}[ -]?(?:\(?\d{1,4}\)?[ -]?){2,5}\d)(?![\d])"
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One document of the `answers` collection, as the family typed it."""

    question: str
    answer: str
    told_at: datetime | None = None

    @property
    def id(self) -> AnswerId:
        """What a family takes it back by. A long answer is one, though it becomes several memories."""
        return answer_id(self.question, self.answer)


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    id: MemoryId
    question: str
    answer: str
    language: str  #: "zh" or "en"
    personal_data: tuple[str, ...]  #: kinds found, never the values

    @property
    def text(self) -> str:
        """What a prompt shows and retrieval reads."""
        return self.answer

    @property
    def source(self) -> str:
        """What a teacher reads; its note holds nothing else."""
        return f"{self.question} {self.answer}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Memories:
    elder_name: str
    language: str  #: the language most memories are told in
    items: tuple[Memory, ...]


def collect_memories(answers: Sequence[Answer], *, elder_name: str, language: str) -> Memories:
    """The answers as memories, in the order they were told; `language` where the words don't tell."""
    found: dict[str, Memory] = {}
    for answer in answers:
        question = _cleaned(answer.question)
        for piece in _pieces(_cleaned(answer.answer)):
            same = " ".join(piece.casefold().split())
            key = same if len(same) >= TELLING else f"{question.casefold()}\0{same}"
            found.setdefault(
                key,
                Memory(
                    id=memory_id(question, piece),
                    question=question,
                    answer=piece,
                    language=detect_language(piece, language),
                    personal_data=personal_data(piece),
                ),
            )
    items = tuple(found.values())
    return Memories(elder_name=elder_name, language=_majority(items, language), items=items)


def parts(memory: Memory) -> list[Memory]:
    """What one answer can tell: neighbouring sentences, each part under the memory's id. A short one is whole."""
    whole = weight(memory.answer)
    if whole <= PART:
        return [memory]
    even = whole / math.ceil(whole / PART)
    told: list[list[str]] = [[]]
    for sentence in sentences(memory.answer):
        is_full = weight("".join(told[-1])) + weight(sentence) / 2 > even
        if told[-1] and is_full:
            told.append([])
        told[-1].append(sentence)
    return [replace(memory, answer=_glue(memory).join(part)) for part in told]


def excerpt(memory: Memory, first: int) -> Memory:
    """What a prompt shows of a long memory: from sentence number `first` on, under the memory's id."""
    told = sentences(memory.answer)[first:]
    used = accumulate(weight(sentence) + 1 for sentence in told)
    shown = [
        sentence
        for number, (sentence, whole) in enumerate(zip(told, used, strict=True))
        if number < 2 or whole <= EXCERPT
    ]
    return replace(memory, answer=_glue(memory).join(shown))


def most_told(memories: Memories, tokens: int) -> int:
    """Tokens of an answer: `tokens` where all memories are short; of a long one all that is shown is told."""
    is_long = any(weight(memory.answer) > PART for memory in memories.items)
    return tokens * EXCERPT // PART if is_long else tokens


def beginning(memory: Memory, words: int) -> str:
    """The first words of it; of Chinese, twice as many characters."""
    return memory.text[: 2 * words] if memory.language == "zh" else " ".join(memory.text.split()[:words])


def memories_digest(memories: Memories) -> str:
    """Of the words alone, in their order."""
    return digest(*(part for memory in memories.items for part in (memory.question, memory.answer)))


def personal_data(text: str) -> tuple[str, ...]:
    """Kinds of personal data in the text, sorted: "bank_card", "email", "id_number", "phone"."""
    kinds: set[str] = set()
    for kind, pattern in _PERSONAL.items():
        left = pattern.sub(_left_of_number if kind == "bank_card" else " ", text)
        if left != text:
            kinds.add(kind)
            text = left
    return tuple(sorted(kinds))


def _glue(memory: Memory) -> str:
    return "" if memory.language == "zh" else " "


def _cleaned(text: str) -> str:
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", text.replace("\r\n", "\n")).strip()


def _pieces(answer: str) -> Iterator[str]:
    """The answer, cut between sentences into even pieces when it is too long for one memory."""
    if len(answer) <= LONGEST:
        if answer:
            yield answer
        return
    even = len(answer) / math.ceil(len(answer) / LONGEST)
    piece = ""
    for sentence in _short_sentences(answer):
        if piece and len(piece) + 1 + len(sentence) > LONGEST:
            yield piece
            piece = ""
        glue = " " if piece and piece[-1].isascii() else ""
        piece += glue + sentence
        if len(piece) >= even:
            yield piece
            piece = ""
    if piece:
        yield piece


def _short_sentences(answer: str) -> Iterator[str]:
    """Sentences; one without an end in sight is cut at a comma or blank."""
    for sentence in sentences(answer):
        while len(sentence) > LONGEST:
            cut = max(sentence.rfind(mark, LONGEST // 2, LONGEST) for mark in "，,；;、 ") + 1 or LONGEST
            yield sentence[:cut].strip()
            sentence = sentence[cut:].strip()
        if sentence:
            yield sentence


def _majority(items: Sequence[Memory], fallback: str) -> str:
    counted = Counter(memory.language for memory in items).most_common(2)
    if not counted or (len(counted) == 2 and counted[0][1] == counted[1][1]):
        return fallback
    return counted[0][0]


def _left_of_number(match: re.Match[str]) -> str:
    return " " if _is_card(match.group()) else match.group()


def _is_card(text: str) -> bool:
    """Luhn's check (ISO/IEC 7812-1)."""
    digits = [int(character) for character in reversed(text) if character.isdigit()]
    doubled = (digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[1::2])
    return 13 <= len(digits) <= 19 and (sum(digits[0::2]) + sum(doubled)) % 10 == 0
