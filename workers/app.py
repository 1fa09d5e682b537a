"""The Celery app: `celery -A workers.app worker -Q cpu,llm,gpu`. A message is a doorbell."""

import os
import socket
from functools import lru_cache

from celery import Task

from adapters.doorbell import TASK, VECTORS_TASK, celery_app
from config.logs import set_up_logs
from config.settings import read_settings
from kernel.errors import JobNotFound, StoreUnavailable
from kernel.ids import ElderId, JobRef, TenantId
from workers.vectors import make_vectors
from workers.wiring import Workshop, open_workshop

set_up_logs("worker", read_settings().logs_dir)
app = celery_app(read_settings().redis_url)


@app.task(name=TASK, bind=True, ignore_result=True)
def advance(task: Task, ref: str) -> None:
    """Take the job as far as this message's queue goes; whatever goes wrong is written in the job."""
    where = JobRef.parse(ref)
    queue = task.request.delivery_info["routing_key"]
    try:
        workshop = _workshop(os.getpid())
        workshop.runner.advance(workshop.jobs.get(where.tenant, where.job), queue)
    except (JobNotFound, StoreUnavailable):
        return  # deleted since; or the sweep rings again when the store is back


@app.task(name=VECTORS_TASK, ignore_result=True)
def follow(tenant: str, elder: str) -> None:
    """Make vectors of what the elder told, as it is told now."""
    shop = _workshop(os.getpid())
    make_vectors(TenantId(tenant), ElderId(elder), elders=shop.elders, index=shop.index, doorbell=shop.doorbell)


@lru_cache(maxsize=1)
def _workshop(pid: int) -> Workshop:
    """Built in the child that uses it: connections do not survive a fork."""
    return open_workshop(read_settings(), owner=f"{socket.gethostname()}-{pid}")
