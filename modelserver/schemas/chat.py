"""A question and its answer."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from modelserver.schemas.body import Body, ConversationGiven, Member, MemoryOut


class Turn(Body):
    role: Literal["user", "assistant"]
    content: str = Field(max_length=20_000)


class ChatIn(Body):
    elder_id: str
    message: str = Field(min_length=1, max_length=8_000)
    conversation_history: list[Turn] = Field(default_factory=list, max_length=100)
    conversation_id: ConversationGiven = ""
    member: Member = ""  #: who asks; with no conversation_id a new conversation is kept for them
    stream: bool = False
    retrieval: bool = True
    strict: bool = False  #: look memories up, and where none is surely meant say so, with nothing generated
    temperature: float = Field(default=0.0, ge=0, le=2)
    max_tokens: int = Field(default=256, ge=1, le=2048)
    top_p: float | None = Field(default=None, gt=0, le=1)  #: None: the engine's own
    stop: list[Annotated[str, Field(min_length=1, max_length=100)]] = Field(default_factory=list, max_length=16)


class EvidenceOut(BaseModel):
    memory_id: str
    words: list[str]  #: pieces of the memory's text that the answer says too


class ChatOut(BaseModel):
    success: bool = True
    elder_id: str
    response: str
    memory_ids: list[str]
    memories: list[MemoryOut]
    evidence: list[EvidenceOut]
    refused: bool  #: strict, and no memory was surely meant
    conversation_id: str | None  #: where it is kept; None where it is not
    turn_id: str | None  #: as what it is kept, for /provenance
    model: str
    generated_by_ai: bool = True
