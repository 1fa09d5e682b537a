"""Trainings: a job is checked, added and rung for in one way, whichever interface asks for it."""

import secrets
from collections.abc import Mapping, Sequence

import structlog

from kernel import errors
from kernel.elder import Elder
from kernel.errors import ConsentMissing, HeirloomError, QueueUnavailable, TooFewMemories
from kernel.ids import JobId, TenantId
from kernel.job import Job, JobStatus, Step
from kernel.memory import Answer, collect_memories
from kernel.pipeline import PIPELINE, STAGE_NAMES
from modelserver.services import Services

log = structlog.get_logger(__name__)


def start_training(
    services: Services,
    tenant: TenantId,
    elder: Elder,
    *,
    elder_name: str = "",
    force_retrain: bool = False,
    training_file: str = "",
    metadata: Mapping[str, str] | None = None,
) -> tuple[Job, bool]:
    """The job, and whether a worker was told of it; if not, the sweep tells one later.

    Raises TooFewMemories, ConsentMissing, JobRunning.
    """
    check_training(services, elder, services.elders.answers(tenant, elder.id))
    now = services.clock()
    job = Job(
        id=JobId(f"{elder.id}_{int(now.timestamp())}_{secrets.token_hex(3)}"),
        tenant=tenant,
        elder=elder.id,
        elder_name=elder_name.strip() or elder.name,
        status=JobStatus.QUEUED,
        force_retrain=force_retrain,
        steps=tuple(Step(name=name) for name in STAGE_NAMES),
        created_at=now,
        updated_at=now,
        training_file=training_file,
        metadata=dict(metadata or {}),
    )
    services.jobs.add(tenant, job)
    services.jobs.add_event(tenant, job.id, kind="job.queued", at=now, facts={})
    try:
        services.doorbell.ring(tenant, job.id, PIPELINE[0].queue)
    except QueueUnavailable:
        log.warning("doorbell.unavailable", job=job.id)
        return job, False
    return job, True


def check_training(services: Services, elder: Elder, answers: Sequence[Answer]) -> None:
    """Raises TooFewMemories, ConsentMissing."""
    have = len(collect_memories(answers, elder_name=elder.name, language=elder.language).items)
    need = services.settings.min_memories
    if have < need:
        raise TooFewMemories(have=have, need=need, missing=need - have)
    if services.settings.is_teacher_remote and elder.consent is None:
        raise ConsentMissing(elder=elder.id)


def why_it_failed(job: Job) -> HeirloomError | None:
    return errors.by_code(job.error_code)(**job.error_details) if job.error_code else None
