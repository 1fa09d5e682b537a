"""What goes over the wire: the JSON shapes of the REST interface (the fifth seed's, and what was added)."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class NewElder(_Body):
    elder_id: str
    name: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
    language: Literal["zh", "en"] = "zh"
    base_model: str = ""  #: "" for the one that fits the language
    engine: str = ""  #: "" for the configured one


class ChosenEngine(_Body):
    engine: str  #: "llama_cpp", "ollama" or "vllm", where it is configured; "" for the configured one


class NewConsent(_Body):
    by: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]  #: who gives it


class ConsentOut(BaseModel):
    by: str
    at: datetime


class ElderOut(BaseModel):
    elder_id: str
    name: str
    language: str
    base_model: str
    engine: str
    answers: int
    consent: ConsentOut | None  #: to a teacher model outside this machine
    job_id: str | None  #: of the training that is under way


class EldersOut(BaseModel):
    elders: list[ElderOut]


class NewAnswer(_Body):
    question: str = ""
    answer: str


class Added(BaseModel):
    added: int
    total: int
    personal: int  #: of the answers sent, those with personal data in them


class AnswerOut(BaseModel):
    answer_id: str
    question: str
    answer: str
    personal_data: list[str]  #: kinds of it found in the answer: bank_card, email, id_number, phone


class AnswersOut(BaseModel):
    answers: list[AnswerOut]
    total: int  #: of all, not of this page


class AnswerDeleted(BaseModel):
    success: bool = True
    elder_id: str
    answer_id: str
    total: int  #: answers that are left
    is_in_model: bool  #: whether a model was trained before this, and may know it still
    message: str


class ElderDeleted(BaseModel):
    success: bool = True
    elder_id: str
    deleted_answers: int
    deleted_versions: int
    deleted_jobs: int


class Total(BaseModel):
    total: int


class StartTraining(_Body):
    elder_id: str
    elder_name: str = Field(default="", max_length=100)  #: "" for the name the elder was created with
    force_retrain: bool = False


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


class Turn(_Body):
    role: Literal["user", "assistant"]
    content: str = Field(max_length=20_000)


class ChatIn(_Body):
    elder_id: str
    message: str = Field(min_length=1, max_length=8_000)
    conversation_history: list[Turn] = Field(default_factory=list, max_length=100)
    stream: bool = False
    retrieval: bool = True
    temperature: float = Field(default=0.0, ge=0, le=2)
    max_tokens: int = Field(default=256, ge=1, le=2048)


class MemoryOut(BaseModel):
    id: str
    text: str


class MadeOut(BaseModel):
    kind: str
    id: str
    text: str
    memory_ids: list[str]


class OriginOut(BaseModel):
    thing: MadeOut
    memories: list[MemoryOut]
    made: list[MadeOut]


class ChatOut(BaseModel):
    success: bool = True
    elder_id: str
    response: str
    memory_ids: list[str]
    memories: list[MemoryOut]
    model: str
    generated_by_ai: bool = True


class ArmOut(BaseModel):
    arm: str
    recall: float
    honesty: float
    invention: float
    style: float


class ModelOut(BaseModel):
    elder_id: str
    name: str
    version: int
    is_active: bool
    base: str
    quantisation: str
    engine: str
    size_bytes: int
    created_at: datetime
    arms: list[ArmOut]


class ModelsOut(BaseModel):
    models: list[ModelOut]


class ModelDetails(BaseModel):
    elder_id: str
    active: ModelOut | None
    versions: list[ModelOut]


class Deleted(BaseModel):
    success: bool = True
    elder_id: str
    deleted_versions: int


class PartOut(BaseModel):
    is_up: bool
    message: str


class HealthOut(BaseModel):
    status: Literal["ok", "degraded"]
    parts: dict[str, PartOut]
