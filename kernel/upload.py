"""Uploads: one JSON object a line, as a family sends it. One bad line and nothing is taken; its number is said."""

import json
from collections.abc import Iterator
from typing import Any

from kernel.errors import BadInput, BadLine, TooLarge
from kernel.evaluation import Probe
from kernel.memory import Answer


def read_answers(body: bytes, *, max_answer_bytes: int) -> list[Answer]:
    """Lines {"question": str, "answer": str}, or the exported form {"messages": [system, user, assistant]}."""
    answers = [
        make_answer(
            _text(row, "question", number, empty=True),
            _text(row, "answer", number),
            max_answer_bytes=max_answer_bytes,
            line=number,
        )
        for number, row in _rows(body)
    ]
    if not answers:
        raise BadInput(reason="The file is empty: put one answer on each line. / 文件是空的：每行写一条回答。")
    return answers


def make_answer(question: str, answer: str, *, max_answer_bytes: int, line: int = 0) -> Answer:
    """Raises TooLarge, or BadInput when the answer is empty."""
    if len(answer.encode()) > max_answer_bytes or len(question.encode()) > max_answer_bytes:
        what = f"The answer on line {line}" if line else "The answer"
        raise TooLarge(what=what, limit=f"{max_answer_bytes // 1000} kB")
    if not answer.strip():
        raise BadInput(reason="The answer is empty. Write what the elder said. / 回答是空的，请写下老人说的话。")
    return Answer(question=question.strip(), answer=answer.strip())


def read_probes(body: bytes) -> list[Probe]:
    """Lines {"question": str, "expects": [[alternative, ...], ...]}; none expected means unanswerable."""
    return [
        Probe(question=_text(row, "question", number), expects=_groups(row.get("expects", []), number))
        for number, row in _rows(body)
    ]


def _rows(body: bytes) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, raw in enumerate(body.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not raw.strip():
            continue
        try:
            row = json.loads(raw.decode())
        except UnicodeDecodeError as error:
            raise BadLine(line=number, reason="not UTF-8") from error
        except ValueError as error:
            raise BadLine(line=number, reason="not JSON") from error
        if not isinstance(row, dict):
            raise BadLine(line=number, reason="not a JSON object")
        yield number, _plain(row, number)


def _plain(row: dict[str, Any], number: int) -> dict[str, Any]:
    if "messages" not in row:
        return row
    try:
        said = {message["role"]: message["content"] for message in row["messages"]}
        return {"question": said["user"], "answer": said["assistant"]}
    except (KeyError, TypeError) as error:
        raise BadLine(line=number, reason="messages without user and assistant") from error


def _text(row: dict[str, Any], name: str, number: int, *, empty: bool = False) -> str:
    value = row.get(name, "" if empty else None)
    if not isinstance(value, str) or (not value.strip() and not empty):
        raise BadLine(line=number, reason=f"'{name}' must be a text that is not empty")
    if "\x00" in value:
        raise BadLine(line=number, reason=f"'{name}' holds a NUL character")
    return value


def _groups(value: Any, number: int) -> tuple[tuple[str, ...], ...]:
    is_right = isinstance(value, list) and all(
        isinstance(group, list) and group and all(isinstance(one, str) and one for one in group) for group in value
    )
    if not is_right:
        raise BadLine(line=number, reason="'expects' must be a list of lists of texts")
    return tuple(tuple(group) for group in value)
