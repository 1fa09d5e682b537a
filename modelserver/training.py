"""Trainings: a job is checked, added and rung for in one way, whichever interface asks for it."""

import secrets
from collections.abc import Mapping, Sequence

import structlog

from kernel import errors
from kernel.elder import Elder
from kernel.errors import ConsentMissing, ElderNotFound, HeirloomError, QueueUnavailable, TooFewMemories
from kernel.ids import ElderId, FileId, JobId, TenantId
from kernel.job import Brain, Job, JobStatus, Step
from kernel.left_brain_pipeline import PIPELINES
from kernel.memory import Answer, Memories, collect_memories
from kernel.removal import is_gone
from modelserver.services import Services

log = structlog.get_logger(__name__)


def start_training(
    services: Services,
    tenant: TenantId,
    elder: Elder,
    *,
    elder_name: str = "",
    force_retrain: bool = False,
    brain: Brain = Brain.RIGHT,
    training_file: str = "",
    metadata: Mapping[str, str] | None = None,
    told: Sequence[Answer] = (),
) -> tuple[Job, bool]:
    """The job, and whether a worker was told of it; if not, the sweep tells one later.

    `told`: what `training_file` adds to the elder's answers, once nobody else trains them.
    Raises TooFewMemories, ConsentMissing, JobRunning, ElderNotFound where the elder is removed meanwhile.
    """
    check_training(services, tenant, elder, [*services.elders.answers(tenant, elder.id), *told], brain=brain)
    now = services.clock()
    job = Job(
        id=JobId(f"{elder.id}_{int(now.timestamp())}_{secrets.token_hex(3)}"),
        tenant=tenant,
        elder=elder.id,
        elder_name=elder_name.strip() or elder.name,
        status=JobStatus.QUEUED,
        force_retrain=force_retrain,
        steps=tuple(Step(name=stage.name) for stage in PIPELINES[brain]),
        created_at=now,
        updated_at=now,
        brain=brain,
        training_file=training_file,
        metadata=dict(metadata or {}),
    )
    services.jobs.add(tenant, job)
    if is_gone(tenant, elder, services.elders):
        services.jobs.delete(tenant, elder.id)
        raise ElderNotFound(elder=elder.id)
    if told:
        try:
            services.files.give(tenant, FileId(training_file), elder.id)
            services.elders.add_answers(tenant, elder.id, told)
            services.told(tenant, elder.id)
        except HeirloomError:
            services.jobs.request_cancel(tenant, job.id, now=now)
            raise
    services.jobs.add_event(tenant, job.id, kind="job.queued", at=now, facts={})
    try:
        services.doorbell.ring(tenant, job.id, PIPELINES[brain][0].queue)
    except QueueUnavailable:
        log.warning("doorbell.unavailable", job=job.id)
        return job, False
    return job, True


def check_training(
    services: Services, tenant: TenantId, elder: Elder, answers: Sequence[Answer], *, brain: Brain = Brain.RIGHT
) -> None:
    """Raises TooFewMemories, ConsentMissing, or what is wrong with the engine that is to serve the elder."""
    check_enough(services, collect_memories(answers, elder_name=elder.name, language=elder.language))
    if _asks_elsewhere(services, tenant, elder.id, brain) and elder.consent is None:
        raise ConsentMissing(elder=elder.id)
    if brain is Brain.RIGHT:
        base = services.config.get_current_model(elder.language, wanted=elder.base_model)
        services.engine.preferring(elder.engine, base=base.key)


def check_enough(services: Services, memories: Memories) -> None:
    """Raises TooFewMemories."""
    have, need = len(memories.items), services.settings.min_memories
    if have < need:
        raise TooFewMemories(have=have, need=need, missing=need - have)


def has_retired(services: Services, tenant: TenantId, elder: ElderId) -> bool:
    """Whether the elder's left brain takes the place of the teacher."""
    return services.settings.teacher_retired and services.left_brains.in_use(tenant, elder) is not None


def _asks_elsewhere(services: Services, tenant: TenantId, elder: ElderId, brain: Brain) -> bool:
    """A left brain is taught by a teacher; it takes the place of one only where it is used."""
    if not services.settings.is_teacher_remote:
        return False
    return brain is Brain.LEFT or not has_retired(services, tenant, elder)


def why_it_failed(job: Job) -> HeirloomError | None:
    return errors.by_code(job.error_code)(**job.error_details) if job.error_code else None
