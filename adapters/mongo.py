"""MongoDB: families, elders, jobs and versions. The truth of everything but weights and vectors.

Every filter begins with the tenant (`of_tenant`). A job's writes also carry the lease's fencing token: a stale
worker's write matches no document, and that is LeaseLost.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pymongo import ASCENDING, DESCENDING, MongoClient, ReturnDocument
from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError, PyMongoError

from kernel.elder import ApiKey, Consent, Elder, Tenant
from kernel.errors import (
    AnswerNotFound,
    ElderExists,
    ElderNotFound,
    JobNotFound,
    JobRunning,
    LeaseLost,
    ModelNotFound,
    StoreUnavailable,
    VersionInUse,
    VersionNotFound,
)
from kernel.evaluation import Probe
from kernel.ids import AnswerId, ElderId, JobId, TenantId, digest
from kernel.job import Event, Fact, Job, JobStatus, Step
from kernel.memory import Answer
from kernel.version import ModelVersion

Document = dict[str, Any]
T = TypeVar("T")

LIVE = [JobStatus.QUEUED.value, JobStatus.TRAINING.value]
_TIMEOUT_MS = 5_000


def connect(url: str, database: str) -> Database[Document]:
    """A database whose calls fail within seconds when nothing answers. Times come back aware, in UTC."""
    client: MongoClient[Document] = MongoClient(
        url,
        tz_aware=True,
        serverSelectionTimeoutMS=_TIMEOUT_MS,
        connectTimeoutMS=_TIMEOUT_MS,
        socketTimeoutMS=4 * _TIMEOUT_MS,
        appname="heirloom",
    )
    return client[database]


def create_indexes(database: Database[Document]) -> None:
    """The uniqueness that the rules rest on; harmless when they are there."""
    with translated():
        database.api_keys.create_index("sha256", unique=True)
        database.elders.create_index([("tenant", ASCENDING), ("id", ASCENDING)], unique=True)
        database.answers.create_index(
            [("tenant", ASCENDING), ("elderId", ASCENDING), ("digest", ASCENDING)], unique=True
        )
        database.jobs.create_index([("tenant", ASCENDING), ("id", ASCENDING)], unique=True)
        database.jobs.create_index(
            [("tenant", ASCENDING), ("elder", ASCENDING)],
            unique=True,
            partialFilterExpression={"is_live": True},
            name="one_live_job_an_elder",
        )
        database.events.create_index([("tenant", ASCENDING), ("job", ASCENDING), ("number", ASCENDING)], unique=True)
        database.teacher_calls.create_index(
            [("tenant", ASCENDING), ("elder", ASCENDING), ("key", ASCENDING)], unique=True
        )
        database.teacher_calls.create_index([("tenant", ASCENDING), ("job", ASCENDING)])
        database.golden.create_index([("tenant", ASCENDING), ("elder", ASCENDING), ("memory", ASCENDING)], unique=True)
        database.conversations.create_index([("tenant", ASCENDING), ("id", ASCENDING)], unique=True)
        database.conversations.create_index(
            [("tenant", ASCENDING), ("elder", ASCENDING), ("updated_at", DESCENDING)],
        )
        database.feedback.create_index([("tenant", ASCENDING), ("elder", ASCENDING), ("id", ASCENDING)], unique=True)
        database.versions.create_index(
            [("tenant", ASCENDING), ("elder", ASCENDING), ("number", ASCENDING)], unique=True
        )


class MongoFamilies:
    def __init__(self, database: Database[Document]) -> None:
        self._database = database

    def add(self, tenant: Tenant, key: ApiKey) -> None:
        with translated():
            self._database.tenants.insert_one(asdict(tenant))
            self._database.api_keys.insert_one(asdict(key))

    def tenant_of_key(self, key_sha256: str) -> TenantId | None:
        with translated():
            row = self._database.api_keys.find_one({"sha256": key_sha256})
        return TenantId(row["tenant"]) if row else None

    def replace_key(self, tenant: TenantId, old_sha256: str, new: ApiKey) -> bool:
        with translated():
            found = self._database.api_keys.replace_one(
                of_tenant(tenant) | {"sha256": old_sha256}, asdict(new) | of_tenant(tenant)
            )
        return found.matched_count == 1

    def all(self) -> list[Tenant]:
        with translated():
            return [decode(Tenant, row) for row in self._database.tenants.find()]


class MongoElders:
    def __init__(self, database: Database[Document]) -> None:
        self._database = database

    def add(self, tenant: TenantId, elder: Elder) -> None:
        with translated():
            try:
                self._database.elders.insert_one(asdict(elder) | of_tenant(tenant))
            except DuplicateKeyError as error:
                raise ElderExists(elder=elder.id) from error

    def get(self, tenant: TenantId, elder: ElderId) -> Elder:
        with translated():
            row = self._database.elders.find_one(of_tenant(tenant) | {"id": elder})
        if row is None:
            raise ElderNotFound(elder=elder)
        return decode(Elder, row)

    def all(self, tenant: TenantId) -> list[Elder]:
        with translated():
            return [decode(Elder, row) for row in self._database.elders.find(of_tenant(tenant)).sort("created_at")]

    def set_consent(self, tenant: TenantId, elder: ElderId, consent: Consent | None) -> None:
        told = {"consent": asdict(consent) if consent else None}
        with translated():
            found = self._database.elders.update_one(of_tenant(tenant) | {"id": elder}, {"$set": told})
        if not found.matched_count:
            raise ElderNotFound(elder=elder)

    def set_engine(self, tenant: TenantId, elder: ElderId, engine: str) -> None:
        with translated():
            found = self._database.elders.update_one(of_tenant(tenant) | {"id": elder}, {"$set": {"engine": engine}})
        if not found.matched_count:
            raise ElderNotFound(elder=elder)

    def add_answers(self, tenant: TenantId, elder: ElderId, answers: Sequence[Answer]) -> int:
        if not answers:
            return 0
        with translated():
            first = self._reserve_places(tenant, elder, len(answers))
            rows = [
                of_tenant(tenant)
                | {"elderId": elder, "digest": digest(one.question, one.answer), "order": first + place}
                | asdict(one)
                for place, one in enumerate(answers)
            ]
            try:
                return len(self._database.answers.insert_many(rows, ordered=False).inserted_ids)
            except BulkWriteError as error:
                if any(one["code"] != 11000 for one in error.details["writeErrors"]):
                    raise
                return int(error.details["nInserted"])

    def _reserve_places(self, tenant: TenantId, elder: ElderId, count: int) -> int:
        """The first of `count` places in the order: two uploads at once do not mix. Places are never given twice."""
        row = self._database.elders.find_one_and_update(
            of_tenant(tenant) | {"id": elder}, {"$inc": {"places": count}}, projection={"places": True}
        )
        return int((row or {}).get("places", 0))

    def answers_mark(self, tenant: TenantId, elder: ElderId) -> str:
        with translated():
            row = self._database.elders.find_one(of_tenant(tenant) | {"id": elder}, projection={"places": True})
        # The record's own id too: an elder who was deleted and added again may have as many answers as before.
        known = row or {}
        return f"{known.get('_id')}/{known.get('places', 0)}/{self.count_answers(tenant, elder)}"

    def answers(self, tenant: TenantId, elder: ElderId) -> list[Answer]:
        with translated():
            rows = self._database.answers.find(of_tenant(tenant) | {"elderId": elder}).sort(
                [("order", ASCENDING), ("_id", ASCENDING)]
            )
            return [decode(Answer, row) for row in rows]

    def count_answers(self, tenant: TenantId, elder: ElderId) -> int:
        with translated():
            return self._database.answers.count_documents(of_tenant(tenant) | {"elderId": elder})

    def remove_answer(self, tenant: TenantId, elder: ElderId, answer: AnswerId) -> None:
        mine = of_tenant(tenant) | {"elderId": elder}
        found = next((one for one in self.answers(tenant, elder) if one.id == answer), None)
        if found is None:
            raise AnswerNotFound(elder=elder, answer=answer)
        with translated():
            self._database.answers.delete_one(mine | {"digest": digest(found.question, found.answer)})

    def remove_words(self, tenant: TenantId, elder: ElderId) -> int:
        with translated():
            self._database.probes.delete_many(of_tenant(tenant) | {"elder": elder})
            return self._database.answers.delete_many(of_tenant(tenant) | {"elderId": elder}).deleted_count

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        self.remove_words(tenant, elder)
        with translated():
            self._database.elders.delete_one(of_tenant(tenant) | {"id": elder})

    def set_probes(self, tenant: TenantId, elder: ElderId, probes: Sequence[Probe]) -> None:
        with translated():
            self._database.probes.replace_one(
                of_tenant(tenant) | {"elder": elder},
                of_tenant(tenant) | {"elder": elder, "items": [asdict(probe) for probe in probes]},
                upsert=True,
            )

    def probes(self, tenant: TenantId, elder: ElderId) -> list[Probe]:
        with translated():
            row = self._database.probes.find_one(of_tenant(tenant) | {"elder": elder})
        return [decode(Probe, item) for item in row["items"]] if row else []


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


class MongoVersions:
    def __init__(self, database: Database[Document]) -> None:
        self._versions: Collection[Document] = database.versions

    def add(self, tenant: TenantId, version: ModelVersion) -> None:
        with translated():
            self._versions.replace_one(
                of_tenant(tenant) | {"elder": version.elder, "number": version.number},
                asdict(version) | of_tenant(tenant),
                upsert=True,
            )

    def of_elder(self, tenant: TenantId, elder: ElderId) -> list[ModelVersion]:
        with translated():
            rows = self._versions.find(of_tenant(tenant) | {"elder": elder}).sort("number", DESCENDING)
            return [decode(ModelVersion, row) for row in rows]

    def active(self, tenant: TenantId, elder: ElderId) -> ModelVersion:
        with translated():
            row = self._versions.find_one(
                of_tenant(tenant) | {"elder": elder, "is_active": True}, sort=[("activated_at", DESCENDING)]
            )
        if row is None:
            raise ModelNotFound(elder=elder)
        return decode(ModelVersion, row)

    def activate(self, tenant: TenantId, elder: ElderId, number: int) -> None:
        """The new one first, then the others off: at every moment at least one is active."""
        mine = of_tenant(tenant) | {"elder": elder}
        with translated():
            newest = self._versions.find_one(mine, sort=[("activated_at", DESCENDING)]) or {}
            turn = int(newest.get("activated_at", 0)) + 1
            found = self._versions.update_one(
                mine | {"number": number, "is_retired": {"$ne": True}},
                {"$set": {"is_active": True, "activated_at": turn}},
            )
            if not found.matched_count:
                raise VersionNotFound(elder=elder, version=number)
            self._versions.update_many(mine | {"number": {"$ne": number}}, {"$set": {"is_active": False}})

    def retire(self, tenant: TenantId, elder: ElderId, number: int) -> None:
        """In one write, which an activation that comes at the same time either finds or stops."""
        mine = of_tenant(tenant) | {"elder": elder, "number": number}
        with translated():
            found = self._versions.update_one(mine | {"is_active": False}, {"$set": {"is_retired": True}})
            if not found.matched_count:
                is_there = self._versions.find_one(mine) is not None
                raise (VersionInUse if is_there else VersionNotFound)(elder=elder, version=number)

    def all(self, tenant: TenantId) -> list[ModelVersion]:
        with translated():
            rows = self._versions.find(of_tenant(tenant)).sort([("elder", ASCENDING), ("number", DESCENDING)])
            return [decode(ModelVersion, row) for row in rows]

    def remove(self, tenant: TenantId, elder: ElderId, number: int) -> None:
        with translated():
            self._versions.delete_one(of_tenant(tenant) | {"elder": elder, "number": number})

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        with translated():
            self._versions.delete_many(of_tenant(tenant) | {"elder": elder})


def of_tenant(tenant: TenantId) -> Document:
    """Where every filter and every document begins."""
    return {"tenant": tenant}


def decode(kind: type[T], row: Document) -> T:
    return TypeAdapter(kind).validate_python(row)


def _job_row(job: Job) -> Document:
    """Steps by name, so that one step can be written by its path; a document keeps its keys' order."""
    steps = {step.name: asdict(step) for step in job.steps}
    return asdict(job) | {"steps": steps, "is_live": job.status.is_live, "token": 0, "events": 0}


def _job(row: Document) -> Job:
    return decode(Job, row | {"steps": list(row["steps"].values())})


def _step_change(step: Step) -> Document:
    return {f"steps.{step.name}": asdict(step)}


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise StoreUnavailable from error


def ping(database: Database[Document]) -> str:
    """The server's version. Raises StoreUnavailable."""
    with translated():
        database.command("ping")
        return str(database.client.server_info()["version"])
