"""Training: start, follow, cancel. The job's truth is in the store; these routes only read it and ring."""

import asyncio
import json
import re
from collections.abc import AsyncIterator

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from kernel.errors import HeirloomError
from kernel.ids import JobId, TenantId, elder_id
from kernel.job import Brain, Event, Job
from kernel.progress_tracker import ProgressTracker, eta_words
from kernel.quote import quote_training
from modelserver.auth import Family, Provided
from modelserver.event_stream import one_line
from modelserver.problems import language_of
from modelserver.schemas.training import ErrorOut, ProgressOut, QuoteOut, StageOut, StartTraining, TrainingStarted
from modelserver.services import Services, memories_of
from modelserver.training import check_enough, has_retired, start_training, why_it_failed

router = APIRouter(prefix="/train", tags=["train"])

_POLL_SECONDS = 0.5
_SILENCE_SECONDS = 15.0  #: a comment is sent after so long, so that proxies keep the stream open

_STARTED = {"en": "Training has started.", "zh": "训练任务已启动"}
_KEPT = {
    "en": "The job is kept; it starts when the queue is back.",
    "zh": "训练任务已保存，队列恢复后会自动开始",
}


@router.post("/start")
def start(request: Request, wanted: StartTraining, services: Provided, tenant: Family) -> TrainingStarted:
    elder = services.elders.get(tenant, elder_id(wanted.elder_id))
    job, is_heard = start_training(
        services,
        tenant,
        elder,
        elder_name=wanted.elder_name,
        force_retrain=wanted.force_retrain,
        brain=Brain(wanted.brain),
    )
    words = _STARTED if is_heard else _KEPT
    return TrainingStarted(message=words[language_of(request)], job_id=job.id, elder_id=elder.id)


@router.get("/quote/{elder}")
def quote(request: Request, elder: str, services: Provided, tenant: Family, brain: Brain = Brain.RIGHT) -> QuoteOut:
    """What a training would ask its teacher now, and how long it would take. Nothing is asked or started."""
    known = services.elders.get(tenant, elder_id(elder))
    memories = memories_of(services.elders, tenant, known.id)
    check_enough(services, memories)
    base = services.config.get_current_model(known.language, wanted=known.base_model)
    is_retired = brain is Brain.RIGHT and has_retired(services, tenant, known.id)
    quoted = quote_training(
        memories,
        model=services.teacher.name if services.teacher and not is_retired else "",
        prompts=services.config.get_teacher_prompts(),
        replies=services.replies,
        tenant=tenant,
        elder=known.id,
        tracker=ProgressTracker(services.jobs.of_elder(tenant, known.id)),
        max_pairs=services.config.get_recipe(base, threads=1).dpo.max_pairs,
        brain=brain,
    )
    return QuoteOut(
        elder_id=known.id,
        teacher=quoted.model,
        calls=quoted.calls,
        tokens=quoted.tokens,
        seconds=quoted.seconds,
        time=eta_words(quoted.seconds, language_of(request)),
    )


@router.get("/progress/{job_id}")
def progress(request: Request, job_id: str, services: Provided, tenant: Family) -> ProgressOut:
    job = services.jobs.get(tenant, JobId(job_id))
    past = services.jobs.of_elder(tenant, job.elder)
    return _progress(job, ProgressTracker(past), language_of(request))


@router.get("/events/{job_id}")
async def events(request: Request, job_id: str, services: Provided, tenant: Family) -> StreamingResponse:
    """Server-sent events: what happened from the beginning (or after Last-Event-ID), then what happens, and
    `progress` whenever it changes; the stream ends with the job."""
    job = await run_in_threadpool(services.jobs.get, tenant, JobId(job_id))
    after = request.headers.get("last-event-id", "0")
    seen = int(after) if re.fullmatch(r"[0-9]{1,18}", after) else 0
    stream = _events(services, tenant, job, seen, language_of(request))
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


@router.post("/cancel/{job_id}")
def cancel(request: Request, job_id: str, services: Provided, tenant: Family) -> ProgressOut:
    job = services.jobs.request_cancel(tenant, JobId(job_id), now=services.clock())
    return _progress(job, ProgressTracker(), language_of(request))


def _progress(job: Job, tracker: ProgressTracker, language: str) -> ProgressOut:
    now = tracker.progress(job)
    return ProgressOut(
        job_id=job.id,
        elder_id=job.elder,
        brain=job.brain.value,
        status=job.status.value,
        progress=now.percent,
        current_epoch=now.current_epoch,
        total_epochs=now.total_epochs,
        eta=eta_words(now.eta_seconds, language),
        eta_seconds=now.eta_seconds,
        loss=now.loss,
        tokens_per_second=now.tokens_per_second,
        stages=[
            StageOut(
                name=step.name,
                state=step.state.value,
                progress=int(100 * step.fraction),
                seconds=step.seconds,
                attempts=step.attempts,
                key=step.key,
                digest=step.digest,
                facts=step.facts,
            )
            for step in job.steps
        ],
        version=job.version,
        error=_error(job, language),
    )


def _error(job: Job, language: str) -> ErrorOut | None:
    error = why_it_failed(job)
    return ErrorOut(code=error.code, message=error.message(language)) if error else None


async def _events(services: Services, tenant: TenantId, job: Job, after: int, language: str) -> AsyncIterator[str]:
    past = await run_in_threadpool(services.jobs.of_elder, tenant, job.elder)
    tracker = ProgressTracker(past)
    last, quiet = "", 0.0
    while True:
        try:
            job = await run_in_threadpool(services.jobs.get, tenant, job.id)
            happened = await run_in_threadpool(services.jobs.events, tenant, job.id, after=after)
        except HeirloomError as error:
            yield _frame("error", json.dumps({"code": error.code, "message": error.message(language)}))
            return
        for event in happened:
            after = event.number
            yield _frame(event.kind, _event_data(event), number=event.number)
        now = _progress(job, tracker, language).model_dump_json()
        if now != last:
            last, quiet = now, 0.0
            yield _frame("progress", now)
        if not job.status.is_live:
            return
        await asyncio.sleep(_POLL_SECONDS)
        quiet += _POLL_SECONDS
        if quiet >= _SILENCE_SECONDS:
            quiet = 0.0
            yield ": still here\n\n"


def _event_data(event: Event) -> str:
    return json.dumps({"number": event.number, "at": event.at.isoformat(), **event.facts})


def _frame(kind: str, data: str, *, number: int | None = None) -> str:
    head = f"id: {number}\n" if number is not None else ""
    return f"{head}event: {kind}\ndata: {one_line(data)}\n\n"
