"""The doorbell: a Celery message that carries a job's id or an elder's, and nothing else.

A lost message loses nothing: the job stands in MongoDB, and the sweep rings again. So messages are not
retried, kept or answered, and a worker acknowledges one before it works. Vectors that no message asked for are made by
the first question: so nobody waits for a message about them, and every other goes before it.
"""

from celery import Celery
from kombu.exceptions import OperationalError

from adapters.later import Later
from kernel.errors import NoWorkers, QueueUnavailable
from kernel.ids import ElderId, JobId, JobRef, TenantId

TASK = "heirloom.advance"
VECTORS_TASK = "heirloom.make_vectors"
QUEUES = ("cpu", "llm", "gpu")
_FIRST, _LAST = 0, 9  #: priorities, as kombu's Redis transport counts them


def celery_app(redis_url: str) -> Celery:
    """The app that both ends share. `redis_url` is like redis://host:6379/0."""
    app = Celery("heirloom", broker=redis_url, set_as_current=False)
    app.conf.update(
        task_ignore_result=True,
        task_default_queue="cpu",
        task_serializer="json",
        accept_content=["json"],
        broker_connection_retry_on_startup=True,
        broker_connection_timeout=5,
        broker_transport_options={
            "socket_timeout": 10,
            "socket_connect_timeout": 5,
            "retry_on_timeout": True,
            "max_retries": 1,
        },
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_send_task_events=False,
    )
    return app


class CeleryDoorbell:
    def __init__(self, app: Celery) -> None:
        self._app = app
        self._ring_for_vectors = Later(
            lambda tenant, elder: self._send(VECTORS_TASK, [tenant, elder], "cpu", priority=_LAST)
        )

    def ring(self, tenant: TenantId, job: JobId, queue: str) -> None:
        self._send(TASK, [str(JobRef(tenant=tenant, job=job))], queue, priority=_FIRST)

    def ring_for_vectors(self, tenant: TenantId, elder: ElderId) -> None:
        self._ring_for_vectors(tenant, elder)

    def check(self) -> None:
        """Raises QueueUnavailable when Redis does not answer."""
        try:
            with self._app.connection_for_write() as connection:
                connection.ensure_connection(max_retries=1, timeout=3)
        except (OperationalError, OSError) as error:
            raise QueueUnavailable from error

    def check_workers(self) -> None:
        """Raises QueueUnavailable when no worker answers within a second."""
        try:
            answers = self._app.control.ping(timeout=1.0, limit=1)
        except (OperationalError, OSError) as error:
            raise QueueUnavailable from error
        if not answers:
            raise NoWorkers

    def _send(self, task: str, ids: list[str], queue: str, *, priority: int) -> None:
        try:
            self._app.send_task(task, args=ids, queue=queue, retry=False, priority=priority)
        except (OperationalError, OSError) as error:
            raise QueueUnavailable from error
