"""What a left brain was measured at."""

from pydantic import BaseModel


class ExtractionScoreOut(BaseModel):
    arm: str  #: teacher; free and grammar: the left brain without a grammar and with one, as it is used
    valid: float
    exact: float
    f1: float
    small_talk: float | None
    fields: dict[str, float]


class LeftBrainOut(BaseModel):
    elder_id: str
    version: int
    base: str
    memories: int  #: that it was measured with
    small_talk: int
    is_reviewed: bool  #: False: compared with what its teacher said
    scores: list[ExtractionScoreOut]
