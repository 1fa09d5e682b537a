"""Chat exports: what the elder wrote to the family, as answers to what was asked before.

Read are: our own JSONL ({"sender", "text", "at"} a line), Telegram Desktop's result.json, and WeChat as its export
programs write it: a CSV table with a column for the sender and one for the words, or a text in which a line with
name and time stands over each message.
"""

import csv
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from kernel.errors import BadInput, BadLine
from kernel.language import weight
from kernel.memory import Answer
from kernel.upload import MAX_QUESTION, has_surrogate, read_rows

ONE_TURN = timedelta(minutes=30)  #: messages of one person, nearer together than this, are one telling
ANSWERS = timedelta(hours=6)  #: what was said longer ago is not what is answered
TELLING = 40  #: of a telling, in Latin letters; "OK, see you Sunday" is no memory
MOST_NAMED = 12  #: senders named when the elder is not among them
MOST_COLUMNS = 200
LONGEST_HEADER = 150  #: characters of a line with name and time

_SENDER = ("remark", "nickname", "sender", "from", "talker", "name")
_WORDS = ("strcontent", "content", "text", "message", "msg")
_TIME = ("strtime", "at", "time", "date", "createtime")
_DATE = r"\d{4}[-/.年]\d{1,2}[-/.月]\d{1,2}日?[ T]*\d{1,2}:\d{2}(?::\d{2})?"
_HEADER = re.compile(rf"^\s*(?:({_DATE})\s+(\S.{{0,60}}?)|(\S.{{0,60}}?)(?:\(\w+\))?[\s:：]+({_DATE}))\s*[:：]?\s*$")
#: What stands for a picture, a voice, a recalled message.
_PLACEHOLDER = re.compile(r"^\s*(?:\[[^\]\n]{1,20}\]|<[^>\n]{1,40}>|【[^】\n]{1,20}】|.{0,20}撤回了一条消息)\s*$")


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatMessage:
    sender: str
    text: str
    at: datetime | None = None


def read_jsonl(body: bytes) -> list[ChatMessage]:
    """Raises BadLine."""
    found = []
    for number, row in read_rows(body):
        if not isinstance(row.get("sender"), str) or not isinstance(row.get("text"), str):
            raise BadLine(line=number, reason="a chat's line without sender and text")
        if has_surrogate(row["sender"] + row["text"]):
            raise BadLine(line=number, reason="'text' holds half a character")
        found.append(ChatMessage(sender=row["sender"].strip(), text=row["text"], at=_time(row.get("at"))))
    return found


def read_telegram(text: str) -> list[ChatMessage]:
    """`result.json` of one chat, or of all. Raises BadInput."""
    try:
        whole = json.loads(text)
        chats = whole["chats"]["list"] if "chats" in whole else [whole]
        found = [
            ChatMessage(
                sender=str(one.get("from") or "").strip(), text=_told(one.get("text")), at=_time(one.get("date"))
            )
            for chat in chats
            for one in chat["messages"]
            if one.get("type", "message") == "message"
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(reason="The file is not a chat export that is known here.") from error
    if any(has_surrogate(one.sender + one.text) for one in found):
        raise BadInput(reason="The file is not text, or its encoding is not known: save it as UTF-8.")
    return found


def read_csv(text: str) -> list[ChatMessage]:
    """A table with a first row of names. Raises BadInput."""
    found = []
    try:
        rows = csv.reader(io.StringIO(text))
        names = [name.strip().lstrip("\ufeff").casefold() for name in next(rows, [])][:MOST_COLUMNS]
        for row in rows:
            told = dict(zip(names, row, strict=False))
            if told.get("type", "1") == "1":  # WeChat's number of a text
                at = _time(_first(told, _TIME))
                found.append(ChatMessage(sender=_first(told, _SENDER), text=_first(told, _WORDS), at=at))
    except csv.Error as error:
        raise BadInput(reason="The file is not a chat export that is known here.") from error
    if not any(message.sender and message.text for message in found):
        raise BadInput(reason="The file is not a chat export that is known here.")
    return found


def read_wechat(text: str) -> list[ChatMessage]:
    """[] where the text is not a chat: fewer than two lines of name and time, or hardly any."""
    heads: list[tuple[str, datetime | None]] = []
    told: list[list[str]] = []
    lines = [line for line in text.splitlines() if line.strip()]
    for line in lines:
        if len(line) <= LONGEST_HEADER and (header := _HEADER.match(line)):
            at, name, other_name, other_at = header.groups()
            heads.append(((name or other_name).strip(), _time(at or other_at)))
            told.append([])
        elif told:
            told[-1].append(line)
    if len(heads) < 2 or 10 * len(heads) < len(lines):
        return []
    return [
        ChatMessage(sender=sender, text="\n".join(said).strip(), at=at)
        for (sender, at), said in zip(heads, told, strict=True)
    ]


def told_by(sender: str, messages: Sequence[ChatMessage]) -> list[Answer]:
    """The sender's tellings, each with what another wrote just before it.

    Raises BadInput, naming who wrote, where `sender` did not.
    """
    said = [message for message in messages if message.text.strip() and not _PLACEHOLDER.match(message.text)]
    wrote = Counter(message.sender for message in said if message.sender)
    if sender not in wrote:
        names = ", ".join(name for name, _ in wrote.most_common(MOST_NAMED))
        raise BadInput(reason=f"Say which of those who wrote is the elder: {names}.")
    answers = []
    before: ChatMessage | None = None
    for turn in _turns(said):
        if turn.sender != sender:
            before = turn
        elif weight(turn.text) >= TELLING:
            is_answer = before and (not before.at or not turn.at or timedelta(0) <= turn.at - before.at <= ANSWERS)
            question = before.text[:MAX_QUESTION] if before and is_answer else ""
            answers.append(Answer(question=question, answer=turn.text, told_at=turn.at))
            before = None
    return answers


def _turns(messages: Sequence[ChatMessage]) -> Iterator[ChatMessage]:
    """Messages of one person in a row as one; its time is the last one's."""
    held: list[ChatMessage] = []
    for message in messages:
        if held and not (held[-1].sender == message.sender and _is_near(held[-1].at, message.at)):
            yield _joined(held)
            held = []
        held.append(message)
    if held:
        yield _joined(held)


def _joined(messages: Sequence[ChatMessage]) -> ChatMessage:
    text = "\n".join(message.text.strip() for message in messages)
    return ChatMessage(sender=messages[-1].sender, text=text, at=messages[-1].at)


def _is_near(before: datetime | None, now: datetime | None) -> bool:
    return not before or not now or abs(now - before) <= ONE_TURN


def _told(text: Any) -> str:
    """Telegram writes plain words as a text, and words with links as a list of texts and objects."""
    parts = text if isinstance(text, list) else [text]
    return "".join(part if isinstance(part, str) else str(part.get("text", "")) for part in parts if part)


def _first(row: Mapping[str, str], names: Sequence[str]) -> str:
    return next((row[name].strip() for name in names if row.get(name, "").strip()), "")


def _time(value: Any) -> datetime | None:
    """As it was written, without a zone; None where there is none."""
    if not isinstance(value, str):
        return None
    numbers = [int(number) for number in re.findall(r"\d{1,6}", value[:40])[:6]]
    try:
        return datetime(*numbers) if len(numbers) >= 3 else None  # type: ignore[arg-type]
    except (ValueError, OverflowError):
        return None
