"""Training files: JSONL of what an elder said, uploaded before a training is started from it."""

from dataclasses import dataclass
from datetime import datetime

from kernel.ids import ElderId, FileId


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingFile:
    """Kept as it was sent, until it is deleted, or one of its elders is, or one of its answers is taken back."""

    id: FileId
    name: str
    size_bytes: int
    created_at: datetime
    elders: tuple[ElderId, ...] = ()  #: who were trained from it: their words are in it
