"""The runner: whatever interrupts a job, what is finished stays finished and what is not is done once more."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from traceback import format_exception
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.artifacts import ArtifactStore, Place
from kernel.errors import BaseModelMissing, Cancelled, EngineUnavailable, QueueUnavailable, StoreUnavailable
from kernel.ids import ElderId, JobId, TenantId
from kernel.job import Brain, Job, JobStatus, Step, StepState
from kernel.pipeline import Queue, Stage
from kernel.publication import Publication
from tests.memory_store import MemoryJobs
from workers.lease import LeaseTerms
from workers.runner import Runner

US, JOB = TenantId("us"), JobId("j")


@dataclass(frozen=True)
class Text:
    words: str


class Bell:
    def __init__(self, is_broken: bool = False) -> None:
        self.rung: list[str] = []
        self._is_broken = is_broken

    def ring(self, tenant: TenantId, job: JobId, queue: str) -> None:
        if self._is_broken:
            raise QueueUnavailable
        self.rung.append(queue)


class House:
    """A runner over three small stages (two on cpu, the last on gpu), whose work each test can replace."""

    def __init__(self, root: Path) -> None:
        self.jobs, self.artifacts, self.bell = MemoryJobs(), ArtifactStore(root), Bell()
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self.ran: list[str] = []
        self.work: dict[str, Callable[..., Any]] = {}
        self.answers, self.is_published = "hello", True
        self.teacher = SimpleNamespace(missed=0)

    def runner(self) -> Runner:
        return Runner(
            jobs=self.jobs,
            artifacts=self.artifacts,
            doorbell=self.bell,
            desks=self,  # type: ignore[arg-type]
            terms=LeaseTerms(ttl=timedelta(seconds=10), heartbeat=timedelta(milliseconds=5)),
            max_attempts=3,
            owner="w",
            clock=lambda: self.now,
            pipelines={Brain.RIGHT: self.right(), Brain.LEFT: self.left()},
        )

    def right(self) -> tuple[Stage, ...]:
        return (
            self._stage("read", Queue.CPU, (), Text, lambda desk: Text(desk.answers)),
            self._stage("shout", Queue.CPU, ("read",), Text, lambda desk, read: Text(read.words.upper())),
            replace(
                self._stage("tell", Queue.GPU, ("shout",), Publication, lambda *_: Publication(number=7, tag="t")),
                holds=lambda desk, publication: self.is_published,
            ),
        )

    def left(self) -> tuple[Stage, ...]:
        """It begins as the other does, and is shorter."""
        whisper = self._stage("whisper", Queue.CPU, ("read",), Publication, lambda *_: Publication(number=1, tag="w"))
        return (self.right()[0], whisper)

    def desk(self, job: Job, report: Any, pause: Any) -> Any:
        recipe = SimpleNamespace(base=SimpleNamespace(parameters=1))
        told = {"answers": self.answers, "recipe": recipe, "report": report, "teacher": self.teacher}
        return _Desk(key="", folder=Path(), scratch=Path(), **told)

    def prepare(self, stage: Stage, desk: Any) -> None:
        return None

    def start(self, *, force: bool = False, brain: Brain = Brain.RIGHT) -> None:
        self.jobs._jobs.pop((US, JOB), None)
        stages = self.right() if brain is Brain.RIGHT else self.left()
        steps = tuple(Step(name=stage.name) for stage in stages)
        self.jobs.add(
            US,
            Job(
                id=JOB,
                tenant=US,
                elder=ElderId("e"),
                elder_name="n",
                status=JobStatus.QUEUED,
                force_retrain=force,
                steps=steps,
                created_at=self.now,
                updated_at=self.now,
                brain=brain,
            ),
        )

    def advance(self, queue: str) -> Job:
        self.runner().advance(self.job, queue)
        return self.job

    def run(self) -> Job:
        self.advance("cpu")
        return self.advance("gpu")

    @property
    def job(self) -> Job:
        return self.jobs.get(US, JOB)

    def states(self) -> list[str]:
        return [step.state.value for step in self.job.steps]

    def _stage(self, name: str, queue: Queue, reads: tuple[str, ...], makes: type, run: Callable[..., Any]) -> Stage:
        def work(desk: Any, *read: Any) -> Any:
            self.ran.append(name)
            return self.work.get(name, run)(desk, *read)

        settings = (lambda desk: desk.answers) if name == "read" else (lambda desk: "")
        return Stage(name=name, queue=queue, reads=reads, makes=makes, run=work, settings=settings)


@dataclass(frozen=True)
class _Desk:
    answers: str
    recipe: Any
    report: Any
    key: str
    folder: Path
    scratch: Path
    teacher: Any
    earlier: Callable[[], Sequence[Any]] = tuple


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.start()
    return house


def test_a_job_goes_from_queue_to_queue_and_ends_with_its_version(house: House) -> None:
    house.advance("cpu")
    assert house.bell.rung == ["gpu"] and house.job.status is JobStatus.TRAINING and house.job.lease is None
    job = house.advance("gpu")
    assert (job.status, job.version) == (JobStatus.COMPLETED, 7)
    assert house.ran == ["read", "shout", "tell"]


def test_nothing_changed_means_every_stage_is_skipped(house: House) -> None:
    house.run()
    house.start()
    assert house.run().version == 7
    assert house.states() == ["skipped"] * 3
    assert house.ran == ["read", "shout", "tell"]


def test_what_still_reads_the_same_content_is_skipped_after_a_change_before_it(house: House) -> None:
    house.run()
    house.answers = "HELLO"
    house.start()
    house.run()
    assert house.states() == ["done", "done", "skipped"]


def test_force_runs_every_stage_again(house: House) -> None:
    house.run()
    house.start(force=True)
    house.run()
    assert house.states() == ["done"] * 3


def test_a_stage_finds_what_it_made_before_unless_it_is_forced(house: House) -> None:
    found: list[Any] = []

    def shout(desk: Any, read: Text) -> Text:
        found.append(list(desk.earlier()))
        return Text(read.words.upper())

    house.work["shout"] = shout
    house.run()
    house.answers = "again"
    house.start()
    house.run()
    house.start(force=True)
    house.run()
    assert found == [[], [Text("HELLO")], []]


def test_what_the_teacher_could_not_do_is_asked_of_it_again_by_the_next_job_until_it_does_it(house: House) -> None:
    def shout(desk: Any, read: Text) -> Text:
        house.teacher.missed += house.teacher.is_garbling
        return Text("hello" if house.teacher.is_garbling else "HELLO")

    house.work["shout"] = shout
    states = []
    for house.teacher.is_garbling in (True, True, False, False):
        house.start()
        house.run()
        states.append(house.states())
    assert states == [
        ["done", "done", "done"],
        ["skipped", "done", "skipped"],  # the same words again: nothing after it is made anew
        ["skipped", "done", "done"],
        ["skipped", "skipped", "skipped"],
    ]


def test_a_publication_that_no_longer_holds_is_made_again(house: House) -> None:
    house.run()
    house.is_published = False
    house.start()
    house.run()
    assert house.states() == ["skipped", "skipped", "done"]


def test_after_a_worker_died_the_finished_stage_is_not_run_again(house: House) -> None:
    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    house.work["shout"] = die
    with pytest.raises(Killed):
        house.advance("cpu")
    house.work.clear()
    assert house.advance("cpu").step("shout").state is StepState.RUNNING  # the dead worker's lease still holds
    house.now += timedelta(seconds=11)
    house.run()
    assert house.job.status is JobStatus.COMPLETED
    assert house.ran == ["read", "shout", "shout", "tell"]
    assert house.job.step("shout").attempts == 2


def test_a_stage_that_always_kills_its_worker_fails_at_last(house: House) -> None:
    class Killed(BaseException):
        pass

    def die(*_: Any) -> None:
        raise Killed

    house.work["read"] = die
    for _ in range(3):
        with pytest.raises(Killed):
            house.advance("cpu")
        house.now += timedelta(seconds=11)
    job = house.advance("cpu")
    assert (job.status, job.error_code) == (JobStatus.FAILED, "stage_keeps_dying")


def test_an_artefact_that_rots_between_two_queues_is_made_again(house: House, tmp_path: Path) -> None:
    house.advance("cpu")
    place = Place(tenant=US, elder=ElderId("e"), stage="shout")
    stored = house.artifacts.find(place, house.job.step("shout").key)
    assert stored is not None
    (stored.folder / "artefact.json").write_text("{}")
    house.advance("gpu")
    assert house.bell.rung == ["gpu", "cpu"]
    assert house.run().status is JobStatus.COMPLETED
    assert house.ran == ["read", "shout", "shout", "tell"]


def test_a_part_that_is_down_is_waited_for_and_at_last_named(house: House) -> None:
    def down(*_: Any) -> None:
        raise EngineUnavailable(engine="ollama", reason="no answer")

    house.work["tell"] = down
    house.advance("cpu")
    job = house.advance("gpu")
    assert job.status is JobStatus.TRAINING and job.lease is None
    assert job.step("tell").state is StepState.WAITING
    house.advance("gpu")
    job = house.advance("gpu")
    assert (job.status, job.error_code) == (JobStatus.FAILED, "engine_unavailable")
    assert job.error_details["engine"] == "ollama"


def test_a_permanent_error_ends_the_job_at_once_with_its_code(house: House) -> None:
    def missing(*_: Any) -> None:
        raise BaseModelMissing(model="b", how="h")

    house.work["read"] = missing
    job = house.advance("cpu")
    assert (job.status, job.error_code, job.step("read").state) == (
        JobStatus.FAILED,
        "base_model_missing",
        StepState.FAILED,
    )


def test_an_unexpected_error_is_kept_without_its_words(house: House) -> None:
    def broke(*_: Any) -> None:
        raise ValueError("grandmother's words")

    house.work["shout"] = broke
    job = house.advance("cpu")
    assert job.error_code == "stage_failed" and "grandmother" not in str(job.error_details)


@pytest.mark.parametrize("error", [ValueError, EngineUnavailable])
def test_a_store_that_fails_after_an_error_carries_none_of_its_words_along(
    house: House, error: type[Exception]
) -> None:
    def broke(*_: Any) -> None:
        raise error() from ValueError("grandmother's words")

    def unavailable(*_: Any, **__: Any) -> None:
        raise StoreUnavailable

    house.work["shout"] = broke
    house.jobs.finish = house.jobs.release = unavailable  # type: ignore[method-assign]
    runner = house.runner()
    with pytest.raises(StoreUnavailable) as raised:
        replace(runner, terms=replace(runner.terms, store_patience=timedelta(0))).advance(house.job, "cpu")
    assert "grandmother" not in "".join(format_exception(raised.value))


def test_a_job_that_was_lost_before_its_error_was_written_is_the_others(house: House) -> None:
    def broke(*_: Any) -> None:
        house.now += timedelta(seconds=11)
        house.jobs.claim(US, JOB, owner="other", now=house.now, ttl=timedelta(seconds=10))
        raise ValueError

    house.work["shout"] = broke
    job = house.advance("cpu")
    assert (job.status, job.error_code) == (JobStatus.TRAINING, "") and job.lease and job.lease.owner == "other"


@pytest.mark.parametrize("stage", ["shout", "tell"])
def test_a_worker_that_was_suspended_keeps_nothing_of_a_job_that_is_anothers(
    house: House, tmp_path: Path, stage: str
) -> None:
    def suspended(*_: Any) -> Any:
        house.now += timedelta(seconds=11)
        house.jobs.claim(US, JOB, owner="other", now=house.now, ttl=timedelta(seconds=10))
        return Text("late") if stage == "shout" else Publication(number=7, tag="t")

    house.work[stage] = suspended
    runner = house.runner()
    deaf = replace(runner, terms=replace(runner.terms, heartbeat=timedelta(hours=1)))
    for queue in ("cpu", "gpu")[: 1 if stage == "shout" else 2]:
        deaf.advance(house.job, queue)
    assert house.job.lease and house.job.lease.owner == "other"
    assert not list((tmp_path / "us" / "e" / stage).glob("[!.]*"))


def test_a_cancelled_job_stops_at_its_next_report_and_what_it_made_stays(house: House) -> None:
    def endless(desk: Any, read: Text) -> Text:
        house.jobs.request_cancel(US, JOB, now=house.now)
        for _ in range(100_000):
            desk.report(0.5, loss=1.0)
        raise AssertionError("it was not stopped")

    house.work["shout"] = endless
    job = house.advance("cpu")
    assert (job.status, job.error_code) == (JobStatus.CANCELLED, Cancelled.code)
    assert house.states() == ["done", "cancelled", "waiting"]
    house.start()
    house.work.clear()
    house.run()
    assert house.states() == ["skipped", "done", "done"]


def test_a_broken_doorbell_leaves_the_job_to_the_sweep(house: House) -> None:
    house.bell = Bell(is_broken=True)
    house.advance("cpu")
    overdue = house.jobs.overdue(US, now=house.now + timedelta(seconds=9), grace=timedelta(seconds=3))
    assert [job.id for job in overdue] == [JOB]


def test_a_held_job_is_left_alone(house: House) -> None:
    house.jobs.claim(US, JOB, owner="other", now=house.now, ttl=timedelta(seconds=10))
    house.advance("cpu")
    assert house.ran == []


def test_the_version_in_use_keeps_what_it_was_made_of_however_often_a_new_one_is_not_better(house: House) -> None:
    """Each of these trainings ends with version 7 in use: the first made it, the others were not better."""
    made = []
    for words in ("one", "two", "three", "four"):
        house.now += timedelta(hours=1)
        house.answers = words
        house.start()
        job = house.run()
        made.append(job.step("shout").key)
        house.jobs._jobs[US, JobId(words)] = replace(job, id=JobId(words))
    place = Place(tenant=US, elder=ElderId("e"), stage="shout")
    assert [house.artifacts.look(place, key) is not None for key in made] == [True, False, True, True]


def test_a_job_of_the_left_brain_goes_through_its_own_stages_and_takes_what_both_share(house: House) -> None:
    house.run()
    house.start(brain=Brain.LEFT)
    job = house.advance("cpu")
    assert (job.status, job.version) == (JobStatus.COMPLETED, 1)
    assert house.states() == ["skipped", "done"]
    assert house.ran == ["read", "shout", "tell", "whisper"]


def test_however_often_one_brain_is_trained_the_other_keeps_what_it_was_made_of(house: House) -> None:
    job = house.run()
    house.jobs._jobs[US, JobId("right")] = replace(job, id=JobId("right"))
    for words in ("one", "two", "three"):
        house.now += timedelta(hours=1)
        house.answers = words
        house.start(brain=Brain.LEFT)
        house.jobs._jobs[US, JobId(words)] = replace(house.advance("cpu"), id=JobId(words))
    place = Place(tenant=US, elder=ElderId("e"), stage="shout")
    assert house.artifacts.look(place, job.step("shout").key) is not None
