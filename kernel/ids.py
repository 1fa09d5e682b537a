"""Ids: who, whose and which. An id is a type, not a str, and is never trusted as a path.

Elder ids are the tenant's own words ("LXM19580312M"), so two tenants may use the same one: a name that
leaves the tenant (a model in Ollama, a vector collection) carries a digest of both.
"""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import NewType, Self

from kernel.errors import BadId

TenantId = NewType("TenantId", str)
ElderId = NewType("ElderId", str)
JobId = NewType("JobId", str)
AnswerId = NewType("AnswerId", str)
MemoryId = NewType("MemoryId", str)
SampleId = NewType("SampleId", str)
PairId = NewType("PairId", str)
ConversationId = NewType("ConversationId", str)
TurnId = NewType("TurnId", str)
FeedbackId = NewType("FeedbackId", str)
ModelName = NewType("ModelName", str)
FileId = NewType("FileId", str)

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
MODEL_PREFIX = "afs_elder_"


def elder_id(text: str) -> ElderId:
    """Accept letters, digits, '_' and '-' (1-64, starting with a letter or digit); raise BadId otherwise."""
    if not _ID.fullmatch(text):
        raise BadId(field="elder_id")
    return ElderId(text)


def digest(*parts: str) -> str:
    """SHA-256 (hex) of the parts, each closed by a NUL so that ('ab','c') and ('a','bc') differ."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(part.encode() + b"\0")
    return sha.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of what is in the file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def answer_id(question: str, answer: str) -> AnswerId:
    """Of the words as they are kept: an elder's answers are kept once, so this names one of them."""
    return AnswerId("a_" + digest(question, answer)[:12])


def memory_id(question: str, answer: str) -> MemoryId:
    """The same words are the same memory, whoever typed them and however often."""
    return MemoryId("m_" + digest(question, answer)[:12])


def feedback_id(member: str, question: str, answer: str) -> FeedbackId:
    """One a member and an answer: who changes their mind says it in place of what they said before."""
    return FeedbackId("f_" + digest(member, question, answer)[:16])


def model_name(tenant: TenantId, elder: ElderId) -> ModelName:
    """The elder's name among all models of all tenants; versions are its tags (`:v3`).

    Lower case, because Ollama compares names without case, and at most 80 characters, its limit; the digest
    keeps apart what that folds together.
    """
    return ModelName(f"{MODEL_PREFIX}{elder.lower()[:59]}_{digest(tenant, elder)[:10]}")


@dataclass(frozen=True, kw_only=True, slots=True)
class JobRef:
    """What a queue message carries: which job, of which tenant."""

    tenant: TenantId
    job: JobId

    def __str__(self) -> str:
        return f"{self.tenant}:{self.job}"

    @classmethod
    def parse(cls, text: str) -> Self:
        tenant, _, job = text.partition(":")
        return cls(tenant=TenantId(tenant), job=JobId(job))
