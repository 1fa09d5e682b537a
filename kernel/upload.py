"""Uploads: one JSON object a line, as a family sends it. One bad line and nothing is taken; its number is said."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from kernel.errors import BadInput, BadLine, TooLarge
from kernel.evaluation import Probe
from kernel.memory import Answer

MAX_QUESTION = 2_000  #: characters; it stands before every piece of a long answer
MAX_PROBES = 1_000
MAX_EXPECTS = 1_000  #: characters of a question's list, as JSON: all of them are one document, of 16 MB at most


def read_answers(body: bytes, *, max_answer_bytes: int) -> list[Answer]:
    """Lines {"question": str, "answer": str}, or {"messages": [...]}: an answer for each turn of the assistant."""
    answers = [
        make_answer(
            _text(told, "question", number, empty=True),
            _text(told, "answer", number),
            max_answer_bytes=max_answer_bytes,
            line=number,
        )
        for number, row in read_rows(body)
        for told in _told(row, number)
    ]
    if not answers:
        raise BadInput(reason="The file is empty: put one answer on each line.")
    return answers


def make_answer(
    question: str, answer: str, *, max_answer_bytes: int, line: int = 0, told_at: datetime | None = None
) -> Answer:
    """Raises TooLarge, or BadInput when the answer is empty or not text."""
    where = f" on line {line}" if line else ""
    if has_surrogate(question + answer):
        raise BadInput(reason=f"The answer{where} holds half a character: save the file as UTF-8.")
    if len(answer.encode()) > max_answer_bytes:
        raise TooLarge(what=f"The answer{where}", limit=f"{max_answer_bytes // 1000} kB")
    if len(question) > MAX_QUESTION:
        raise TooLarge(what=f"The question{where}", limit=f"{MAX_QUESTION} characters")
    if not answer.strip():
        raise BadInput(reason="The answer is empty. Write what the elder said.")
    return Answer(question=question.strip(), answer=answer.strip(), told_at=told_at)


def read_probes(body: bytes) -> list[Probe]:
    """Lines {"question": str, "expects": [[alternative, ...], ...]}; none expected means unanswerable."""
    probes = [
        Probe(question=_text(row, "question", number), expects=_groups(row.get("expects", []), number))
        for number, row in read_rows(body)
    ]
    if len(probes) > MAX_PROBES:
        raise TooLarge(what="The list of questions", limit=f"{MAX_PROBES} questions")
    return probes


def read_rows(body: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each line that is not empty, with its number. Raises BadLine."""
    for number, raw in enumerate(body.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not raw.strip():
            continue
        try:
            row = json.loads(raw.decode())
        except UnicodeDecodeError as error:
            raise BadLine(line=number, reason="not UTF-8") from error
        except (ValueError, RecursionError) as error:
            raise BadLine(line=number, reason="not JSON") from error
        if not isinstance(row, dict):
            raise BadLine(line=number, reason="not a JSON object")
        yield number, row


def _told(row: dict[str, Any], number: int) -> list[dict[str, Any]]:
    """In a conversation each answer goes with what was asked last; the system's words are nobody's memory.

    In OpenAI's form an answer of weight 0 is not to be learnt.
    """
    if "messages" not in row:
        return [row]
    told, question = [], ""
    try:
        for message in row["messages"]:
            if message["role"] == "user":
                question = message["content"]
            elif message["role"] == "assistant" and message.get("weight", 1):
                told.append({"question": question, "answer": message["content"]})
    except (KeyError, TypeError) as error:
        raise BadLine(line=number, reason="messages without role and content") from error
    if not told:
        raise BadLine(line=number, reason="messages without user and assistant")
    return told


def _text(row: dict[str, Any], name: str, number: int, *, empty: bool = False) -> str:
    value = row.get(name, "" if empty else None)
    if not isinstance(value, str) or (not value.strip() and not empty):
        raise BadLine(line=number, reason=f"'{name}' must be a text that is not empty")
    if "\x00" in value:
        raise BadLine(line=number, reason=f"'{name}' holds a NUL character")
    if has_surrogate(value):
        raise BadLine(line=number, reason=f"'{name}' holds half a character")
    if name == "question" and len(value) > MAX_QUESTION:
        raise BadLine(line=number, reason=f"'{name}' is longer than {MAX_QUESTION} characters")
    return value


def has_surrogate(text: str) -> bool:
    """Half of a pair, which JSON may write and UTF-8 cannot."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _groups(value: Any, number: int) -> tuple[tuple[str, ...], ...]:
    is_right = isinstance(value, list) and all(
        isinstance(group, list) and group and all(isinstance(one, str) and one for one in group) for group in value
    )
    if not is_right:
        raise BadLine(line=number, reason="'expects' must be a list of lists of texts")
    written = json.dumps(value, ensure_ascii=False)
    if len(written) > MAX_EXPECTS:
        raise BadLine(line=number, reason=f"'expects' is longer than {MAX_EXPECTS} characters")
    if has_surrogate(written):
        raise BadLine(line=number, reason="'expects' holds half a character")
    return tuple(tuple(group) for group in value)
