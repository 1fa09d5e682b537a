"""Fine-tuning: a job of ours, started from an uploaded file for the elder that `suffix` or `metadata` names.

The whole pipeline runs, with the recipe of config/training_config.yaml: hyperparameters are not a client's to choose.
"""

from collections.abc import Sequence

from fastapi import APIRouter, Request

from kernel.elder import Elder
from kernel.errors import BadInput, ElderNotFound, JobRunning
from kernel.ids import ElderId, FileId, JobId, TenantId, elder_id
from kernel.job import Job
from kernel.memory import Answer, collect_memories
from kernel.upload import read_answers
from modelserver.auth import Family, Provided
from modelserver.openai.jobs import checkpoint, event, job_object
from modelserver.openai.page import After, Limit, page_of
from modelserver.openai.schemas import Checkpoint, JobEvent, JobObject, NewJob, Page
from modelserver.problems import language_of
from modelserver.services import Services
from modelserver.training import check_training, start_training

router = APIRouter(prefix="/v1/fine_tuning/jobs", tags=["openai"])

_LANGUAGES = ("zh", "en")


@router.post("")
def create_job(request: Request, wanted: NewJob, services: Provided, tenant: Family) -> JobObject:
    """`model`: a base model of the registry. `suffix` or `metadata.elder_id`: the elder, who is created when not there
    yet, as `metadata.elder_name` and `metadata.language` say. What the assistant says in the file is added to what the
    elder told; then everything the elder told is trained from. 409 while the elder is being trained."""
    file = services.files.get(tenant, FileId(wanted.training_file))
    limit = services.settings.max_answer_bytes
    told = read_answers(services.files.content(tenant, file.id), max_answer_bytes=limit)
    elder, is_new = _elder(services, tenant, wanted, told)
    if running := services.jobs.live(tenant, elder.id):
        raise JobRunning(job_id=running.id)
    check_training(services, tenant, elder, [*services.elders.answers(tenant, elder.id), *told])
    if is_new:
        services.elders.add(tenant, elder)
    job, _ = start_training(services, tenant, elder, training_file=file.id, metadata=wanted.metadata, told=told)
    return job_object(services, job, elder, [job], language_of(request))


@router.get("")
def list_jobs(
    request: Request, services: Provided, tenant: Family, after: After = None, limit: Limit = 20
) -> Page[JobObject]:
    """Newest first, those that were started elsewhere too; `metadata[key]=value` finds those that carry it."""
    wanted = {name[9:-1]: value for name, value in request.query_params.items() if name.startswith("metadata[")}
    language, found = language_of(request), list[JobObject]()
    for elder in services.elders.all(tenant):
        jobs = services.jobs.of_elder(tenant, elder.id)
        found += [job_object(services, job, elder, jobs, language) for job in jobs]
    found = [job for job in found if wanted.items() <= job.metadata.items()]
    return page_of(sorted(found, key=lambda job: job.created_at, reverse=True), after=after, limit=limit)


@router.get("/{job_id}")
def retrieve_job(request: Request, job_id: str, services: Provided, tenant: Family) -> JobObject:
    return _out(request, services, tenant, services.jobs.get(tenant, JobId(job_id)))


@router.post("/{job_id}/cancel")
def cancel_job(request: Request, job_id: str, services: Provided, tenant: Family) -> JobObject:
    """A worker that holds it stops within seconds; until then the job is still running."""
    return _out(request, services, tenant, services.jobs.request_cancel(tenant, JobId(job_id), now=services.clock()))


@router.get("/{job_id}/events")
def list_events(
    request: Request, job_id: str, services: Provided, tenant: Family, after: After = None, limit: Limit = 20
) -> Page[JobEvent]:
    """Newest first, as OpenAI lists them."""
    job = services.jobs.get(tenant, JobId(job_id))
    happened = services.jobs.events(tenant, job.id, after=0)
    told = [event(job, one, language_of(request)) for one in reversed(happened)]
    return page_of(told, after=after, limit=limit)


@router.get("/{job_id}/checkpoints")
def list_checkpoints(
    job_id: str, services: Provided, tenant: Family, after: After = None, limit: Limit = 10
) -> Page[Checkpoint]:
    """What can be talked with: the version that the job published. Nothing before that."""
    found = checkpoint(services.jobs.get(tenant, JobId(job_id)))
    return page_of([found] if found else [], after=after, limit=limit)


def _elder(services: Services, tenant: TenantId, wanted: NewJob, told: Sequence[Answer]) -> tuple[Elder, bool]:
    """The elder, and whether nobody has created them yet."""
    metadata = wanted.metadata or {}
    name = metadata.get("elder_id") or wanted.suffix
    if not name:
        raise BadInput(reason="Say in 'suffix' which elder is to be trained.", param="suffix")
    known = elder_id(name)
    services.config.get_base_model(wanted.model)
    try:
        elder, is_new = services.elders.get(tenant, known), False
    except ElderNotFound:
        elder, is_new = _new_elder(services, known, wanted, told), True
    base = services.config.get_current_model(elder.language, wanted=elder.base_model)
    if base.key != wanted.model:
        reason = f"Elder {elder.id} is trained on {base.key}: name that model, or another elder."
        raise BadInput(reason=reason, param="model")
    return elder, is_new


def _new_elder(services: Services, known: ElderId, wanted: NewJob, told: Sequence[Answer]) -> Elder:
    metadata = wanted.metadata or {}
    name = "".join(filter(str.isprintable, metadata.get("elder_name") or "")).strip()[:100] or known
    language = metadata.get("language") or collect_memories(told, elder_name=name, language="en").language
    if language not in _LANGUAGES:
        raise BadInput(reason="The language must be zh or en.", param="metadata")
    return Elder(id=known, name=name, language=language, base_model=wanted.model, created_at=services.clock())


def _out(request: Request, services: Services, tenant: TenantId, job: Job) -> JobObject:
    elder = services.elders.get(tenant, job.elder)
    return job_object(services, job, elder, services.jobs.of_elder(tenant, elder.id), language_of(request))
