"""What goes over the wire: the JSON shapes of the REST interface (the fifth seed's, and what was added)."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from kernel.adapter import Storage


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Member = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)]  #: of the family; "" for nobody


class NewElder(_Body):
    elder_id: str
    name: Name
    language: Literal["zh", "en"] = "zh"
    base_model: str = ""  #: "" for the one that fits the language
    engine: str = ""  #: "" for the configured one


class ChosenEngine(_Body):
    engine: str  #: "llama_cpp", "ollama" or "vllm", where it is configured; "" for the configured one


class NewConsent(_Body):
    by: Name  #: who gives it


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


class Turn(_Body):
    role: Literal["user", "assistant"]
    content: str = Field(max_length=20_000)


class ChatIn(_Body):
    elder_id: str
    message: str = Field(min_length=1, max_length=8_000)
    conversation_history: list[Turn] = Field(default_factory=list, max_length=100)
    conversation_id: str = Field(default="", max_length=64)  #: goes on with it: what was said before comes from there
    member: Member = ""  #: who asks; with no conversation_id a new conversation is kept for them
    stream: bool = False
    retrieval: bool = True
    strict: bool = False  #: look memories up, and where none is surely meant say so, with nothing generated
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


class EntityOut(BaseModel):
    title: str
    type: Literal["person", "place", "event", "time", "object", "organisation"]
    description: str
    memory_ids: list[str]


class RelationshipOut(BaseModel):
    source: str  #: titles of entities
    target: str
    description: str
    weight: float
    memory_ids: list[str]


class CommunityOut(BaseModel):
    level: int  #: 0 for the widest
    titles: list[str]
    memory_ids: list[str]


class GraphOut(BaseModel):
    elder_id: str
    entities: list[EntityOut]
    relationships: list[RelationshipOut]
    communities: list[CommunityOut]
    failed_memory_ids: list[str]  #: which the teacher could not read, and the offline finder read


class HappeningOut(BaseModel):
    told: str  #: when, in the elder's words
    year: int | None
    text: str
    titles: list[str]
    memory_id: str


class TimelineOut(BaseModel):
    elder_id: str
    happenings: list[HappeningOut]


class RelativeOut(BaseModel):
    whose: str  #: "" for the elder's own
    kin: str
    called: str
    name: str
    memory_ids: list[str]


class KinshipOut(BaseModel):
    elder_id: str
    relatives: list[RelativeOut]


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
    model: str
    generated_by_ai: bool = True


class ConversationOut(BaseModel):
    conversation_id: str
    elder_id: str
    member: str
    title: str
    created_at: datetime
    updated_at: datetime


class ConversationsOut(BaseModel):
    conversations: list[ConversationOut]


class NewFeedback(_Body):
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


class TurnOut(BaseModel):
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


class FeedbackDeleted(BaseModel):
    success: bool = True
    elder_id: str
    feedback_id: str


class ArmOut(BaseModel):
    arm: str
    recall: float
    honesty: float
    invention: float
    style: float
    ability: float | None  #: general ability; of the arms without memories


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
    arms: list[ArmOut]


class ModelsOut(BaseModel):
    models: list[ModelOut]


class ModelDetails(BaseModel):
    elder_id: str
    active: ModelOut | None
    versions: list[ModelOut]
    versions_bytes: int  #: on disk
    training_bytes: int  #: what training made on the way, kept so that the next one does less


class VersionIn(_Body):
    version: int


class CompareIn(_Body):
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


class PartOut(BaseModel):
    is_up: bool
    message: str


class HealthOut(BaseModel):
    status: Literal["ok", "degraded"]
    parts: dict[str, PartOut]
