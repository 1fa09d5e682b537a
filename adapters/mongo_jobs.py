"""Jobs in MongoDB, and their events.

A worker's writes carry its lease's fencing token: a stale worker's write matches no document, and that is LeaseLost.
"""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime, timedelta

from pymongo import DESCENDING, ReturnDocument
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import DuplicateKeyError

from adapters.mongo import Document, decode, of_tenant, translated
from kernel.errors import JobNotFound, JobRunning, LeaseLost
from kernel.ids import ElderId, JobId, TenantId
from kernel.job import Event, Fact, Job, JobStatus, Step


class MongoJobs:
    def __init__(self, database: Database[Document]) -> None:
        self._jobs: Collection[Document] = database.jobs
        self._events: Collection[Document] = database.events

    def add(self, tenant: TenantId, job: Job) -> None:
        with translated():
            try:
                self._jobs.insert_one(_job_row(job) | of_tenant(tenant))
            except DuplicateKeyError as error:
                running = self.live(tenant, job.elder)
                raise JobRunning(job_id=running.id if running else job.id) from error

    def get(self, tenant: TenantId, job: JobId) -> Job:
        with translated():
            row = self._jobs.find_one(of_tenant(tenant) | {"id": job})
        if row is None:
            raise JobNotFound(job=job)
        return _job(row)

    def live(self, tenant: TenantId, elder: ElderId) -> Job | None:
        with translated():
            row = self._jobs.find_one(of_tenant(tenant) | {"elder": elder, "is_live": True})
        return _job(row) if row else None

    def of_elder(self, tenant: TenantId, elder: ElderId) -> list[Job]:
        with translated():
            rows = self._jobs.find(of_tenant(tenant) | {"elder": elder}).sort("created_at", DESCENDING)
            return [_job(row) for row in rows]

    def delete(self, tenant: TenantId, elder: ElderId) -> int:
        """Events first: without their job nothing would find them again."""
        mine = of_tenant(tenant) | {"elder": elder}
        with translated():
            jobs = [row["id"] for row in self._jobs.find(mine, projection={"id": True})]
            self._events.delete_many(of_tenant(tenant) | {"job": {"$in": jobs}})
            return self._jobs.delete_many(mine).deleted_count

    def claim(self, tenant: TenantId, job: JobId, *, owner: str, now: datetime, ttl: timedelta) -> Job | None:
        with translated():
            row = self._jobs.find_one_and_update(
                of_tenant(tenant)
                | {"id": job, "is_live": True}
                | {"$or": [{"lease": None}, {"lease.expires_at": {"$lte": now}}]},
                [
                    {
                        "$set": {
                            "token": {"$add": ["$token", 1]},
                            "lease": {
                                "owner": owner,
                                "expires_at": now + ttl,
                                "token": {"$add": ["$token", 1]},
                            },
                            "status": JobStatus.TRAINING.value,
                            "updated_at": now,
                        }
                    }
                ],
                return_document=ReturnDocument.AFTER,
            )
        return _job(row) if row else None

    def renew(
        self,
        tenant: TenantId,
        job: JobId,
        *,
        token: int,
        now: datetime,
        ttl: timedelta,
        step: Step | None = None,
    ) -> Job:
        change: Document = {"lease.expires_at": now + ttl, "updated_at": now}
        if step is not None:
            change |= _step_change(step)
        return self._write(tenant, job, token, change)

    def save_step(self, tenant: TenantId, job: JobId, *, token: int, step: Step) -> None:
        self._write(tenant, job, token, _step_change(step))

    def release(self, tenant: TenantId, job: JobId, *, token: int, now: datetime) -> None:
        self._write(tenant, job, token, {"lease": None, "updated_at": now})

    def finish(self, tenant: TenantId, job: JobId, *, token: int, now: datetime, outcome: Job) -> None:
        self._write(
            tenant,
            job,
            token,
            {
                "status": outcome.status.value,
                "is_live": outcome.status.is_live,
                "version": outcome.version,
                "error_code": outcome.error_code,
                "error_details": outcome.error_details,
                "lease": None,
                "updated_at": now,
            },
        )

    def request_cancel(self, tenant: TenantId, job: JobId, *, now: datetime) -> Job:
        """Nobody's job ends here and now; a held one is told, and ends at its worker's next heartbeat."""
        mine = of_tenant(tenant) | {"id": job, "is_live": True}
        nobodys = {"$or": [{"lease": None}, {"lease.expires_at": {"$lte": now}}]}
        ended = {
            "status": JobStatus.CANCELLED.value,
            "is_live": False,
            "lease": None,
            "error_code": "cancelled",
        }
        asked = {"is_cancel_requested": True, "updated_at": now}
        with translated():
            if not self._jobs.find_one_and_update(mine | nobodys, {"$set": asked | ended, "$inc": {"token": 1}}):
                self._jobs.find_one_and_update(mine, {"$set": asked})
        return self.get(tenant, job)

    def overdue(self, tenant: TenantId, *, now: datetime, grace: timedelta) -> list[Job]:
        with translated():
            rows = self._jobs.find(
                of_tenant(tenant)
                | {
                    "is_live": True,
                    "$or": [
                        {"lease": None, "updated_at": {"$lte": now - grace}},
                        {"lease.expires_at": {"$lte": now}},
                    ],
                }
            )
            return [_job(row) for row in rows]

    def add_event(self, tenant: TenantId, job: JobId, *, kind: str, at: datetime, facts: Mapping[str, Fact]) -> Event:
        with translated():
            row = self._jobs.find_one_and_update(
                of_tenant(tenant) | {"id": job}, {"$inc": {"events": 1}}, return_document=ReturnDocument.AFTER
            )
            if row is None:
                raise JobNotFound(job=job)
            event = Event(number=row["events"], at=at, kind=kind, facts=dict(facts))
            self._events.insert_one(asdict(event) | of_tenant(tenant) | {"job": job})
        return event

    def events(self, tenant: TenantId, job: JobId, *, after: int) -> list[Event]:
        with translated():
            rows = self._events.find(of_tenant(tenant) | {"job": job, "number": {"$gt": after}}).sort("number")
            return [decode(Event, row) for row in rows]

    def _write(self, tenant: TenantId, job: JobId, token: int, change: Document) -> Job:
        with translated():
            row = self._jobs.find_one_and_update(
                of_tenant(tenant) | {"id": job, "lease.token": token},
                {"$set": change},
                return_document=ReturnDocument.AFTER,
            )
        if row is None:
            raise LeaseLost
        return _job(row)


def _job_row(job: Job) -> Document:
    """Steps by name, so that one step can be written by its path; a document keeps its keys' order."""
    steps = {step.name: asdict(step) for step in job.steps}
    return asdict(job) | {"steps": steps, "is_live": job.status.is_live, "token": 0, "events": 0}


def _job(row: Document) -> Job:
    return decode(Job, row | {"steps": list(row["steps"].values())})


def _step_change(step: Step) -> Document:
    return {f"steps.{step.name}": asdict(step)}
