"""One contract, two stores: the in-memory one, and MongoDB's protocol as the embedded server speaks it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pymongo
import pytest

from adapters.mongo import MongoFamilies, connect, create_indexes
from adapters.mongo_conversations import MongoConversations, MongoFeedbacks
from adapters.mongo_elders import MongoElders
from adapters.mongo_files import MongoFiles, create_file_indexes
from adapters.mongo_golden import MongoGoldenSets
from adapters.mongo_jobs import MongoJobs
from adapters.mongo_replies import MongoReplies
from adapters.mongo_versions import MongoVersions
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
    StoreUnavailable,
    TrainingFileNotFound,
    VersionInUse,
    VersionNotFound,
)
from kernel.evaluation import ArmScore, Probe
from kernel.extraction import Extract
from kernel.feedback import Feedback
from kernel.ids import (
    AnswerId,
    ConversationId,
    ElderId,
    FeedbackId,
    FileId,
    JobId,
    MemoryId,
    ModelName,
    TenantId,
    TurnId,
)
from kernel.job import Brain, Job, JobStatus, Step, StepState
from kernel.language_model import Call, Reply, Schema, Spent, Task
from kernel.memory import Answer
from kernel.sample import Message
from kernel.training_file import TrainingFile
from kernel.version import ModelVersion
from tests.memory_store import (
    MemoryConversations,
    MemoryElders,
    MemoryFamilies,
    MemoryFeedbacks,
    MemoryFiles,
    MemoryGoldenSets,
    MemoryJobs,
    MemoryReplies,
    MemoryVersions,
)

US, THEM = TenantId("us"), TenantId("them")
ELDER = ElderId("LXM19580312M")
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)
TTL = timedelta(seconds=10)


@dataclass
class Stores:
    families: Any
    elders: Any
    jobs: Any
    versions: Any
    replies: Any
    files: Any
    golden: Any
    conversations: Any
    feedbacks: Any


@pytest.fixture(params=["memory", "mongo"])
def stores(request: pytest.FixtureRequest) -> Iterator[Stores]:
    if request.param == "memory":
        yield Stores(
            MemoryFamilies(),
            MemoryElders(),
            MemoryJobs(),
            MemoryVersions(),
            MemoryReplies(),
            MemoryFiles(),
            MemoryGoldenSets(),
            MemoryConversations(),
            MemoryFeedbacks(),
        )
        return
    database = connect(request.getfixturevalue("mongo_url"), f"test_{time.monotonic_ns()}")
    create_indexes(database)
    create_file_indexes(database)
    yield Stores(
        MongoFamilies(database),
        MongoElders(database),
        MongoJobs(database),
        MongoVersions(database),
        MongoReplies(database),
        MongoFiles(database),
        MongoGoldenSets(database),
        MongoConversations(database),
        MongoFeedbacks(database),
    )
    database.client.drop_database(database.name)
    database.client.close()


def _elder() -> Elder:
    return Elder(id=ELDER, name="李小明", language="zh", base_model="", created_at=NOON)


def _job(name: str = "j1", elder: ElderId = ELDER) -> Job:
    return Job(
        id=JobId(name),
        tenant=US,
        elder=elder,
        elder_name="李小明",
        status=JobStatus.QUEUED,
        force_retrain=False,
        steps=(Step(name="collect_memories"), Step(name="write_notes")),
        created_at=NOON,
        updated_at=NOON,
    )


def _version(number: int) -> ModelVersion:
    return ModelVersion(
        tenant=US,
        elder=ELDER,
        number=number,
        name=ModelName("afs_elder_x"),
        key=f"k{number}",
        job=JobId("j1"),
        engine="llama_cpp",
        base="b",
        quantisation="q8_0",
        size_bytes=1,
        gguf_sha256="0",
        system_prompt="s",
        language="zh",
        memories_digest="d",
        arms=(ArmScore(arm="base", recall=0.5, honesty=0.25),),
        created_at=NOON,
        is_active=False,
    )


def test_a_key_opens_its_own_family_only(stores: Stores) -> None:
    for tenant in (US, THEM):
        stores.families.add(
            Tenant(id=tenant, name=tenant, created_at=NOON),
            ApiKey(sha256=f"sha-{tenant}", tenant=tenant, created_at=NOON),
        )
    assert stores.families.tenant_of_key("sha-them") == THEM
    assert stores.families.tenant_of_key("sha-nobody") is None
    assert {one.id for one in stores.families.all()} == {US, THEM}


def test_a_replaced_key_opens_nothing_and_the_new_one_its_family(stores: Stores) -> None:
    for tenant in (US, THEM):
        stores.families.add(
            Tenant(id=tenant, name=tenant, created_at=NOON),
            ApiKey(sha256=f"sha-{tenant}", tenant=tenant, created_at=NOON),
        )
    new = ApiKey(sha256="sha-new", tenant=US, created_at=NOON)
    assert not stores.families.replace_key(US, "sha-them", new)
    assert stores.families.replace_key(US, "sha-us", new)
    assert not stores.families.replace_key(US, "sha-us", new)
    known = [stores.families.tenant_of_key(key) for key in ("sha-us", "sha-new", "sha-them")]
    assert known == [None, US, THEM]


def test_two_families_may_use_the_same_elder_id_and_never_meet(stores: Stores) -> None:
    stores.elders.add(US, _elder())
    with pytest.raises(ElderNotFound):
        stores.elders.get(THEM, ELDER)
    stores.elders.add(THEM, replace(_elder(), name="Other"))
    stores.elders.add_answers(US, ELDER, [Answer(question="q", answer="ours")])
    assert stores.elders.get(US, ELDER).name == "李小明"
    assert stores.elders.answers(THEM, ELDER) == []
    with pytest.raises(ElderExists):
        stores.elders.add(US, _elder())


def test_answers_keep_their_order_and_the_same_words_are_kept_once(stores: Stores) -> None:
    stores.elders.add(US, _elder())
    first = [Answer(question=f"q{n}", answer=f"a{n}") for n in range(5)]
    assert stores.elders.add_answers(US, ELDER, first) == 5
    assert stores.elders.add_answers(US, ELDER, [first[2], Answer(question="q9", answer="a9")]) == 1
    assert [one.answer for one in stores.elders.answers(US, ELDER)] == ["a0", "a1", "a2", "a3", "a4", "a9"]


def test_the_answers_mark_changes_with_them_and_only_then(stores: Stores) -> None:
    stores.elders.add(US, _elder())
    marks = []
    for name in "ab":
        stores.elders.add_answers(US, ELDER, [Answer(question="q", answer=name)])
        marks.append(stores.elders.answers_mark(US, ELDER))
        assert stores.elders.answers_mark(US, ELDER) == marks[-1]
    stores.elders.add(THEM, _elder())
    stores.elders.add_answers(THEM, ELDER, [Answer(question="q", answer="theirs")])
    assert stores.elders.answers_mark(US, ELDER) == marks[-1]
    assert len(set(marks)) == 2


def test_an_answer_is_taken_back_by_its_id_from_its_own_elder_only(stores: Stores) -> None:
    told = [Answer(question=f"q{n}", answer=f"a{n}") for n in range(3)]
    for tenant in (US, THEM):
        stores.elders.add(tenant, _elder())
        stores.elders.add_answers(tenant, ELDER, told)
    before = stores.elders.answers_mark(US, ELDER)
    stores.elders.remove_answer(US, ELDER, told[1].id)
    for unknown in (told[1].id, AnswerId("a_"), AnswerId("")):
        with pytest.raises(AnswerNotFound):
            stores.elders.remove_answer(US, ELDER, unknown)
    stores.elders.add_answers(US, ELDER, [Answer(question="q9", answer="a9")])
    assert [one.answer for one in stores.elders.answers(US, ELDER)] == ["a0", "a2", "a9"]
    assert [one.answer for one in stores.elders.answers(THEM, ELDER)] == ["a0", "a1", "a2"]
    assert stores.elders.answers_mark(US, ELDER) != before


def test_a_deleted_elder_takes_words_and_questions_along_and_no_one_elses(stores: Stores) -> None:
    told, other = [Answer(question="q", answer="a")], ElderId("OTHER")
    for tenant, elder in ((US, ELDER), (US, other), (THEM, ELDER)):
        stores.elders.add(tenant, replace(_elder(), id=elder))
        stores.elders.add_answers(tenant, elder, told)
        stores.elders.set_probes(tenant, elder, [Probe(question="q", expects=())])
    mark = stores.elders.answers_mark(US, ELDER)
    assert stores.elders.remove_words(US, ELDER) == 1
    stores.elders.delete(US, ELDER)
    stores.elders.delete(US, ELDER)
    with pytest.raises(ElderNotFound):
        stores.elders.get(US, ELDER)
    assert (stores.elders.answers(US, ELDER), stores.elders.probes(US, ELDER)) == ([], [])
    for tenant, elder in ((US, other), (THEM, ELDER)):
        assert stores.elders.get(tenant, elder).name == "李小明"
        assert len(stores.elders.answers(tenant, elder)) == len(stores.elders.probes(tenant, elder)) == 1
    stores.elders.add(US, _elder())
    stores.elders.add_answers(US, ELDER, [Answer(question="q", answer="another")])
    assert stores.elders.answers_mark(US, ELDER) != mark


class _Deleting(list[Any]):
    """Is read after the elder was looked up; meanwhile the elder is deleted, and another of that id is added."""

    def __init__(self, told: Any, stores: Stores, *, is_added_again: bool) -> None:
        super().__init__([told])
        self._stores, self._is_added_again = stores, is_added_again

    def __iter__(self) -> Iterator[Any]:
        self._stores.elders.remove_words(US, ELDER)
        if self._is_added_again:
            self._stores.elders.delete(US, ELDER)
            self._stores.elders.add(US, _elder())
        return super().__iter__()


@pytest.mark.parametrize("is_added_again", [False, True])
def test_words_that_come_while_their_elder_is_deleted_are_nobodys(stores: Stores, is_added_again: bool) -> None:
    told = {"add_answers": Answer(question="q", answer="a"), "set_probes": Probe(question="q", expects=())}
    for verb, one in told.items():
        stores.elders.delete(US, ELDER)
        with pytest.raises(ElderNotFound):
            getattr(stores.elders, verb)(US, ELDER, [one])
        stores.elders.add(US, _elder())
        with pytest.raises(ElderNotFound):
            getattr(stores.elders, verb)(US, ELDER, _Deleting(one, stores, is_added_again=is_added_again))
        assert stores.elders.answers(US, ELDER) == stores.elders.probes(US, ELDER) == []


@pytest.mark.parametrize("stores", ["mongo"], indirect=True)  # the other keeps all at once
def test_an_upload_that_breaks_off_in_the_middle_leaves_nothing(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    stores.elders.add(US, _elder())
    keep, batches = stores.elders._insert_new, iter([False, True])

    def break_off(rows: Any) -> int:
        if next(batches):
            raise StoreUnavailable(reason="cut off")
        return int(keep(rows))

    monkeypatch.setattr(stores.elders, "_insert_new", break_off)
    with pytest.raises(StoreUnavailable):
        stores.elders.add_answers(US, ELDER, [Answer(question="q", answer=f"a{n}") for n in range(501)])
    assert stores.elders.answers(US, ELDER) == []


def test_probes_replace_those_before(stores: Stores) -> None:
    stores.elders.add(US, _elder())
    probe = Probe(question="q", expects=(("a", "b"),))
    stores.elders.set_probes(US, ELDER, [probe, probe])
    stores.elders.set_probes(US, ELDER, [probe])
    assert stores.elders.probes(US, ELDER) == [probe]
    assert stores.elders.probes(THEM, ELDER) == []


def test_a_second_live_job_of_an_elder_is_refused_with_the_first_ones_id(stores: Stores) -> None:
    stores.jobs.add(US, _job("j1"))
    with pytest.raises(JobRunning) as refused:
        stores.jobs.add(US, _job("j2"))
    assert refused.value.details["job_id"] == "j1"
    stores.jobs.add(THEM, _job("j3"))


def test_another_familys_job_is_not_found(stores: Stores) -> None:
    stores.jobs.add(US, _job())
    with pytest.raises(JobNotFound):
        stores.jobs.get(THEM, JobId("j1"))
    assert stores.jobs.claim(THEM, JobId("j1"), owner="w", now=NOON, ttl=TTL) is None


def test_only_one_worker_holds_a_lease_until_it_runs_out(stores: Stores) -> None:
    stores.jobs.add(US, _job())
    first = stores.jobs.claim(US, JobId("j1"), owner="w1", now=NOON, ttl=TTL)
    assert first.lease.token == 1 and first.status is JobStatus.TRAINING
    assert stores.jobs.claim(US, JobId("j1"), owner="w2", now=NOON + TTL / 2, ttl=TTL) is None
    second = stores.jobs.claim(US, JobId("j1"), owner="w2", now=NOON + TTL, ttl=TTL)
    assert second.lease.token == 2


def test_a_stale_worker_cannot_write(stores: Stores) -> None:
    stores.jobs.add(US, _job())
    stores.jobs.claim(US, JobId("j1"), owner="w1", now=NOON, ttl=TTL)
    held = stores.jobs.claim(US, JobId("j1"), owner="w2", now=NOON + 2 * TTL, ttl=TTL)
    late = Step(name="write_notes", state=StepState.DONE)
    with pytest.raises(LeaseLost):
        stores.jobs.save_step(US, JobId("j1"), token=1, step=late)
    with pytest.raises(LeaseLost):
        stores.jobs.renew(US, JobId("j1"), token=1, now=NOON, ttl=TTL)
    with pytest.raises(LeaseLost):
        stores.jobs.finish(US, JobId("j1"), token=1, now=NOON, outcome=held)
    stores.jobs.save_step(US, JobId("j1"), token=2, step=replace(late, facts={"loss": 0.5}))
    assert stores.jobs.get(US, JobId("j1")).step("write_notes").facts == {"loss": 0.5}


def test_a_finished_job_frees_its_elder(stores: Stores) -> None:
    stores.jobs.add(US, _job())
    held = stores.jobs.claim(US, JobId("j1"), owner="w", now=NOON, ttl=TTL)
    outcome = replace(held, status=JobStatus.COMPLETED, version=3)
    stores.jobs.finish(US, JobId("j1"), token=1, now=NOON, outcome=outcome)
    job = stores.jobs.get(US, JobId("j1"))
    assert (job.status, job.version, job.lease) == (JobStatus.COMPLETED, 3, None)
    assert stores.jobs.live(US, ELDER) is None
    stores.jobs.add(US, _job("j2"))


def test_cancelling_ends_a_waiting_job_and_asks_a_held_one(stores: Stores) -> None:
    stores.jobs.add(US, _job())
    stores.jobs.claim(US, JobId("j1"), owner="w", now=NOON, ttl=TTL)
    asked = stores.jobs.request_cancel(US, JobId("j1"), now=NOON)
    assert asked.status is JobStatus.TRAINING and asked.is_cancel_requested
    assert stores.jobs.renew(US, JobId("j1"), token=1, now=NOON, ttl=TTL).is_cancel_requested
    stores.jobs.add(US, _job("j2", ElderId("E2")))
    assert stores.jobs.request_cancel(US, JobId("j2"), now=NOON).status is JobStatus.CANCELLED
    assert stores.jobs.live(US, ElderId("E2")) is None


def test_a_job_whose_lease_ran_out_is_overdue_and_one_just_queued_is_not(stores: Stores) -> None:
    stores.jobs.add(US, _job())
    assert stores.jobs.overdue(US, now=NOON, grace=TTL) == []
    assert [job.id for job in stores.jobs.overdue(US, now=NOON + TTL, grace=TTL)] == ["j1"]
    stores.jobs.claim(US, JobId("j1"), owner="w", now=NOON + TTL, ttl=TTL)
    assert stores.jobs.overdue(US, now=NOON + 1.5 * TTL, grace=TTL) == []
    assert [job.id for job in stores.jobs.overdue(US, now=NOON + 2 * TTL, grace=TTL)] == ["j1"]
    assert stores.jobs.overdue(THEM, now=NOON + 9 * TTL, grace=TTL) == []


def test_events_come_in_order_after_a_number(stores: Stores) -> None:
    stores.jobs.add(US, _job())
    for number in (1, 2, 3):
        stores.jobs.add_event(US, JobId("j1"), kind="k", at=NOON, facts={"n": number})
    assert [event.number for event in stores.jobs.events(US, JobId("j1"), after=1)] == [2, 3]
    assert stores.jobs.events(THEM, JobId("j1"), after=0) == []


def test_deleting_an_elders_jobs_takes_their_events_and_leaves_the_others(stores: Stores) -> None:
    for tenant, job in ((US, _job("j1")), (US, _job("j2", ElderId("E2"))), (THEM, _job("j1"))):
        stores.jobs.add(tenant, job)
        stores.jobs.add_event(tenant, job.id, kind="k", at=NOON, facts={})
    stores.jobs.claim(US, JobId("j1"), owner="w", now=NOON, ttl=TTL)
    assert stores.jobs.delete(US, ELDER) == 1
    assert stores.jobs.delete(US, ELDER) == 0
    with pytest.raises(LeaseLost):
        stores.jobs.renew(US, JobId("j1"), token=1, now=NOON, ttl=TTL)
    assert stores.jobs.events(US, JobId("j1"), after=0) == []
    assert len(stores.jobs.events(US, JobId("j2"), after=0)) == len(stores.jobs.events(THEM, JobId("j1"), after=0)) == 1
    stores.jobs.add(US, _job("j3"))


def test_a_removed_version_is_gone_and_the_others_stay(stores: Stores) -> None:
    for number in (1, 2):
        stores.versions.add(US, _version(number))
    stores.versions.remove(THEM, ELDER, 1)
    stores.versions.remove(US, ELDER, 1)
    stores.versions.remove(US, ELDER, 1)
    assert [one.number for one in stores.versions.of_elder(US, ELDER)] == [2]


def test_exactly_one_version_is_active_and_the_one_before_stays(stores: Stores) -> None:
    with pytest.raises(ModelNotFound):
        stores.versions.active(US, ELDER)
    for number in (1, 2):
        stores.versions.add(US, _version(number))
        stores.versions.activate(US, ELDER, number)
    assert stores.versions.active(US, ELDER).number == 2
    stores.versions.activate(US, ELDER, 1)
    assert stores.versions.active(US, ELDER).number == 1
    assert [(one.number, one.is_active) for one in stores.versions.of_elder(US, ELDER)] == [
        (2, False),
        (1, True),
    ]
    assert stores.versions.all(THEM) == []
    stores.versions.delete(US, ELDER)
    assert stores.versions.all(US) == []


def test_of_versions_that_are_activated_at_once_exactly_one_is_in_use(stores: Stores) -> None:
    for number in (1, 2, 3):
        stores.versions.add(US, _version(number))
    with ThreadPoolExecutor(3) as pool:
        for _ in range(25):
            list(pool.map(lambda number: stores.versions.activate(US, ELDER, number), (1, 2, 3)))
            [in_use] = [one.number for one in stores.versions.of_elder(US, ELDER) if one.is_active]
            assert stores.versions.active(US, ELDER).number == in_use


def test_a_version_that_is_retired_or_unknown_is_never_put_to_use_and_the_one_in_use_never_retired(
    stores: Stores,
) -> None:
    for number in (1, 2):
        stores.versions.add(US, _version(number))
        stores.versions.activate(US, ELDER, number)
    with pytest.raises(VersionInUse):
        stores.versions.retire(US, ELDER, 2)
    for tenant, number in ((US, 3), (THEM, 1)):
        with pytest.raises(VersionNotFound):
            stores.versions.retire(tenant, ELDER, number)
        with pytest.raises(VersionNotFound):
            stores.versions.activate(tenant, ELDER, number)
    for _ in range(2):  # a removal that was cut off is asked for again
        stores.versions.retire(US, ELDER, 1)
    with pytest.raises(VersionNotFound):
        stores.versions.activate(US, ELDER, 1)
    assert stores.versions.active(US, ELDER).number == 2
    assert [(one.number, one.is_retired) for one in stores.versions.of_elder(US, ELDER)] == [(2, False), (1, True)]


def test_a_version_that_was_written_before_there_were_adapters_is_a_merged_one(stores: Stores) -> None:
    stores.versions.add(US, _version(1))
    stores.versions.add(US, replace(_version(2), storage="adapter"))
    assert [one.storage for one in stores.versions.of_elder(US, ELDER)] == ["adapter", "merged"]


def test_a_database_that_is_down_is_named_so() -> None:
    with (
        pymongo.MongoClient("mongodb://127.0.0.1:9", serverSelectionTimeoutMS=200) as client,
        pytest.raises(StoreUnavailable),
    ):
        MongoElders(client.test).all(US)


def _call(memory: str = "m1", job: str = "j1") -> Call:
    task = Task(
        purpose="note",
        messages=(Message(role="user", content="我生在苏州。"),),
        schema=Schema(name="note", properties={"title": {"type": "string"}}),
        max_tokens=64,
        memory_ids=(MemoryId(memory),),
    )
    reply = Reply(value={"title": "苏州"}, tokens_read=50, tokens_written=20)
    return Call(job=JobId(job), model="here/teacher", task=task, reply=reply, at=NOON)


def test_a_reply_is_kept_once_and_found_by_its_elder_alone(stores: Stores) -> None:
    stores.replies.keep(US, ELDER, "k", _call())
    stores.replies.keep(US, ELDER, "k", _call(job="j2"))
    assert stores.replies.find(US, ELDER, "k") == _call(job="j2")
    assert stores.replies.calls(US, ELDER) == [_call(job="j2")]
    assert stores.replies.find(THEM, ELDER, "k") is None
    assert stores.replies.find(US, ElderId("other"), "k") is None
    assert stores.replies.calls(THEM, ELDER) == []


def test_an_engine_is_chosen_for_one_elder_of_one_family(stores: Stores) -> None:
    stores.elders.add(US, _elder())
    stores.elders.add(THEM, _elder())
    stores.elders.set_engine(US, ELDER, "vllm")
    assert stores.elders.get(US, ELDER).engine == "vllm"
    assert stores.elders.get(THEM, ELDER).engine == ""
    with pytest.raises(ElderNotFound):
        stores.elders.set_engine(US, ElderId("nobody"), "vllm")


def test_consent_is_given_and_withdrawn_for_one_elder_of_one_family(stores: Stores) -> None:
    stores.elders.add(US, _elder())
    stores.elders.add(THEM, _elder())
    consent = Consent(by="李小明", at=NOON)
    stores.elders.set_consent(US, ELDER, consent)
    assert stores.elders.get(US, ELDER).consent == consent
    assert stores.elders.get(THEM, ELDER).consent is None
    stores.elders.set_consent(US, ELDER, None)
    assert stores.elders.get(US, ELDER).consent is None
    with pytest.raises(ElderNotFound):
        stores.elders.set_consent(US, ElderId("nobody"), consent)


def test_what_a_job_spent_is_its_calls_and_their_tokens(stores: Stores) -> None:
    for key, job in (("a", "j1"), ("b", "j1"), ("c", "j2")):
        stores.replies.keep(US, ELDER, key, _call(job=job))
    stores.replies.keep(THEM, ELDER, "a", _call())
    assert stores.replies.spent(US, JobId("j1")) == Spent(calls=2, tokens=140)
    assert stores.replies.spent(US, JobId("none")) == Spent(calls=0, tokens=0)


def test_a_memory_that_is_taken_back_leaves_no_call_that_held_its_words(stores: Stores) -> None:
    stores.replies.keep(US, ELDER, "a", _call("m1"))
    stores.replies.keep(US, ELDER, "b", _call("m2"))
    stores.replies.keep(THEM, ELDER, "a", _call("m1"))
    assert stores.replies.forget(US, ELDER, MemoryId("m1")) == 1
    assert stores.replies.calls(US, ELDER) == [_call("m2")]
    stores.replies.delete(US, ELDER)
    assert stores.replies.calls(US, ELDER) == []
    assert len(stores.replies.calls(THEM, ELDER)) == 1


def _training_file(number: int, *elders: ElderId) -> TrainingFile:
    at = NOON + timedelta(minutes=number)
    return TrainingFile(id=FileId(f"file-{number}"), name="told.jsonl", size_bytes=3, created_at=at, elders=elders)


def test_a_file_comes_back_as_it_was_sent_and_the_newest_stands_first(stores: Stores) -> None:
    files, large = stores.files, bytes(range(256)) * 2_000  # more than one GridFS chunk
    files.add(US, _training_file(1), b"one")
    files.add(US, replace(_training_file(2), size_bytes=len(large)), large)
    assert files.all(US) == [replace(_training_file(2), size_bytes=len(large)), _training_file(1)]
    assert files.content(US, FileId("file-1")) == b"one" and files.content(US, FileId("file-2")) == large
    files.delete(US, FileId("file-2"))
    files.delete(US, FileId("file-2"))
    assert [file.id for file in files.all(US)] == ["file-1"]


def test_a_file_is_found_by_the_elders_who_were_trained_from_it(stores: Stores) -> None:
    files, other = stores.files, ElderId("other")
    files.add(US, _training_file(1), b"one")
    files.add(US, _training_file(2), b"two")
    for elder in (ELDER, ELDER, other):
        files.give(US, FileId("file-1"), elder)
    assert files.of_elder(US, ELDER) == files.of_elder(US, other) == [_training_file(1, ELDER, other)]


def test_another_familys_file_is_not_there(stores: Stores) -> None:
    files, theirs = stores.files, FileId("file-1")
    files.add(THEM, _training_file(1, ELDER), b"one")
    files.delete(US, theirs)
    assert files.all(US) == files.of_elder(US, ELDER) == []
    for ask in (files.get, files.content, lambda tenant, file: files.give(tenant, file, ELDER)):
        with pytest.raises(TrainingFileNotFound):
            ask(US, theirs)
    assert files.content(THEM, theirs) == b"one" and files.get(THEM, theirs).elders == (ELDER,)


def test_a_job_keeps_which_brain_it_trains_and_one_live_job_holds_for_both(stores: Stores) -> None:
    left = replace(_job(), brain=Brain.LEFT)
    stores.jobs.add(US, left)
    assert stores.jobs.get(US, left.id).brain is Brain.LEFT
    with pytest.raises(JobRunning):
        stores.jobs.add(US, _job("j2"))


def test_a_golden_set_is_one_elders_of_one_family_and_goes_line_by_line_or_whole(stores: Stores) -> None:
    boat = Extract(title="The boat", people=("Edwin",))
    for tenant in (US, THEM):
        stores.golden.approve(tenant, ELDER, MemoryId("m1"), Extract(title="An older word"))
        stores.golden.approve(tenant, ELDER, MemoryId("m1"), boat)
        stores.golden.approve(tenant, ELDER, MemoryId("m2"), Extract())
    assert stores.golden.of_elder(US, ELDER) == {"m1": boat, "m2": Extract()}
    assert stores.golden.of_elder(US, ElderId("other")) == {}
    stores.golden.forget(US, ELDER, MemoryId("m2"))
    stores.golden.forget(US, ELDER, MemoryId("never"))
    assert stores.golden.of_elder(US, ELDER) == {"m1": boat}
    stores.golden.delete(US, ELDER)
    assert stores.golden.of_elder(US, ELDER) == {}
    assert len(stores.golden.of_elder(THEM, ELDER)) == 2


# ---- conversations and feedback -----------------------------------------------------------------------------


def _turn(number: int, *, given: str = "m_1") -> Turn:
    return Turn(
        id=TurnId(f"u_{number}"),
        question=f"第{number}问？",
        answer=f"答{number}。",
        memory_ids=(MemoryId(given),),
        model="afs_elder_x:v1",
        asked_at=NOON + timedelta(minutes=number),
    )


def _talk(name: str, member: str = "小明", *, turns: int = 1, elder: ElderId = ELDER, at: int = 0) -> Conversation:
    said = tuple(_turn(number) for number in range(at, at + turns))
    return Conversation(
        id=ConversationId(name),
        elder=elder,
        member=member,
        created_at=said[0].asked_at,
        updated_at=said[-1].asked_at,
        turns=said,
    )


def _listed(stores: Stores, tenant: TenantId = US, **asked: Any) -> list[str]:
    all_of = {"elder": None, "member": "", "limit": 9, "offset": 0} | asked
    return [one.id for one in stores.conversations.all(tenant, **all_of)]


def test_a_conversation_is_read_as_it_was_kept_and_listed_by_its_last_turn(stores: Stores) -> None:
    for one in (_talk("a", turns=2, at=1), _talk("b", "Ann", at=5), _talk("c", elder=ElderId("other"), at=3)):
        stores.conversations.add(US, one)
    assert stores.conversations.get(US, ConversationId("a")) == _talk("a", turns=2, at=1)
    assert _listed(stores) == ["b", "c", "a"]
    assert _listed(stores, elder=ELDER) == ["b", "a"] and _listed(stores, member="小明") == ["c", "a"]
    assert _listed(stores, limit=1, offset=1) == ["c"]
    assert stores.conversations.add_turn(US, ConversationId("a"), _turn(9))
    assert _listed(stores) == ["a", "b", "c"]
    first, *_ = stores.conversations.all(US, elder=None, member="", limit=1, offset=0)
    assert (first.title, len(first.turns)) == ("第1问？", 1)


def test_no_turn_is_added_to_a_conversation_that_is_gone_full_or_another_familys(stores: Stores) -> None:
    stores.conversations.add(US, _talk("full", turns=MOST_TURNS - 1))
    full = ConversationId("full")
    assert not stores.conversations.add_turn(THEM, full, _turn(998))
    assert stores.conversations.add_turn(US, full, _turn(999))
    assert not stores.conversations.add_turn(US, full, _turn(1000))
    assert len(stores.conversations.get(US, full).turns) == MOST_TURNS
    stores.conversations.delete(US, full)
    assert not stores.conversations.add_turn(US, full, _turn(999))
    assert _listed(stores) == []


def test_another_family_reads_and_deletes_no_conversation(stores: Stores) -> None:
    stores.conversations.add(US, _talk("a"))
    for ask in (stores.conversations.get, stores.conversations.delete):
        with pytest.raises(ConversationNotFound):
            ask(THEM, ConversationId("a"))
    stores.conversations.remove_turns(THEM, ConversationId("a"), [TurnId("u_0")])
    assert stores.conversations.delete_all(THEM, elder=ELDER, member="") == 0
    assert _listed(stores, THEM) == [] and list(stores.conversations.whole(THEM, ELDER)) == []
    assert stores.conversations.get(US, ConversationId("a")) == _talk("a")


def test_turns_go_and_a_conversation_with_none_left_goes_too(stores: Stores) -> None:
    stores.conversations.add(US, _talk("a", turns=3))
    stores.conversations.remove_turns(US, ConversationId("a"), [TurnId("u_0"), TurnId("u_2")])
    [left] = stores.conversations.whole(US, ELDER)
    assert [turn.id for turn in left.turns] == ["u_1"] and left.title == "第1问？"
    stores.conversations.remove_turns(US, ConversationId("a"), [TurnId("u_1")])
    assert _listed(stores) == []


def test_all_of_a_member_are_deleted_and_no_one_elses(stores: Stores) -> None:
    for one in (_talk("a"), _talk("b", "Ann"), _talk("c", elder=ElderId("other"))):
        stores.conversations.add(US, one)
    stores.conversations.add(THEM, _talk("d"))
    assert stores.conversations.delete_all(US, elder=ELDER, member="小明") == 1
    assert stores.conversations.delete_all(US, elder=None, member="小明") == 1
    assert _listed(stores) == ["b"] and _listed(stores, THEM) == ["d"]


def _thumb(question: str = "q", *, minute: int = 0, **told: Any) -> Feedback:
    said = {"member": "小明", "answer": "a", "memory_ids": (MemoryId("m_1"),), "model": "x:v1", "is_up": True} | told
    return Feedback(question=question, given_at=NOON + timedelta(minutes=minute), **said)


def test_what_a_member_says_of_an_answer_takes_the_place_of_what_they_said_before(stores: Stores) -> None:
    down = _thumb(minute=2, is_up=False, correction="b", unsupported=("Horace",))
    for one in (_thumb(), _thumb("r", minute=1), down, _thumb(minute=3, member="Ann")):
        stores.feedbacks.put(US, ELDER, one)
    assert stores.feedbacks.of_elder(US, ELDER) == [_thumb(minute=3, member="Ann"), down, _thumb("r", minute=1)]


def test_feedback_is_removed_and_another_familys_is_not(stores: Stores) -> None:
    mine = _thumb()
    stores.feedbacks.put(US, ELDER, mine)
    stores.feedbacks.put(THEM, ELDER, mine)
    with pytest.raises(FeedbackNotFound):
        stores.feedbacks.remove(US, ELDER, FeedbackId("f_none"))
    with pytest.raises(FeedbackNotFound):
        stores.feedbacks.remove(US, ElderId("other"), mine.id)
    stores.feedbacks.remove(US, ELDER, mine.id)
    assert stores.feedbacks.of_elder(US, ELDER) == [] and stores.feedbacks.of_elder(THEM, ELDER) == [mine]
    stores.feedbacks.delete(THEM, ELDER)
    assert stores.feedbacks.of_elder(THEM, ELDER) == []
