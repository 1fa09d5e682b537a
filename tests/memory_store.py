"""The stores in memory: what unit tests run on. They pass the same contract as MongoDB's (tests/contract)."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from kernel.elder import ApiKey, Consent, Elder, Tenant
from kernel.errors import (
    AnswerNotFound,
    ElderExists,
    ElderNotFound,
    JobNotFound,
    JobRunning,
    LeaseLost,
    ModelNotFound,
)
from kernel.evaluation import Probe
from kernel.ids import AnswerId, ElderId, JobId, MemoryId, TenantId
from kernel.job import Event, Fact, Job, JobStatus, Lease, Step
from kernel.language_model import Call, Spent
from kernel.memory import Answer
from kernel.version import ModelVersion


class MemoryFamilies:
    def __init__(self) -> None:
        self._tenants: list[Tenant] = []
        self._keys: dict[str, TenantId] = {}

    def add(self, tenant: Tenant, key: ApiKey) -> None:
        self._tenants.append(tenant)
        self._keys[key.sha256] = key.tenant

    def tenant_of_key(self, key_sha256: str) -> TenantId | None:
        return self._keys.get(key_sha256)

    def replace_key(self, tenant: TenantId, old_sha256: str, new: ApiKey) -> bool:
        if self._keys.get(old_sha256) != tenant:
            return False
        del self._keys[old_sha256]
        self._keys[new.sha256] = tenant
        return True

    def all(self) -> list[Tenant]:
        return list(self._tenants)


class MemoryElders:
    def __init__(self) -> None:
        self._elders: dict[tuple[TenantId, ElderId], Elder] = {}
        self._answers: dict[tuple[TenantId, ElderId], list[Answer]] = {}
        self._probes: dict[tuple[TenantId, ElderId], list[Probe]] = {}

    def add(self, tenant: TenantId, elder: Elder) -> None:
        if (tenant, elder.id) in self._elders:
            raise ElderExists(elder=elder.id)
        self._elders[tenant, elder.id] = elder

    def get(self, tenant: TenantId, elder: ElderId) -> Elder:
        if (tenant, elder) not in self._elders:
            raise ElderNotFound(elder=elder)
        return self._elders[tenant, elder]

    def set_consent(self, tenant: TenantId, elder: ElderId, consent: Consent | None) -> None:
        self._elders[tenant, elder] = replace(self.get(tenant, elder), consent=consent)

    def set_engine(self, tenant: TenantId, elder: ElderId, engine: str) -> None:
        self._elders[tenant, elder] = replace(self.get(tenant, elder), engine=engine)

    def all(self, tenant: TenantId) -> list[Elder]:
        return [one for (owner, _), one in self._elders.items() if owner == tenant]

    def add_answers(self, tenant: TenantId, elder: ElderId, answers: Sequence[Answer]) -> int:
        held = self._answers.setdefault((tenant, elder), [])
        known = {(one.question, one.answer) for one in held}
        before = len(held)
        for one in answers:
            if (one.question, one.answer) not in known:
                known.add((one.question, one.answer))
                held.append(one)
        return len(held) - before

    def answers(self, tenant: TenantId, elder: ElderId) -> list[Answer]:
        return list(self._answers.get((tenant, elder), []))

    def count_answers(self, tenant: TenantId, elder: ElderId) -> int:
        return len(self._answers.get((tenant, elder), []))

    def remove_answer(self, tenant: TenantId, elder: ElderId, answer: AnswerId) -> None:
        held = self._answers.get((tenant, elder), [])
        if answer not in [one.id for one in held]:
            raise AnswerNotFound(elder=elder, answer=answer)
        held[:] = [one for one in held if one.id != answer]

    def remove_words(self, tenant: TenantId, elder: ElderId) -> int:
        self._probes.pop((tenant, elder), None)
        return len(self._answers.pop((tenant, elder), []))

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        self.remove_words(tenant, elder)
        self._elders.pop((tenant, elder), None)

    def answers_mark(self, tenant: TenantId, elder: ElderId) -> str:
        return repr(self._answers.get((tenant, elder), []))

    def set_probes(self, tenant: TenantId, elder: ElderId, probes: Sequence[Probe]) -> None:
        self._probes[tenant, elder] = list(probes)

    def probes(self, tenant: TenantId, elder: ElderId) -> list[Probe]:
        return list(self._probes.get((tenant, elder), []))


class MemoryJobs:
    def __init__(self) -> None:
        self._jobs: dict[tuple[TenantId, JobId], Job] = {}
        self._tokens: dict[tuple[TenantId, JobId], int] = {}
        self._events: dict[tuple[TenantId, JobId], list[Event]] = {}

    def add(self, tenant: TenantId, job: Job) -> None:
        if job.status.is_live and (running := self.live(tenant, job.elder)):
            raise JobRunning(job_id=running.id)
        self._jobs[tenant, job.id] = job

    def get(self, tenant: TenantId, job: JobId) -> Job:
        if (tenant, job) not in self._jobs:
            raise JobNotFound(job=job)
        return self._jobs[tenant, job]

    def live(self, tenant: TenantId, elder: ElderId) -> Job | None:
        return next((job for job in self.of_elder(tenant, elder) if job.status.is_live), None)

    def of_elder(self, tenant: TenantId, elder: ElderId) -> list[Job]:
        mine = [job for (owner, _), job in self._jobs.items() if owner == tenant and job.elder == elder]
        return sorted(mine, key=lambda job: job.created_at, reverse=True)

    def delete(self, tenant: TenantId, elder: ElderId) -> int:
        gone = [job.id for job in self.of_elder(tenant, elder)]
        for job in gone:
            self._events.pop((tenant, job), None)
            del self._jobs[tenant, job]
        return len(gone)

    def claim(self, tenant: TenantId, job: JobId, *, owner: str, now: datetime, ttl: timedelta) -> Job | None:
        held = self._jobs.get((tenant, job))
        if held is None or not held.status.is_live or (held.lease and held.lease.expires_at > now):
            return None
        token = self._tokens.get((tenant, job), 0) + 1
        self._tokens[tenant, job] = token
        lease = Lease(owner=owner, token=token, expires_at=now + ttl)
        return self._put(tenant, replace(held, lease=lease, status=JobStatus.TRAINING, updated_at=now))

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
        held = self._held(tenant, job, token)
        assert held.lease
        if step is not None:
            held = _with_step(held, step)
        lease = replace(held.lease, expires_at=now + ttl)  # type: ignore[type-var]
        return self._put(tenant, replace(held, lease=lease, updated_at=now))

    def save_step(self, tenant: TenantId, job: JobId, *, token: int, step: Step) -> None:
        self._put(tenant, _with_step(self._held(tenant, job, token), step))

    def release(self, tenant: TenantId, job: JobId, *, token: int, now: datetime) -> None:
        self._put(tenant, replace(self._held(tenant, job, token), lease=None, updated_at=now))

    def finish(self, tenant: TenantId, job: JobId, *, token: int, now: datetime, outcome: Job) -> None:
        held = self._held(tenant, job, token)
        self._put(
            tenant,
            replace(
                held,
                status=outcome.status,
                version=outcome.version,
                error_code=outcome.error_code,
                error_details=outcome.error_details,
                lease=None,
                updated_at=now,
            ),
        )

    def request_cancel(self, tenant: TenantId, job: JobId, *, now: datetime) -> Job:
        held = self.get(tenant, job)
        if not held.status.is_live:
            return held
        held = replace(held, is_cancel_requested=True, updated_at=now)
        if held.lease is None or held.lease.expires_at <= now:
            self._tokens[tenant, job] = self._tokens.get((tenant, job), 0) + 1
            held = replace(held, status=JobStatus.CANCELLED, lease=None, error_code="cancelled")
        return self._put(tenant, held)

    def overdue(self, tenant: TenantId, *, now: datetime, grace: timedelta) -> list[Job]:
        return [
            job
            for (owner, _), job in self._jobs.items()
            if owner == tenant
            and job.status.is_live
            and (job.lease.expires_at <= now if job.lease else job.updated_at <= now - grace)
        ]

    def add_event(self, tenant: TenantId, job: JobId, *, kind: str, at: datetime, facts: Mapping[str, Fact]) -> Event:
        self.get(tenant, job)
        mine = self._events.setdefault((tenant, job), [])
        mine.append(Event(number=len(mine) + 1, at=at, kind=kind, facts=dict(facts)))
        return mine[-1]

    def events(self, tenant: TenantId, job: JobId, *, after: int) -> list[Event]:
        return [event for event in self._events.get((tenant, job), []) if event.number > after]

    def _held(self, tenant: TenantId, job: JobId, token: int) -> Job:
        held = self._jobs.get((tenant, job))
        if held is None or held.lease is None or held.lease.token != token:
            raise LeaseLost
        return held

    def _put(self, tenant: TenantId, job: Job) -> Job:
        self._jobs[tenant, job.id] = job
        return job


class MemoryVersions:
    def __init__(self) -> None:
        self._versions: dict[tuple[TenantId, ElderId], list[ModelVersion]] = {}

    def add(self, tenant: TenantId, version: ModelVersion) -> None:
        mine = self._versions.setdefault((tenant, version.elder), [])
        mine[:] = [one for one in mine if one.number != version.number] + [version]

    def of_elder(self, tenant: TenantId, elder: ElderId) -> list[ModelVersion]:
        return sorted(self._versions.get((tenant, elder), []), key=lambda one: -one.number)

    def active(self, tenant: TenantId, elder: ElderId) -> ModelVersion:
        for version in self.of_elder(tenant, elder):
            if version.is_active:
                return version
        raise ModelNotFound(elder=elder)

    def activate(self, tenant: TenantId, elder: ElderId, number: int) -> None:
        mine = self._versions.get((tenant, elder), [])
        mine[:] = [replace(one, is_active=one.number == number) for one in mine]

    def all(self, tenant: TenantId) -> list[ModelVersion]:
        found = [one for (owner, _), mine in self._versions.items() if owner == tenant for one in mine]
        return sorted(found, key=lambda one: (one.elder, -one.number))

    def remove(self, tenant: TenantId, elder: ElderId, number: int) -> None:
        mine = self._versions.get((tenant, elder), [])
        mine[:] = [one for one in mine if one.number != number]

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        self._versions.pop((tenant, elder), None)


def _with_step(job: Job, step: Step) -> Job:
    return replace(job, steps=tuple(step if one.name == step.name else one for one in job.steps))


class MemoryReplies:
    def __init__(self) -> None:
        self._calls: dict[tuple[TenantId, ElderId, str], Call] = {}

    def find(self, tenant: TenantId, elder: ElderId, key: str) -> Call | None:
        return self._calls.get((tenant, elder, key))

    def keep(self, tenant: TenantId, elder: ElderId, key: str, call: Call) -> None:
        self._calls[tenant, elder, key] = call

    def calls(self, tenant: TenantId, elder: ElderId) -> list[Call]:
        return [call for (owner, of, _), call in self._calls.items() if (owner, of) == (tenant, elder)]

    def spent(self, tenant: TenantId, job: JobId) -> Spent:
        replies = [call.reply for (owner, _, _), call in self._calls.items() if owner == tenant and call.job == job]
        return Spent(calls=len(replies), tokens=sum(one.tokens_read + one.tokens_written for one in replies))

    def forget(self, tenant: TenantId, elder: ElderId, memory: MemoryId) -> int:
        mine = [place for place, call in self._calls.items() if memory in call.task.memory_ids]
        gone = [place for place in mine if place[:2] == (tenant, elder)]
        for place in gone:
            del self._calls[place]
        return len(gone)

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        self._calls = {place: call for place, call in self._calls.items() if place[:2] != (tenant, elder)}
