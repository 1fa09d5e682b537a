"""What the family says of answers."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from modelserver.schemas.body import Body, Member


class NewFeedback(Body):
    elder_id: str
    question: str = Field(min_length=1, max_length=8_000)
    answer: str = Field(min_length=1, max_length=20_000)  #: the model's
    memory_ids: list[Annotated[str, Field(max_length=64)]] = Field(default_factory=list, max_length=20)
    model: str = Field(default="", max_length=200)
    member: Member = ""
    verdict: Literal["up", "down"]
    correction: Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000)] = ""
    remember: bool = False  #: the correction becomes an answer of the elder's, too


class FeedbackOut(BaseModel):
    feedback_id: str
    elder_id: str
    member: str
    question: str
    answer: str
    memory_ids: list[str]
    model: str
    verdict: Literal["up", "down"]
    correction: str
    unsupported: list[str]  #: names, numbers and years of the correction that no memory holds
    personal_data: list[str]  #: kinds of it found in the correction
    given_at: datetime


class FeedbacksOut(BaseModel):
    feedback: list[FeedbackOut]
    total: int  #: of all, not of this page


class FeedbackGiven(FeedbackOut):
    answer_id: str | None  #: of the memory that it became


class FeedbackDeleted(BaseModel):
    success: bool = True
    elder_id: str
    feedback_id: str
