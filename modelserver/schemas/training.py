"""A training: started, priced, followed."""

from typing import Any, Literal

from pydantic import BaseModel

from modelserver.schemas.body import Body, Member


class StartTraining(Body):
    elder_id: str
    elder_name: Member = ""  #: "" for the name the elder was created with
    force_retrain: bool = False
    brain: Literal["right", "left"] = "right"  #: who talks with the family, or who writes notes of what was told


class TrainingStarted(BaseModel):
    success: bool = True
    message: str
    job_id: str
    elder_id: str


class QuoteOut(BaseModel):
    elder_id: str
    teacher: str  #: "" for the built-in one
    calls: int
    tokens: int  #: read and written, about
    seconds: float
    time: str


class StageOut(BaseModel):
    name: str
    state: str
    progress: int
    seconds: float
    attempts: int
    key: str
    digest: str
    facts: dict[str, Any]


class ErrorOut(BaseModel):
    code: str
    message: str


class ProgressOut(BaseModel):
    job_id: str
    elder_id: str
    brain: str
    status: str
    progress: int
    current_epoch: int
    total_epochs: int
    eta: str
    eta_seconds: float | None
    loss: float | None
    tokens_per_second: float | None
    stages: list[StageOut]
    version: int | None
    error: ErrorOut | None
