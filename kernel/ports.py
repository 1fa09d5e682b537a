"""What the domain needs of the world, as Protocols. adapters/ holds one implementation a system.

Every store method takes the tenant first; there is no way to ask without one.
"""

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kernel.adapter import Adapter, Gguf, MergedWeights
from kernel.bio import Bio
from kernel.companion import Asked, Emotion, Given, Place
from kernel.conversation import Conversation, Turn
from kernel.elder import ApiKey, Consent, Elder, Tenant
from kernel.entity_extraction import Reading
from kernel.evaluation import Probe
from kernel.extraction import Extract
from kernel.feedback import Feedback
from kernel.graph import EntityGraph, EntityType
from kernel.ids import AnswerId, ConversationId, ElderId, FeedbackId, FileId, JobId, MemoryId, TenantId, TurnId
from kernel.job import Event, Fact, Job, Step
from kernel.judge import Background, Verdict
from kernel.language_model import Call, Reply, Spent, Task
from kernel.memory import Answer, Memories, Memory
from kernel.note import Note, Notes
from kernel.pair import Ask, Candidate, Pairs
from kernel.question import Questions
from kernel.recipe import BaseModel, Recipe
from kernel.sample import Message, Sample, Samples
from kernel.speech import Sound
from kernel.topic import Topics
from kernel.training_file import TrainingFile
from kernel.version import ModelVersion

Clock = Callable[[], datetime]  #: aware UTC


class Report(Protocol):
    """How a stage says how far it is. Raises Cancelled or LeaseLost, which a stage lets pass."""

    def __call__(self, fraction: float, **facts: Fact) -> None:
        """`fraction` of the stage done, 0-1. Facts: epoch, epochs, step, steps, loss, tokens_per_second,
        eta_seconds."""


# ---- stores -------------------------------------------------------------------------------------------


class Families(Protocol):
    def add(self, tenant: Tenant, key: ApiKey) -> None: ...
    def tenant_of_key(self, key_sha256: str) -> TenantId | None: ...
    def replace_key(self, tenant: TenantId, old_sha256: str, new: ApiKey) -> bool:
        """In one write, so that a family is never without a key. Whether the old one was this family's."""

    def all(self) -> list[Tenant]: ...


class Elders(Protocol):
    def add(self, tenant: TenantId, elder: Elder) -> None:
        """Raises ElderExists."""

    def get(self, tenant: TenantId, elder: ElderId) -> Elder:
        """Raises ElderNotFound."""

    def all(self, tenant: TenantId) -> list[Elder]: ...
    def set_consent(self, tenant: TenantId, elder: ElderId, consent: Consent | None) -> None:
        """None withdraws it. Raises ElderNotFound."""

    def set_engine(self, tenant: TenantId, elder: ElderId, engine: str) -> None:
        """Empty for the configured one. Raises ElderNotFound."""

    def add_answers(self, tenant: TenantId, elder: ElderId, answers: Sequence[Answer]) -> int:
        """All or none; the same question and answer again is not added. Returns how many were new.

        Raises ElderNotFound where the elder is leaving, or leaves meanwhile; then none is kept.
        """

    def answers(self, tenant: TenantId, elder: ElderId) -> list[Answer]:
        """In the order they were told."""

    def count_answers(self, tenant: TenantId, elder: ElderId) -> int: ...
    def remove_answer(self, tenant: TenantId, elder: ElderId, answer: AnswerId) -> None:
        """Raises AnswerNotFound."""

    def remove_words(self, tenant: TenantId, elder: ElderId) -> int:
        """Every answer and held-out question; from here on the elder is leaving. Returns how many answers."""

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        """The elder's own record; words that are still there go first. One that is gone is deleted already."""

    def answers_mark(self, tenant: TenantId, elder: ElderId) -> str:
        """Another one whenever the answers are others: what was made from them under this mark is still right."""

    def set_probes(self, tenant: TenantId, elder: ElderId, probes: Sequence[Probe]) -> None:
        """Held-out questions, replacing those before. Raises ElderNotFound as `add_answers`."""

    def probes(self, tenant: TenantId, elder: ElderId) -> list[Probe]: ...


class Conversations(Protocol):
    def add(self, tenant: TenantId, conversation: Conversation) -> None: ...
    def add_turn(self, tenant: TenantId, conversation: ConversationId, turn: Turn) -> bool:
        """False where it is gone meanwhile, or full: what was deleted does not come back."""

    def get(self, tenant: TenantId, conversation: ConversationId) -> Conversation:
        """Raises ConversationNotFound."""

    def all(
        self, tenant: TenantId, *, elder: ElderId | None, member: str, limit: int, offset: int
    ) -> list[Conversation]:
        """Of one elder, of one member ("" for each), the one that was talked in last first; with one turn of each."""

    def whole(self, tenant: TenantId, elder: ElderId) -> Iterator[Conversation]:
        """Each of the elder's with all its turns."""

    def remove_turns(self, tenant: TenantId, conversation: ConversationId, turns: Sequence[TurnId]) -> None:
        """A conversation with no turn left goes too."""

    def delete(self, tenant: TenantId, conversation: ConversationId) -> None:
        """Raises ConversationNotFound."""

    def delete_all(self, tenant: TenantId, *, elder: ElderId | None, member: str) -> int:
        """As in `all`. Returns how many."""


class Feedbacks(Protocol):
    def put(self, tenant: TenantId, elder: ElderId, feedback: Feedback) -> None:
        """In place of what the same member said of the same answer before."""

    def of_elder(self, tenant: TenantId, elder: ElderId) -> list[Feedback]:
        """Newest first."""

    def remove(self, tenant: TenantId, elder: ElderId, feedback: FeedbackId) -> None:
        """Raises FeedbackNotFound."""

    def delete(self, tenant: TenantId, elder: ElderId) -> None: ...


class Jobs(Protocol):
    def add(self, tenant: TenantId, job: Job) -> None:
        """Raises JobRunning (with the running job's id) when this elder already has a live job."""

    def get(self, tenant: TenantId, job: JobId) -> Job:
        """Raises JobNotFound."""

    def live(self, tenant: TenantId, elder: ElderId) -> Job | None: ...
    def of_elder(self, tenant: TenantId, elder: ElderId) -> list[Job]:
        """Newest first."""

    def delete(self, tenant: TenantId, elder: ElderId) -> int:
        """Every job of the elder with its events: a worker that holds one loses its lease. Returns how many jobs."""

    def claim(self, tenant: TenantId, job: JobId, *, owner: str, now: datetime, ttl: timedelta) -> Job | None:
        """Take the lease if the job is live and nobody's lease holds; the token goes up by one."""

    def renew(
        self,
        tenant: TenantId,
        job: JobId,
        *,
        token: int,
        now: datetime,
        ttl: timedelta,
        step: Step | None = None,
    ) -> Job:
        """Heartbeat: move the expiry, and write the running step's progress. Raises LeaseLost."""

    def save_step(self, tenant: TenantId, job: JobId, *, token: int, step: Step) -> None:
        """Raises LeaseLost."""

    def release(self, tenant: TenantId, job: JobId, *, token: int, now: datetime) -> None:
        """Give the lease back, so that another queue's worker can take it at once. Raises LeaseLost."""

    def finish(self, tenant: TenantId, job: JobId, *, token: int, now: datetime, outcome: Job) -> None:
        """Write status, error and version of `outcome`, and end the lease. Raises LeaseLost."""

    def request_cancel(self, tenant: TenantId, job: JobId, *, now: datetime) -> Job:
        """A job that nobody holds ends at once; a held one ends within a heartbeat."""

    def overdue(self, tenant: TenantId, *, now: datetime, grace: timedelta) -> list[Job]:
        """Live jobs that no lease holds, and not touched for `grace`."""

    def add_event(self, tenant: TenantId, job: JobId, *, kind: str, at: datetime, facts: Mapping[str, Fact]) -> Event:
        """Numbers run from 1 within the job."""

    def events(self, tenant: TenantId, job: JobId, *, after: int) -> list[Event]:
        """Events with a number above `after`, in order."""


class Versions(Protocol):
    def add(self, tenant: TenantId, version: ModelVersion) -> None: ...
    def of_elder(self, tenant: TenantId, elder: ElderId) -> list[ModelVersion]:
        """Newest first."""

    def active(self, tenant: TenantId, elder: ElderId) -> ModelVersion:
        """Raises ModelNotFound."""

    def activate(self, tenant: TenantId, elder: ElderId, number: int) -> None:
        """In place of the one in use; at every moment one is. Raises VersionNotFound for none, or a retired one."""

    def retire(self, tenant: TenantId, elder: ElderId, number: int) -> None:
        """It can not be activated from here on. Raises VersionNotFound, VersionInUse."""

    def all(self, tenant: TenantId) -> list[ModelVersion]: ...
    def remove(self, tenant: TenantId, elder: ElderId, number: int) -> None: ...
    def delete(self, tenant: TenantId, elder: ElderId) -> None: ...


class Files(Protocol):
    """Uploaded training files, as they were sent; an elder who was trained from one owns its words."""

    def add(self, tenant: TenantId, file: TrainingFile, content: bytes) -> None: ...
    def get(self, tenant: TenantId, file: FileId) -> TrainingFile:
        """Raises TrainingFileNotFound."""

    def content(self, tenant: TenantId, file: FileId) -> bytes:
        """Raises TrainingFileNotFound."""

    def all(self, tenant: TenantId) -> list[TrainingFile]:
        """Newest first."""

    def give(self, tenant: TenantId, file: FileId, elder: ElderId) -> None:
        """Say that the elder is trained from it. Raises TrainingFileNotFound."""

    def of_elder(self, tenant: TenantId, elder: ElderId) -> list[TrainingFile]: ...
    def delete(self, tenant: TenantId, file: FileId) -> None:
        """One that is not there is deleted already."""


# ---- queue ----------------------------------------------------------------------------------------------


class Doorbell(Protocol):
    def ring(self, tenant: TenantId, job: JobId, queue: str) -> None:
        """Tell a worker of `queue` to look at the job. Raises QueueUnavailable; the sweep rings again."""

    def ring_for_vectors(self, tenant: TenantId, elder: ElderId) -> None:
        """Tell a worker that the elder's answers are others than before. Nobody waits for that, hears how it went or
        rings again: the next question makes what is missing."""


# ---- teachers, finders, retrieval -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class Mention:
    """An entity found in a text, by its words as they stand there."""

    title: str
    type: EntityType
    start: int  #: character offset


class Teacher(Protocol):
    """Who reads the memories and writes what is made from them. It never adds a fact of its own."""

    @property
    def name(self) -> str:
        """Which teacher, for the artefacts' keys: another teacher makes other notes."""

    @property
    def missed(self) -> int:
        """How often so far it refused or garbled what it was asked, so that another stood in for it."""

    def write_note(self, memory: Memory) -> Note: ...
    def name_topic(self, notes: Sequence[Note], language: str) -> str: ...
    def tell_bio(self, memories: Memories, notes: Notes, topics: Topics) -> Bio: ...
    def find_entities(self, note: Note, language: str) -> Reading:
        """Who, where, when and what the note's memory names; `language` is the memory's."""

    def think_of_questions(self, memory: Memory) -> Questions:
        """Besides those of the language's phrasing; none is a right reply."""


class LanguageModel(Protocol):
    """A model that teaches or judges: asked for JSON, it replies with what fits the schema, or raises."""

    @property
    def name(self) -> str:
        """Where it is asked and which model it is; part of each task's key."""

    def reply(self, task: Task, *, pause: Callable[[float], None], begin: Callable[[], None] = lambda: None) -> Reply:
        """`pause(seconds)` waits; `begin()` is called before each attempt, as each costs. What they raise ends the
        asking. Raises TeacherMisconfigured, TeacherRefused,
        TeacherUnavailable, TeacherGarbled.
        """

    def check(self) -> None:
        """Whether it can be asked at all. Raises TeacherMisconfigured with what is wrong, TeacherUnavailable."""

    def close(self) -> None: ...


class Replies(Protocol):
    """What a teacher was asked and replied, kept with the elder's other data; also what the left brain learns from."""

    def find(self, tenant: TenantId, elder: ElderId, key: str) -> Call | None: ...
    def keep(self, tenant: TenantId, elder: ElderId, key: str, call: Call) -> None:
        """In place of what was kept under that key before."""

    def calls(self, tenant: TenantId, elder: ElderId) -> list[Call]:
        """In the order in which they were kept."""

    def spent(self, tenant: TenantId, job: JobId) -> Spent: ...
    def forget(self, tenant: TenantId, elder: ElderId, memory: MemoryId) -> int:
        """Every call that held the memory's words. Returns how many."""

    def delete(self, tenant: TenantId, elder: ElderId) -> None: ...


class GoldenSets(Protocol):
    """What a person says a memory's note should be. It is measured with, and never taught."""

    def of_elder(self, tenant: TenantId, elder: ElderId) -> dict[MemoryId, Extract]: ...
    def approve(self, tenant: TenantId, elder: ElderId, memory: MemoryId, wanted: Extract) -> None:
        """In place of what was approved of that memory before."""

    def forget(self, tenant: TenantId, elder: ElderId, memory: MemoryId) -> None:
        """One that is not there is forgotten already."""

    def delete(self, tenant: TenantId, elder: ElderId) -> None: ...


class Judge(Protocol):
    @property
    def name(self) -> str:
        """With everything that shapes its verdicts: part of the artefacts' keys."""

    def verdict(self, sample: Sample, rejected: str, background: Background) -> Verdict | None:
        """Whether `rejected` is worse than the sample's own answer; None for a tie."""


class EntityFinder(Protocol):
    def find(self, text: str, language: str) -> list[Mention]: ...


class Embedder(Protocol):
    def embed(self, texts: Sequence[str], *, is_query: bool) -> list[list[float]]:
        """Unit vectors of one length."""

    def count(self, texts: Sequence[str], *, is_query: bool) -> int:
        """Tokens that the model reads of all of them, with its own marks."""


class VectorIndex(Protocol):
    """A cache of vectors; it can always be rebuilt from the memories."""

    def similarities(
        self, tenant: TenantId, elder: ElderId, question: str, *, digest: str, texts: Sequence[str]
    ) -> NDArray[np.float32]:
        """Cosine of the question with each text, in their order. `digest`: of the texts, so that they are looked at
        only where they are others than before. Raises EngineUnavailable.
        """

    def hold(self, tenant: TenantId, elder: ElderId, texts: Sequence[str], *, most: int) -> bool:
        """Make, before anyone asks, at most `most` of the vectors that are missing, and drop those of other texts.
        Whether all are there now. What is deleted meanwhile stays so. Raises EngineUnavailable.
        """

    def delete(self, tenant: TenantId, elder: ElderId) -> None: ...


class Reranker(Protocol):
    """Reads what retrieval found, and says what the question is about."""

    def likelihoods(self, question: str, texts: Sequence[str], *, language: str) -> list[float]:
        """How much likelier the question becomes after reading each text, in nats; [] where no model is there.

        Raises EngineUnavailable.
        """

    def model(self, language: str) -> str:
        """Names of the GGUFs that read this language; "" for none."""


class GraphIndexer(Protocol):
    def index(self, notes: Notes, readings: Sequence[Reading] = (), *, scratch: Path, report: Report) -> EntityGraph:
        """A note without a reading that names something is read by the offline finder. Raises StageFailed."""


# ---- training, in subprocesses ------------------------------------------------------------------------------


class Trainer(Protocol):
    """Each call runs one program in a subprocess which dies with its worker; `scratch` keeps checkpoints."""

    def train_sft(
        self, samples: Samples, *, recipe: Recipe, folder: Path, scratch: Path, report: Report
    ) -> Adapter: ...
    def propose(
        self, adapter: Adapter, asks: Sequence[Ask], *, recipe: Recipe, scratch: Path, report: Report
    ) -> list[Candidate]:
        """Greedy answers: of the SFT model where the ask's source is "sft", of the untuned base otherwise."""

    def train_dpo(
        self, adapter: Adapter, pairs: Pairs, *, recipe: Recipe, folder: Path, scratch: Path, report: Report
    ) -> Adapter: ...
    def merge(self, adapter: Adapter, *, recipe: Recipe, folder: Path, report: Report) -> MergedWeights: ...
    def convert(
        self,
        merged: MergedWeights,
        *,
        recipe: Recipe,
        prompts: Sequence[Sequence[Message]],
        folder: Path,
        report: Report,
        adapter: Adapter | None = None,
    ) -> Gguf:
        """Convert, quantise, and compare greedy answers on `prompts`. Raises ConversionMismatch.

        With `adapter`, what was merged: the adapter alone is converted, and compared on the base's GGUF.
        """

    def answer(
        self,
        gguf: Path,
        prompts: Sequence[Sequence[Message]],
        *,
        recipe: Recipe,
        report: Report,
        adapter: Path | None = None,
        schema: Mapping[str, object] | None = None,
    ) -> list[str]:
        """Greedy answers of a GGUF, or of an adapter on it; with a JSON schema, of nothing but what fits it."""


# ---- serving --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatOptions:
    temperature: float  #: 0: the likeliest token each time, whatever `top_p`
    max_tokens: int
    top_p: float | None = None  #: chosen among the likeliest that make up this share, above 0; None: the engine's own
    stop: tuple[str, ...] = ()  #: the answer ends before the first of these


@dataclass(frozen=True, kw_only=True, slots=True)
class Ending:
    """How an answer ended, counted by the engine's own tokenizer."""

    tokens_read: int  #: the whole prompt, what was in the cache too
    tokens_written: int
    is_cut: bool  #: at `max_tokens`, or where the context was full


class Engine(Protocol):
    """What serves an elder's model. `name` is "llama_cpp", "ollama" or "vllm"."""

    @property
    def name(self) -> str: ...
    @property
    def continues(self) -> bool:
        """Whether a prompt may end with how the answer begins; what is answered is then the rest of it."""

    @property
    def serves_adapters(self) -> bool:
        """Whether a version may be an adapter's GGUF, which it puts on the base that it knows by `version.base`."""

    def check(self) -> None:
        """Raises EngineUnavailable."""

    def register(
        self, version: ModelVersion, gguf: Path, *, adapter: Path | None = None, say: Callable[[str], None] = ...
    ) -> None:
        """Make `version.tag` answerable; again is harmless. Raises EngineUnavailable, StageFailed.

        `adapter`: the folder of the peft adapter that the GGUF was made from, for an engine that serves that instead.
        `say(status)`: what the engine is doing, in its own words; what it raises ends the registration.
        """

    def has(self, version: ModelVersion) -> bool:
        """Whether `version.tag` is answerable. Raises EngineUnavailable."""

    def chat(
        self, version: ModelVersion, messages: Sequence[Message], options: ChatOptions
    ) -> Generator[str, None, Ending | None]:
        """The answer in pieces as they come, and then how it ended, where the engine says so.

        Closing it, from any thread and also before the first piece, stops the generation.
        """

    def activate(self, version: ModelVersion) -> None:
        """The version is the one in use: whoever asks the engine for the elder's bare name gets it. Raises
        EngineUnavailable."""

    def delete(self, version: ModelVersion, *, at_once: bool = True) -> None:
        """Forget it; one that is not there is forgotten already. Answers that it is giving break off, or not `at_once`
        end first where the engine can tell."""


class Engines(Engine, Protocol):
    """All that are configured. A version is answered by the one that it was registered with."""

    def preferring(self, name: str, *, base: str = "") -> Engine:
        """The same, and new versions, made from the base model `base`, are registered with the engine `name`; "" for
        the configured one. Raises EngineNotConfigured, WrongBase."""


class Companion(Protocol):
    """What answers in a live conversation. As many answers at a time as its engine computes, families in turn."""

    @property
    def name(self) -> str: ...
    def answer(self, asked: Asked) -> AsyncIterator[Place | Given | str]:
        """Its place in the queue as that changes, what it was given, then the answer in pieces, emotion tags and all.

        Closing it stops the generation. Raises CompanionBusy, ContextTooLong, EngineUnavailable, GenerationTimeout,
        ModelNotFound.
        """


class Listener(Protocol):
    """Speech to text."""

    @property
    def languages(self) -> frozenset[str]: ...
    async def transcribe_stream(self, samples: AsyncIterator[bytes], *, language: str) -> str:
        """`samples`: 16-bit, one channel, 16 kHz, as they come. "" for silence. Raises SpeechUnavailable."""


class Speaker(Protocol):
    """Text to speech, with feeling."""

    @property
    def languages(self) -> frozenset[str]: ...
    def synthesize_stream(self, text: str, *, emotion: Emotion, language: str) -> AsyncIterator[Sound]:
        """In pieces of one rate, as they come. Closing it stops the work. Raises SpeechUnavailable."""


class BaseModels(Protocol):
    def prepare(self, base: BaseModel, report: Report) -> None:
        """Make hf_path and gguf_path be there and whole; raises BaseModelMissing with how to get it."""

    def prepare_to_read(self, base: BaseModel, report: Report) -> None:
        """Make what the reranker reads with be there; raises as `prepare`."""
