"""Conversations that are kept."""

from datetime import datetime

from pydantic import BaseModel

from modelserver.schemas.body import MemoryOut
from modelserver.schemas.chat import EvidenceOut
from modelserver.schemas.feedback import FeedbackOut


class ConversationOut(BaseModel):
    conversation_id: str
    elder_id: str
    member: str
    title: str
    created_at: datetime
    updated_at: datetime


class ConversationsOut(BaseModel):
    conversations: list[ConversationOut]


class TurnOut(BaseModel):
    turn_id: str
    question: str
    answer: str
    memory_ids: list[str]
    memories: list[MemoryOut]  #: those that are still there
    evidence: list[EvidenceOut]
    refused: bool
    model: str
    asked_at: datetime
    feedback: FeedbackOut | None  #: the member's
    generated_by_ai: bool = True


class WholeConversation(ConversationOut):
    turns: list[TurnOut]


class ConversationsDeleted(BaseModel):
    success: bool = True
    deleted: int
