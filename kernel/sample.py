"""Samples (L2): what the model is taught, each with the memories it came from."""

from dataclasses import dataclass
from typing import Literal

from kernel.ids import MemoryId

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """`prompt` ends with a user message; the loss is on `completion` alone."""

    kind: str  #: the generator: "memory_qa", "self_qa", "preference", "diversity", "context", "negative"
    prompt: tuple[Message, ...]
    completion: str
    memory_ids: tuple[MemoryId, ...]  #: empty for a negative


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    items: tuple[Sample, ...]
