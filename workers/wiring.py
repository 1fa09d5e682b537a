"""The workshop: everything a worker process needs, built from the settings."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from pymongo.database import Database

from adapters.artifacts import ArtifactStore
from adapters.base_models import BaseModelStore
from adapters.chroma import ChromaIndex
from adapters.doorbell import CeleryDoorbell, celery_app
from adapters.embedder import E5Embedder
from adapters.engines import open_engines
from adapters.entity_finder import OfflineEntityFinder
from adapters.graphrag import GraphRagIndexer
from adapters.hardware import check_memory
from adapters.left_brains import LeftBrains, LoadedLeftBrain
from adapters.mongo import Document, connect
from adapters.mongo_conversations import MongoFeedbacks
from adapters.mongo_elders import MongoElders
from adapters.mongo_golden import MongoGoldenSets
from adapters.mongo_jobs import MongoJobs
from adapters.mongo_replies import MongoReplies
from adapters.mongo_versions import MongoVersions
from adapters.packaged_gguf import readers
from adapters.reranker import QueryLikelihoodReranker
from adapters.teachers import open_teacher
from config.config_loader import ConfigLoader
from config.settings import Settings
from kernel.builtin_teacher import BuiltinTeacher
from kernel.clock import utc_now
from kernel.kept_model import Budget
from kernel.ports import Doorbell, Elders, Jobs, VectorIndex
from workers.desk import DeskMaker
from workers.lease import LeaseTerms
from workers.runner import Runner
from workers.teachers import Teachers
from workers.trainer import SubprocessTrainer


@dataclass(frozen=True, kw_only=True)
class Workshop:
    jobs: Jobs
    elders: Elders
    index: VectorIndex
    doorbell: Doorbell
    runner: Runner


def open_workshop(settings: Settings, *, owner: str) -> Workshop:
    database = connect(settings.mongo_url, settings.mongo_database)
    jobs = MongoJobs(database)
    desks = _desks(settings, database)
    doorbell = CeleryDoorbell(celery_app(settings.redis_url))
    runner = Runner(
        jobs=jobs,
        artifacts=ArtifactStore(settings.artifacts_dir),
        doorbell=doorbell,
        desks=desks,
        terms=LeaseTerms(
            ttl=timedelta(seconds=settings.lease_seconds),
            heartbeat=timedelta(seconds=settings.heartbeat_seconds),
        ),
        max_attempts=settings.max_attempts,
        owner=owner,
        clock=utc_now,
    )
    return Workshop(jobs=jobs, elders=desks.elders, index=desks.index, doorbell=doorbell, runner=runner)


def _desks(settings: Settings, database: Database[Document]) -> DeskMaker:
    embedder = E5Embedder()
    chroma = urlsplit(settings.chroma_url)
    config = ConfigLoader(settings.config_file, model_dir=settings.model_dir)
    left_brains = LeftBrains(jobs=MongoJobs(database), artifacts=ArtifactStore(settings.artifacts_dir))
    return DeskMaker(
        config=config,
        threads=settings.threads,
        elders=MongoElders(database),
        feedbacks=MongoFeedbacks(database),
        versions=MongoVersions(database),
        golden=MongoGoldenSets(database),
        left_brains=left_brains,
        teachers=_teachers(settings, config, database, left_brains),
        embedder=embedder,
        index=ChromaIndex(chroma.hostname or "127.0.0.1", chroma.port or 8000, embedder),
        reranker=QueryLikelihoodReranker(readers(config.get_rerankers()), threads=settings.threads),
        indexer=GraphRagIndexer(),
        trainer=SubprocessTrainer(llama_cpp_dir=settings.llama_cpp_dir),
        engine=open_engines(settings, config),
        kept_versions=settings.kept_versions,
        bases=BaseModelStore(llama_cpp_dir=settings.llama_cpp_dir),
        check_memory=check_memory,
        clock=utc_now,
    )


def _teachers(
    settings: Settings, config: ConfigLoader, database: Database[Document], left_brains: LeftBrains
) -> Teachers:
    finder = OfflineEntityFinder()
    loaded = LoadedLeftBrain(
        left_brains,
        base_gguf=lambda key: config.get_base_model(key).gguf_path,
        threads=settings.threads,
        context_tokens=settings.context_tokens,
    )
    return Teachers(
        elders=MongoElders(database),
        builtin=BuiltinTeacher(finder),
        finder=finder,
        model=open_teacher(**settings.teacher),
        is_remote=settings.is_teacher_remote,
        prompts=config.get_teacher_prompts(),
        replies=MongoReplies(database),
        budget=Budget(calls=settings.teacher_max_calls, tokens=settings.teacher_max_tokens),
        clock=utc_now,
        words=config.get_extraction_words(),
        left_brain=loaded.of if settings.teacher_retired else None,
    )
