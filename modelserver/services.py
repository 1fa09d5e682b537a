"""The services: what the routes work with, built once from the settings."""

from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

import structlog

from adapters.artifacts import ArtifactStore, Place
from adapters.chroma import ChromaIndex
from adapters.companion_wire import RemoteCompanion
from adapters.doorbell import CeleryDoorbell, celery_app
from adapters.embedder import E5Embedder
from adapters.engines import open_engines
from adapters.entity_finder import OfflineEntityFinder
from adapters.left_brains import LeftBrains
from adapters.mongo import MongoFamilies, connect, create_indexes, ping
from adapters.mongo_conversations import MongoConversations, MongoFeedbacks
from adapters.mongo_elders import MongoElders
from adapters.mongo_files import MongoFiles, create_file_indexes
from adapters.mongo_golden import MongoGoldenSets
from adapters.mongo_jobs import MongoJobs
from adapters.mongo_replies import MongoReplies
from adapters.mongo_versions import MongoVersions
from adapters.packaged_gguf import readers
from adapters.reranker import QueryLikelihoodReranker
from adapters.teachers import open_teacher
from config.config_loader import ConfigLoader
from config.settings import Settings
from kernel.clock import utc_now
from kernel.elder import Elder
from kernel.errors import ElderNotFound
from kernel.ids import ElderId, TenantId
from kernel.job import Job
from kernel.memory import Memories, collect_memories
from kernel.model_manager import ModelManager
from kernel.ports import (
    Clock,
    Conversations,
    Doorbell,
    Elders,
    Embedder,
    Engines,
    EntityFinder,
    Families,
    Feedbacks,
    Files,
    GoldenSets,
    Jobs,
    LanguageModel,
    Replies,
    Reranker,
    VectorIndex,
    Versions,
)
from kernel.removal import WordStores, is_gone
from kernel.retrieval import Retriever
from modelserver.checkup import Check, Checkup
from modelserver.turnstile import Turnstile

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Services:
    settings: Settings
    config: ConfigLoader
    families: Families
    elders: Elders
    replies: Replies
    files: Files
    golden: GoldenSets
    conversations: Conversations
    feedbacks: Feedbacks
    jobs: Jobs
    versions: Versions
    artifacts: ArtifactStore
    doorbell: Doorbell
    engine: Engines
    index: VectorIndex
    embedder: Embedder  #: not the index's own: no chat waits behind a client's long list
    reranker: Reranker
    finder: EntityFinder
    teacher: LanguageModel | None  #: None: the built-in one
    checks: dict[str, Check]
    clock: Clock
    retrievers: "Retrievers" = field(init=False)
    checkup: Checkup = field(init=False)
    turnstile: Turnstile = field(default_factory=Turnstile)

    def __post_init__(self) -> None:
        object.__setattr__(self, "retrievers", Retrievers(self.elders, self.index, self.reranker))
        object.__setattr__(self, "checkup", Checkup(self.checks))

    @property
    def left_brains(self) -> LeftBrains:
        return LeftBrains(jobs=self.jobs, artifacts=self.artifacts)

    @property
    def word_stores(self) -> WordStores:
        return WordStores(
            elders=self.elders,
            replies=self.replies,
            golden=self.golden,
            files=self.files,
            conversations=self.conversations,
            feedbacks=self.feedbacks,
            index=self.index,
        )

    def told(self, tenant: TenantId, elder: ElderId) -> None:
        """After answers came or went, or the elder: a worker sees to the vectors."""
        self.doorbell.ring_for_vectors(tenant, elder)

    @contextmanager
    def searching(self, tenant: TenantId, elder: Elder) -> Iterator[None]:
        """Around a search, which makes vectors: a removal that had passed the index did not see them.

        Raises ElderNotFound, whatever else went wrong with an elder who is gone.
        """
        try:
            yield
        finally:
            if is_gone(tenant, elder, self.elders):
                self.index.delete(tenant, elder.id)
                raise ElderNotFound(elder=elder.id)

    @property
    def models(self) -> ModelManager:
        return ModelManager(versions=self.versions, jobs=self.jobs, engine=self.engine, weights=self.artifacts)

    def artefact(self, job: Job, stage: str, kind: type) -> Any:
        """What the job made at that stage; None where it is gone."""
        key = next((step.key for step in job.steps if step.name == stage), "")
        place = Place(tenant=job.tenant, elder=job.elder, stage=stage)
        stored = self.artifacts.look(place, key) if key else None
        return self.artifacts.load(stored, kind) if stored else None


class Retrievers:
    """The memories that chat searches: always the elder's answers as they are now, not as they were trained on."""

    def __init__(self, elders: Elders, index: VectorIndex, reranker: Reranker, *, kept: int = 64) -> None:
        self._elders, self._index, self._reranker, self._limit = elders, index, reranker, kept
        self._kept: OrderedDict[tuple[TenantId, ElderId], _Kept] = OrderedDict()
        self._lock = Lock()

    def of(self, tenant: TenantId, elder: ElderId) -> Retriever:
        """One family's long story is read under its elder's own lock: no other waits."""
        mark = self._elders.answers_mark(tenant, elder)
        with self._lock:
            kept = self._kept.setdefault((tenant, elder), _Kept())
            self._kept.move_to_end((tenant, elder))
            while len(self._kept) > self._limit:
                self._kept.popitem(last=False)
        with kept.lock:
            if kept.retriever is None or kept.mark != mark:
                kept.retriever, kept.mark = self._open(tenant, elder), mark
            return kept.retriever

    def _open(self, tenant: TenantId, elder: ElderId) -> Retriever:
        memories = memories_of(self._elders, tenant, elder)
        return Retriever(memories, index=self._index, reranker=self._reranker, tenant=tenant, elder=elder)


@dataclass
class _Kept:
    """`mark`: of the answers that the retriever was made from."""

    lock: Lock = field(default_factory=Lock)
    mark: str = ""
    retriever: Retriever | None = None


def memories_of(elders: Elders, tenant: TenantId, elder: ElderId) -> Memories:
    """Raises ElderNotFound."""
    known = elders.get(tenant, elder)
    return collect_memories(elders.answers(tenant, elder), elder_name=known.name, language=known.language)


def open_services(settings: Settings) -> Services:
    """Connect to everything that the settings name; nothing is asked of it yet but the store's indexes."""
    database = connect(settings.mongo_url, settings.mongo_database)
    create_indexes(database)
    create_file_indexes(database)
    doorbell = CeleryDoorbell(celery_app(settings.redis_url))
    chroma = urlsplit(settings.chroma_url)
    index = ChromaIndex(chroma.hostname or "127.0.0.1", chroma.port or 8000, E5Embedder())
    config = ConfigLoader(settings.config_file, model_dir=settings.model_dir)
    engine = open_engines(settings, config)
    companion = RemoteCompanion(settings.companion_url, key=settings.companion_key)
    return Services(
        settings=settings,
        config=config,
        families=MongoFamilies(database),
        elders=MongoElders(database),
        replies=MongoReplies(database),
        files=MongoFiles(database),
        golden=MongoGoldenSets(database),
        conversations=MongoConversations(database),
        feedbacks=MongoFeedbacks(database),
        jobs=MongoJobs(database),
        versions=MongoVersions(database),
        artifacts=ArtifactStore(settings.artifacts_dir),
        doorbell=doorbell,
        engine=engine,
        index=index,
        embedder=E5Embedder(),
        reranker=QueryLikelihoodReranker(readers(config.get_rerankers()), threads=settings.threads),
        finder=OfflineEntityFinder(),
        teacher=open_teacher(**settings.teacher),
        checks={
            "store": lambda: ping(database),
            "queue": doorbell.check,
            "workers": doorbell.check_workers,
            "vectors": index.check,
            "engine": engine.check,
            **({"companion": companion.check} if settings.companion == "transformers" else {}),
        },
        clock=utc_now,
    )
