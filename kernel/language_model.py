"""What a language model that teaches or judges is asked, and what it replies.

A task's key is made of everything that shapes the reply, the model's name too: what was asked once is never asked
again, and another model is asked anew.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from enum import StrEnum

from kernel.ids import JobId, MemoryId, digest
from kernel.sample import Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Schema:
    """`properties`: JSON schema of each field; all are required, and no other is allowed."""

    name: str  #: 1-64 letters, digits, '_' or '-'
    properties: Mapping[str, object]

    def as_json(self) -> dict[str, object]:
        """Strict in OpenAI's sense, which llama.cpp's grammars and Ollama's formats understand as well."""
        return {
            "type": "object",
            "properties": dict(self.properties),
            "required": list(self.properties),
            "additionalProperties": False,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """`purpose`: what the reply is for, such as "note"; `memory_ids`: whose words are in the messages."""

    purpose: str
    messages: tuple[Message, ...]
    schema: Schema
    max_tokens: int  #: of the reply
    memory_ids: tuple[MemoryId, ...] = ()

    def key(self, model: str) -> str:
        shaping = asdict(self)
        del shaping["memory_ids"]  # they change with a memory's question, which may not be in the messages
        return digest(model, json.dumps(shaping, ensure_ascii=False, sort_keys=True))


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """`value` fits the task's schema."""

    value: Mapping[str, object]
    tokens_read: int
    tokens_written: int


class Outcome(StrEnum):
    REPLIED = "replied"
    REFUSED = "refused"
    GARBLED = "garbled"


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One task, which model was asked for which job, and its reply; an empty one where it gave none to use."""

    job: JobId
    model: str
    task: Task
    outcome: Outcome = Outcome.REPLIED
    reply: Reply
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    calls: int
    tokens: int  #: read and written
