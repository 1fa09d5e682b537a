"""The sweep: `python -m workers.sweep`. Rings again for jobs that nobody works on.

A lease that ran out (its worker died), a message that was lost (Redis died), a step that waits for a part
that was down: all look the same here, a live job that no lease holds.
"""

import signal
import threading
from datetime import timedelta

import structlog

from adapters.doorbell import CeleryDoorbell, celery_app
from adapters.mongo import MongoFamilies, connect
from adapters.mongo_jobs import MongoJobs
from config.logs import set_up_logs
from config.settings import read_settings
from kernel.clock import utc_now
from kernel.errors import QueueUnavailable, StoreUnavailable
from kernel.job import Job
from kernel.left_brain_pipeline import PIPELINES
from kernel.ports import Clock, Doorbell, Families, Jobs

log = structlog.get_logger(__name__)


def sweep(families: Families, jobs: Jobs, doorbell: Doorbell, *, clock: Clock, grace: timedelta) -> int:
    """Ring once for every overdue job of every family; returns how many."""
    rung = 0
    for tenant in families.all():
        for job in jobs.overdue(tenant.id, now=clock(), grace=grace):
            doorbell.ring(tenant.id, job.id, queue_of(job))
            log.info("sweep.rang", job=job.id)
            rung += 1
    return rung


def queue_of(job: Job) -> str:
    """Where the job's next stage runs."""
    over = {step.name for step in job.steps if step.is_over}
    stages = PIPELINES[job.brain]
    return next((stage.queue for stage in stages if stage.name not in over), stages[-1].queue)


def main() -> None:
    settings = read_settings()
    set_up_logs("sweep", settings.logs_dir)
    database = connect(settings.mongo_url, settings.mongo_database)
    doorbell = CeleryDoorbell(celery_app(settings.redis_url))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(settings.sweep_seconds):
        try:
            sweep(
                MongoFamilies(database),
                MongoJobs(database),
                doorbell,
                clock=utc_now,
                grace=timedelta(seconds=settings.sweep_seconds),
            )
        except (StoreUnavailable, QueueUnavailable) as error:
            log.warning("sweep.waits", error=error.code)


if __name__ == "__main__":
    main()
