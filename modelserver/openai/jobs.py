"""A job of ours in OpenAI's shapes: the job, what happened to it, and what can be talked with at its end."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from kernel.elder import Elder
from kernel.ids import model_name
from kernel.job import Brain, Event, Job, JobStatus
from kernel.progress_tracker import ProgressTracker
from kernel.reason import STAGES
from modelserver.openai.schemas import (
    Checkpoint,
    CheckpointMetrics,
    Hyperparameters,
    JobError,
    JobEvent,
    JobObject,
)
from modelserver.services import Services
from modelserver.training import why_it_failed

_STATUS: dict[JobStatus, Literal["queued", "running", "succeeded", "failed", "cancelled"]] = {
    JobStatus.QUEUED: "queued",
    JobStatus.TRAINING: "running",
    JobStatus.COMPLETED: "succeeded",
    JobStatus.FAILED: "failed",
    JobStatus.CANCELLED: "cancelled",
}
_LEVELS: dict[str, Literal["warn", "error"]] = {"step.waits": "warn", "job.failed": "error"}
_MESSAGES = {
    "job.queued": {"en": "The job is queued.", "zh": "任务已排队。"},
    "step.started": {"en": "Stage {step} has started.", "zh": "“{step}”阶段开始。"},
    "step.done": {"en": "Stage {step} is done, in {seconds} s.", "zh": "“{step}”阶段完成，用时 {seconds} 秒。"},
    "step.skipped": {"en": "Stage {step} is skipped: nothing changed.", "zh": "“{step}”阶段没有变化，跳过。"},
    "step.waits": {"en": "Stage {step} waits and is tried again.", "zh": "“{step}”阶段稍后重试。"},
    "job.completed": {"en": "The model is ready: version {version}.", "zh": "模型已就绪：第 {version} 版。"},
    "job.cancelled": {"en": "The job was cancelled.", "zh": "任务已取消。"},
}


def job_object(services: Services, job: Job, elder: Elder, past: Sequence[Job], language: str) -> JobObject:
    """`past`: the elder's jobs, newest first."""
    base = services.config.get_current_model(elder.language, wanted=elder.base_model)
    progress = ProgressTracker(past).progress(job)
    left = progress.eta_seconds if job.status is JobStatus.TRAINING else None
    error = why_it_failed(job) if job.status is JobStatus.FAILED else None
    return JobObject(
        id=job.id,
        created_at=int(job.created_at.timestamp()),
        estimated_finish=None if left is None else int((services.clock() + timedelta(seconds=left)).timestamp()),
        finished_at=None if job.status.is_live else int(job.updated_at.timestamp()),
        model=base.key,
        fine_tuned_model=_tag(job),
        organization_id=job.tenant,
        status=_STATUS[job.status],
        error=JobError(code=error.code, message=error.message(language)) if error else None,
        hyperparameters=Hyperparameters(n_epochs=progress.total_epochs or "auto"),
        training_file=job.training_file,
        seed=services.config.get_recipe(base, threads=1).seed,
        metadata=job.metadata,
        elder_id=job.elder,
        progress=progress.percent,
    )


def event(job: Job, happened: Event, language: str) -> JobEvent:
    return JobEvent(
        id=f"ftevent-{job.id}-{happened.number}",
        created_at=int(happened.at.timestamp()),
        level=_LEVELS.get(happened.kind, "info"),
        message=_message(job, happened, language),
        data=happened.facts,
    )


def checkpoint(job: Job) -> Checkpoint | None:
    """The version that the job published, or found unchanged; its training's last step and loss."""
    tag = _tag(job)
    if tag is None:
        return None
    trained = job.step("train_sft").facts
    step = int(trained.get("step", 0))
    return Checkpoint(
        id=f"ftckpt-{job.id}",
        created_at=int(job.updated_at.timestamp()),
        fine_tuned_model_checkpoint=tag,
        fine_tuning_job_id=job.id,
        step_number=step,
        metrics=CheckpointMetrics(step=step, train_loss=float(trained.get("loss", 0.0))),
    )


def _tag(job: Job) -> str | None:
    """A left brain is nobody to talk with."""
    is_done = job.brain is Brain.RIGHT and job.status is JobStatus.COMPLETED and job.version is not None
    return f"{model_name(job.tenant, job.elder)}:v{job.version}" if is_done else None


def _message(job: Job, happened: Event, language: str) -> str:
    error = why_it_failed(job)
    if happened.kind == "job.failed" and error:
        return error.message(language)
    words = _MESSAGES.get(happened.kind, {}).get(language, happened.kind)
    step = str(happened.facts.get("step", ""))
    return words.format_map(happened.facts | {"step": STAGES.get(step, step) if language == "zh" else step})
