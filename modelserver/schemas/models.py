"""Models and their versions."""

from datetime import datetime

from pydantic import BaseModel, Field

from kernel.adapter import Storage
from modelserver.schemas.body import Body


class ArmOut(BaseModel):
    arm: str
    recall: float | None  #: None: no question with an answer was asked
    honesty: float | None  #: None: none without
    invention: float
    style: float
    ability: float | None  #: general ability; of the arms without memories


class ModelOut(BaseModel):
    elder_id: str
    name: str
    version: int
    is_active: bool
    base: str
    quantisation: str
    storage: Storage
    engine: str
    size_bytes: int
    created_at: datetime
    answerable: int  #: how many questions the arms were asked that a memory answers; 0 and 0: not counted
    unanswerable: int
    arms: list[ArmOut]


class ModelsOut(BaseModel):
    models: list[ModelOut]


class ModelDetails(BaseModel):
    elder_id: str
    active: ModelOut | None
    versions: list[ModelOut]
    versions_bytes: int  #: on disk
    training_bytes: int  #: what training made on the way, kept so that the next one does less


class VersionIn(Body):
    version: int


class CompareIn(Body):
    a: int
    b: int
    question: str = Field(min_length=1, max_length=8_000)


class ComparedOut(BaseModel):
    elder_id: str
    a: ModelOut
    b: ModelOut
    is_same_questions: bool  #: whether both were measured with the same: only then are their figures comparable
    answers: list[str] | None = None  #: of a and of b, to the question
    generated_by_ai: bool = True


class VersionRetired(BaseModel):
    success: bool = True
    elder_id: str
    version: int
    freed_bytes: int


class Deleted(BaseModel):
    success: bool = True
    elder_id: str
    deleted_versions: int
