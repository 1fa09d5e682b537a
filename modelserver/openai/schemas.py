"""What goes over the wire under /v1/: OpenAI's shapes, each with what of ours is added to it named.

Source: https://platform.openai.com/docs/api-reference, as openai 2.54 for Python types them. Times are Unix seconds.
"""

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from modelserver.schemas.body import MemoryOut

T = TypeVar("T")  #: what has an `id`

Name = Annotated[str, StringConstraints(max_length=200)]  #: of a model or a file


class _Body(BaseModel):
    """What OpenAI adds next year is let through; what would change the answer is looked at by the route."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)


class Page(BaseModel, Generic[T]):
    object: Literal["list"] = "list"
    data: list[T]
    first_id: str | None = None
    last_id: str | None = None
    has_more: bool = False


class ModelObject(BaseModel):
    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "heirloom"
    name: str  #: ours: the elder's
    elder_id: str  #: ours
    version: int  #: ours
    base: str  #: ours: what it was trained from


class CompletionMessage(_Body):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[dict[str, Any]]


class StreamOptions(_Body):
    include_usage: bool = False


class NewCompletion(_Body):
    model: Name
    messages: Annotated[list[CompletionMessage], Field(min_length=1, max_length=10_000)]
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    max_tokens: Annotated[int, Field(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1)] | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    retrieval: bool = True  #: ours: whether memories are looked up
    strict: bool = False  #: ours: answer only where a memory is surely meant


class Usage(BaseModel):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AnswerMessage(BaseModel):
    role: Literal["assistant"] = "assistant"
    content: str
    refusal: None = None


class Choice(BaseModel):
    index: int = 0
    message: AnswerMessage
    logprobs: None = None
    finish_reason: Literal["stop", "length"]


class Completion(BaseModel):
    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: Usage | None  #: null where the engine does not count
    generated_by_ai: bool = True  #: ours
    memory_ids: list[str]  #: ours: what the answer was given to rest on
    memories: list[MemoryOut]  #: ours


class NewEmbeddings(_Body):
    model: Name
    input: str | Annotated[list[str] | list[int] | list[list[int]], Field(max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = None
    input_type: Literal["query", "passage"] = "passage"  #: ours: a question, or a text to be found


class EmbeddingObject(BaseModel):
    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str  #: in base64: little-endian 32-bit floats


class EmbeddingUsage(BaseModel):
    prompt_tokens: int
    total_tokens: int


class Embeddings(BaseModel):
    object: Literal["list"] = "list"
    data: list[EmbeddingObject]
    model: str
    usage: EmbeddingUsage


class FileObject(BaseModel):
    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    filename: str
    purpose: Literal["fine-tune"] = "fine-tune"
    status: Literal["processed"] = "processed"


class FileDeleted(BaseModel):
    id: str
    object: Literal["file"] = "file"
    deleted: bool = True


_MetadataKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
_MetadataValue = Annotated[str, StringConstraints(max_length=512)]


class ChosenHyperparameters(_Body):
    """The recipe's are used: they were measured together."""

    n_epochs: Literal["auto"] | None = None
    batch_size: Literal["auto"] | None = None
    learning_rate_multiplier: Literal["auto"] | None = None


class Supervised(_Body):
    hyperparameters: ChosenHyperparameters | None = None


class Method(_Body):
    type: Literal["supervised"]
    supervised: Supervised | None = None


class NewJob(_Body):
    model: Name
    training_file: Name
    suffix: Annotated[str, StringConstraints(max_length=64)] | None = None  #: the elder's id
    #: `elder_id` in place of the suffix; `elder_name` and `language` of an elder who is not there yet
    metadata: Annotated[dict[_MetadataKey, _MetadataValue], Field(max_length=16)] | None = None
    method: Method | None = None
    hyperparameters: ChosenHyperparameters | None = None
    seed: int | None = None  #: the recipe's own is used, and told
    validation_file: Literal[""] | None = None  #: PUT /elders/{id}/questions sets what is measured with
    integrations: Annotated[list[Any], Field(max_length=0)] | None = None


class JobError(BaseModel):
    code: str
    message: str
    param: str | None = None


class Hyperparameters(BaseModel):
    n_epochs: int | Literal["auto"] = "auto"
    batch_size: Literal["auto"] = "auto"
    learning_rate_multiplier: Literal["auto"] = "auto"


class JobObject(BaseModel):
    id: str
    object: Literal["fine_tuning.job"] = "fine_tuning.job"
    created_at: int
    estimated_finish: int | None
    finished_at: int | None
    model: str
    fine_tuned_model: str | None
    organization_id: str
    status: Literal["queued", "running", "succeeded", "failed", "cancelled"]
    error: JobError | None
    hyperparameters: Hyperparameters
    training_file: str
    validation_file: str | None = None
    result_files: list[str] = Field(default_factory=list)
    trained_tokens: int | None = None
    seed: int
    metadata: dict[str, str]
    elder_id: str  #: ours
    progress: int  #: ours: 0-100


class JobEvent(BaseModel):
    id: str
    object: Literal["fine_tuning.job.event"] = "fine_tuning.job.event"
    created_at: int
    level: Literal["info", "warn", "error"]
    message: str
    type: Literal["message"] = "message"
    data: dict[str, float | int | str]


class CheckpointMetrics(BaseModel):
    step: int
    train_loss: float


class Checkpoint(BaseModel):
    id: str
    object: Literal["fine_tuning.job.checkpoint"] = "fine_tuning.job.checkpoint"
    created_at: int
    fine_tuned_model_checkpoint: str
    fine_tuning_job_id: str
    step_number: int
    metrics: CheckpointMetrics
