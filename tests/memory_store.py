"""The stores in memory: what unit tests run on. They pass the same contract as MongoDB's (tests/contract)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from kernel.conversation import MOST_TURNS, Conversation, Turn
from kernel.elder import ApiKey, Consent, Elder, Tenant
from kernel.errors import (
    AnswerNotFound,
    ConversationNotFound,
    ElderExists,
    ElderNotFound,
    FeedbackNotFound,
    JobNotFound,
    JobRunning,
    LeaseLost,
    ModelNotFound,
    TrainingFileNotFound,
    VersionInUse,
    VersionNotFound,
)
from kernel.evaluation import Probe
from kernel.extraction import Extract
from kernel.feedback import Feedback
from kernel.ids import AnswerId, ConversationId, ElderId, FeedbackId, FileId, JobId, MemoryId, TenantId, TurnId
from kernel.job import Event, Fact, Job, JobStatus, Lease, Step
from kernel.language_model import Call, Spent
from kernel.memory import Answer
from kernel.removal import WordStores
from kernel.training_file import TrainingFile
from kernel.version import ModelVersion
from tests.fakes import Letters, MemoryIndex


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
        owner = self._staying(tenant, elder)
        held = self._answers.setdefault((tenant, elder), [])
        known = {(one.question, one.answer) for one in held}
        before = len(held)
        for one in answers:
            if (one.question, one.answer) not in known:
                known.add((one.question, one.answer))
                held.append(one)
        if self._staying(tenant, elder) is not owner:
            raise ElderNotFound(elder=elder)
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
        if known := self._elders.get((tenant, elder)):
            self._elders[tenant, elder] = replace(known, is_leaving=True)
        self._probes.pop((tenant, elder), None)
        return len(self._answers.pop((tenant, elder), []))

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        self.remove_words(tenant, elder)
        self._elders.pop((tenant, elder), None)

    def answers_mark(self, tenant: TenantId, elder: ElderId) -> str:
        return repr(self._answers.get((tenant, elder), []))

    def set_probes(self, tenant: TenantId, elder: ElderId, probes: Sequence[Probe]) -> None:
        owner = self._staying(tenant, elder)
        said = list(probes)
        if self._staying(tenant, elder) is not owner:
            raise ElderNotFound(elder=elder)
        self._probes[tenant, elder] = said

    def probes(self, tenant: TenantId, elder: ElderId) -> list[Probe]:
        return list(self._probes.get((tenant, elder), []))

    def _staying(self, tenant: TenantId, elder: ElderId) -> Elder:
        found = self.get(tenant, elder)
        if found.is_leaving:
            raise ElderNotFound(elder=elder)
        return found


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
            self._tokens.pop((tenant, job), None)
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
        if not any(one.number == number and not one.is_retired for one in mine):
            raise VersionNotFound(elder=elder, version=number)
        mine[:] = [replace(one, is_active=one.number == number) for one in mine]

    def retire(self, tenant: TenantId, elder: ElderId, number: int) -> None:
        mine = self._versions.get((tenant, elder), [])
        found = next((one for one in mine if one.number == number), None)
        if found is None or found.is_active:
            raise (VersionInUse if found else VersionNotFound)(elder=elder, version=number)
        mine[:] = [replace(one, is_retired=one.is_retired or one.number == number) for one in mine]

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


class MemoryFiles:
    def __init__(self) -> None:
        self._held: dict[tuple[TenantId, FileId], tuple[TrainingFile, bytes]] = {}

    def add(self, tenant: TenantId, file: TrainingFile, content: bytes) -> None:
        self._held[tenant, file.id] = (file, content)

    def get(self, tenant: TenantId, file: FileId) -> TrainingFile:
        return self._found(tenant, file)[0]

    def content(self, tenant: TenantId, file: FileId) -> bytes:
        return self._found(tenant, file)[1]

    def all(self, tenant: TenantId) -> list[TrainingFile]:
        mine = [file for (owner, _), (file, _) in self._held.items() if owner == tenant]
        return sorted(reversed(mine), key=lambda file: file.created_at, reverse=True)

    def give(self, tenant: TenantId, file: FileId, elder: ElderId) -> None:
        held, content = self._found(tenant, file)
        elders = dict.fromkeys([*held.elders, elder])
        self._held[tenant, file] = (replace(held, elders=tuple(elders)), content)

    def of_elder(self, tenant: TenantId, elder: ElderId) -> list[TrainingFile]:
        return [file for file in self.all(tenant) if elder in file.elders]

    def delete(self, tenant: TenantId, file: FileId) -> None:
        self._held.pop((tenant, file), None)

    def _found(self, tenant: TenantId, file: FileId) -> tuple[TrainingFile, bytes]:
        if (tenant, file) not in self._held:
            raise TrainingFileNotFound(file=file)
        return self._held[tenant, file]


class MemoryGoldenSets:
    def __init__(self) -> None:
        self._sets: dict[tuple[TenantId, ElderId], dict[MemoryId, Extract]] = {}

    def of_elder(self, tenant: TenantId, elder: ElderId) -> dict[MemoryId, Extract]:
        return dict(self._sets.get((tenant, elder), {}))

    def approve(self, tenant: TenantId, elder: ElderId, memory: MemoryId, wanted: Extract) -> None:
        self._sets.setdefault((tenant, elder), {})[memory] = wanted

    def forget(self, tenant: TenantId, elder: ElderId, memory: MemoryId) -> None:
        self._sets.get((tenant, elder), {}).pop(memory, None)

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        self._sets.pop((tenant, elder), None)


class MemoryConversations:
    def __init__(self) -> None:
        self._held: dict[tuple[TenantId, ConversationId], Conversation] = {}

    def add(self, tenant: TenantId, conversation: Conversation) -> None:
        self._held[tenant, conversation.id] = conversation

    def add_turn(self, tenant: TenantId, conversation: ConversationId, turn: Turn) -> bool:
        held = self._held.get((tenant, conversation))
        if held is None or len(held.turns) >= MOST_TURNS:
            return False
        self._held[tenant, conversation] = replace(held, turns=(*held.turns, turn), updated_at=turn.asked_at)
        return True

    def get(self, tenant: TenantId, conversation: ConversationId) -> Conversation:
        if (tenant, conversation) not in self._held:
            raise ConversationNotFound(conversation=conversation)
        return self._held[tenant, conversation]

    def all(
        self, tenant: TenantId, *, elder: ElderId | None, member: str, limit: int, offset: int
    ) -> list[Conversation]:
        newest = sorted(reversed(self._of(tenant, elder, member)), key=lambda one: one.updated_at, reverse=True)
        return [replace(one, turns=one.turns[:1]) for one in newest[offset : offset + limit]]

    def whole(self, tenant: TenantId, elder: ElderId) -> Iterator[Conversation]:
        yield from self._of(tenant, elder, "")

    def remove_turns(self, tenant: TenantId, conversation: ConversationId, turns: Sequence[TurnId]) -> None:
        if held := self._held.get((tenant, conversation)):
            left = tuple(turn for turn in held.turns if turn.id not in turns)
            self._held[tenant, conversation] = replace(held, turns=left)
            if not left:
                del self._held[tenant, conversation]

    def delete(self, tenant: TenantId, conversation: ConversationId) -> None:
        self.get(tenant, conversation)
        del self._held[tenant, conversation]

    def delete_all(self, tenant: TenantId, *, elder: ElderId | None, member: str) -> int:
        gone = self._of(tenant, elder, member)
        for one in gone:
            del self._held[tenant, one.id]
        return len(gone)

    def _of(self, tenant: TenantId, elder: ElderId | None, member: str) -> list[Conversation]:
        mine = [one for (owner, _), one in self._held.items() if owner == tenant]
        return [one for one in mine if elder in (None, one.elder) and member in ("", one.member)]


class MemoryFeedbacks:
    def __init__(self) -> None:
        self._held: dict[tuple[TenantId, ElderId], dict[FeedbackId, Feedback]] = {}

    def put(self, tenant: TenantId, elder: ElderId, feedback: Feedback) -> None:
        self._held.setdefault((tenant, elder), {})[feedback.id] = feedback

    def of_elder(self, tenant: TenantId, elder: ElderId) -> list[Feedback]:
        mine = sorted(self._held.get((tenant, elder), {}).values(), key=lambda one: one.id)
        return sorted(mine, key=lambda one: one.given_at, reverse=True)

    def remove(self, tenant: TenantId, elder: ElderId, feedback: FeedbackId) -> None:
        if self._held.get((tenant, elder), {}).pop(feedback, None) is None:
            raise FeedbackNotFound(elder=elder, feedback=feedback)

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        self._held.pop((tenant, elder), None)


def word_stores(**stores: object) -> WordStores:
    """Empty ones, but for those that are given."""
    empty = {
        "elders": MemoryElders(),
        "replies": MemoryReplies(),
        "golden": MemoryGoldenSets(),
        "files": MemoryFiles(),
        "conversations": MemoryConversations(),
        "feedbacks": MemoryFeedbacks(),
        "index": MemoryIndex(Letters()),
    }
    return WordStores(**empty | stores)  # type: ignore[arg-type]
