"""What a whole training asks a teacher over HTTP, in every stage that asks one, and what becomes of the job where the
teacher fails: nothing is asked twice, and a job that stops says why and goes on later."""

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from adapters.mongo import connect
from adapters.mongo_replies import MongoReplies
from kernel.job import Job, JobStatus, StepState
from kernel.kept_model import Budget
from kernel.pair import most_asked
from kernel.topic import most_topics
from modelserver.cli.demo import SAMPLES, Sample
from tests.fakes import MemoryIndex
from tests.offline import EMBEDDER
from tests.openai_double import OpenAiDouble
from tests.teaching import ASKED_BY, STRANGER, US, Household, say
from tests.unit.test_graph import Indexer

pytestmark = pytest.mark.integration

PAIRS = 6
FEW = {
    "HEIRLOOM_SAMPLES__RECALL": "8",
    "HEIRLOOM_SAMPLES__RECALL_WHOLE": "2",
    "HEIRLOOM_TRAINING__DPO__MAX_PAIRS": str(PAIRS),
}
MORE = {"en": " We laughed.", "zh": "我们都笑了。"}
FAULTS = ["garbage", "misfit", "length", "500", "429", "html", "page", "cut", "empty", "refused", "filtered", "risk"]
STOPS = {"no money": "teacher_misconfigured", "budget": "budget_spent", "500": "", "slower": ""}  #: "": it waits

Open = Callable[..., Household]


@pytest.fixture(scope="module")
def teacher() -> Iterator[OpenAiDouble]:
    """One for all: its address is part of the model's name, and so of what is made."""
    with OpenAiDouble(say) as double:
        yield double


@pytest.fixture
def household(teacher: OpenAiDouble, mongo_url: str, tmp_path: Path) -> Iterator[Open]:
    """Opens one, with so many of the sample elder's memories. GraphRAG asks no teacher, and is not here."""
    opened: list[Household] = []
    database = connect(mongo_url, "".join(filter(str.isalnum, tmp_path.name)))
    teacher.faults, teacher.requests = [], []

    def open_one(language: str, memories: int, **options: Any) -> Household:
        sample = Sample(SAMPLES / language)
        sample.memories = sample.memories[:memories]
        family = Household(
            sample,
            tmp_path / language,
            teacher,
            replies=MongoReplies(database),
            embedder=EMBEDDER,
            index=MemoryIndex(EMBEDDER),
            indexer=Indexer(),
            overrides=FEW,
            **options,
        )
        opened.append(family)
        return family

    yield open_one
    for family in opened:
        family.model.close()
    database.client.close()


def names(teacher: OpenAiDouble) -> list[str]:
    """What was asked for, in order; what a check asks is left out."""
    return [one["response_format"]["json_schema"]["name"] for one in teacher.requests if "response_format" in one]


def replied(teacher: OpenAiDouble, faults: Sequence[str] = ()) -> list[str]:
    """Each request that was replied to, in order. A request meets one fault, as long as there are any."""
    met = [*faults, *[""] * len(teacher.requests)]
    return [
        json.dumps(one, sort_keys=True)
        for one, fault in zip(teacher.requests, met, strict=False)
        if not fault and "response_format" in one
    ]


def digests(job: Job) -> Mapping[str, str]:
    return {step.name: step.digest for step in job.steps}


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_second_training_asks_nothing_and_a_changed_memory_only_what_rests_on_it(
    household: Open, teacher: OpenAiDouble, tmp_path: Path, language: str
) -> None:
    family = household(language, 12)
    most = {"topic": most_topics(12), "judgement": 2 * most_asked(PAIRS)}
    job = family.train()
    assert job.status is JobStatus.COMPLETED, job.error_code
    asked, first = Counter(names(teacher)), replied(teacher)
    assert set(asked) == set(ASKED_BY)
    assert [asked[name] for name in ("note", "entities", "questions", "bio")] == [12, 12, 12, 1]
    assert all(asked[name] <= count for name, count in most.items())
    assert len(first) == len(set(first)) == family.replies.spent(US, job.id).calls
    made = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / language).rglob("*.json"))
    assert STRANGER[language] not in made, "nobody whom no memory knows is in anything that was made"

    teacher.requests.clear()
    job = family.train()
    assert {step.state for step in job.steps} == {StepState.SKIPPED} and not teacher.requests

    family.change(3, MORE[language])
    job = family.train()
    assert job.status is JobStatus.COMPLETED, job.error_code
    asked = Counter(names(teacher))
    assert [asked[name] for name in ("note", "entities", "questions", "bio")] == [1, 1, 1, 1]
    assert all(asked[name] <= count for name, count in most.items())
    assert not set(first) & set(replied(teacher))


def test_what_is_made_anew_on_request_is_made_of_the_replies_that_are_kept(
    household: Open, teacher: OpenAiDouble
) -> None:
    family = household("en", 6)
    job = family.train()
    asked = len(teacher.requests)
    again = family.train(force=True)
    assert {step.state for step in again.steps} == {StepState.DONE} and digests(again) == digests(job)
    assert len(teacher.requests) == asked


@pytest.fixture
def untroubled(household: Open, teacher: OpenAiDouble) -> tuple[dict[str, int], Mapping[str, str]]:
    """Of a training that meets no fault: where, among all that is asked, the middle of each stage is; what is made."""
    family = household("en", 6)
    job = family.train()
    order = names(teacher)
    family.replies.delete(US, family.elder)
    family.artifacts.delete(US, family.elder)
    teacher.requests.clear()
    middles = {name: order.index(name) + order.count(name) // 2 for name in dict.fromkeys(order)}
    return middles, digests(job)


@pytest.mark.parametrize("fault", STOPS)
def test_a_teacher_that_stops_once_in_every_stage_stops_that_stage_and_all_is_made_as_if_it_had_not(
    household: Open, teacher: OpenAiDouble, untroubled: tuple[dict[str, int], Mapping[str, str]], fault: str
) -> None:
    middles, whole = untroubled
    assert set(middles) == set(ASKED_BY)
    family = household("en", 6, attempts=1, timeout_seconds=1.0)
    faults: list[str] = []
    if fault != "budget":
        for place in middles.values():
            faults += [*[""] * (place + faults.count(fault) - len(faults)), fault]
    teacher.faults = list(faults)
    job, before = None, 0
    for name, place in middles.items():
        family.budget = Budget(calls=place - before if fault == "budget" else 0)
        job, before = family.go_on(job.id) if job and job.status.is_live else family.train(), place
        step = job.step(ASKED_BY[name])
        assert (job.status.is_live, job.error_code) == (not STOPS[fault], STOPS[fault])
        assert step.state is (StepState.FAILED if STOPS[fault] else StepState.WAITING)
        assert all(one.is_over for one in job.steps[: job.steps.index(step)]), "it is this stage that stopped"
    family.budget = Budget()
    assert job
    job = family.go_on(job.id) if job.status.is_live else family.train()
    assert job.status is JobStatus.COMPLETED, job.error_code
    told = replied(teacher, faults)
    assert len(told) == len(set(told)), "what was replied is not asked again"
    assert digests(job) == whole


@pytest.mark.parametrize("fault", ["refused", "garbage"])
def test_a_teacher_that_leaves_out_one_task_in_every_stage_is_asked_for_it_by_the_next_training(
    household: Open, teacher: OpenAiDouble, untroubled: tuple[dict[str, int], Mapping[str, str]], fault: str
) -> None:
    middles, whole = untroubled
    family = household("en", 6, attempts=1)
    faults: list[str] = []
    for place in middles.values():
        faults += [*[""] * (place - len(faults)), fault]
    teacher.faults = list(faults)
    job = family.train()
    assert job.status is JobStatus.COMPLETED and digests(job) != whole
    job = family.train()
    assert job.status is JobStatus.COMPLETED and digests(job) == whole
    told = replied(teacher, faults)
    assert len(told) == len(set(told)), "what was replied is not asked again"
    teacher.requests.clear()
    assert digests(family.train()) == whole and not teacher.requests


@pytest.mark.parametrize("unkeepable", ["\ud83d", 10**30])
def test_replies_that_fit_and_that_no_store_can_keep_are_as_garbled(
    household: Open, teacher: OpenAiDouble, unkeepable: object
) -> None:
    """Half of a character, where a reply was cut in it, and a number without end."""

    def spoilt(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: spoilt(one) for key, one in value.items()}
        if isinstance(value, list):
            return [spoilt(one) for one in value]
        is_chosen = isinstance(value, StrEnum) or value in ("first", "second", "same", "forgets")
        return unkeepable if type(value) is type(unkeepable) and not is_chosen else value

    family = household("en", 4, attempts=1)
    teacher.replies = lambda name, asked: spoilt(say(name, asked))
    try:
        job = family.train()
    finally:
        teacher.replies = say
    assert job.status is JobStatus.COMPLETED, job.error_details
    assert family.train().status is JobStatus.COMPLETED


@pytest.mark.parametrize("seed", [1, 2])
def test_three_in_ten_replies_fail_in_every_stage_and_the_job_is_done_with_nothing_asked_twice(
    household: Open, teacher: OpenAiDouble, seed: int
) -> None:
    rng = random.Random(seed)
    family = household("en", 12, attempts=2)
    faults = [rng.choice(FAULTS) if rng.random() < 0.3 else "" for _ in range(1000)]
    teacher.faults = list(faults)
    job = family.train()
    while job.status is not JobStatus.COMPLETED and len(teacher.requests) < 300:
        assert job.status.is_live or job.error_code == "teacher_unavailable", job.error_code
        job = family.go_on(job.id) if job.status.is_live else family.train()
    assert job.status is JobStatus.COMPLETED, job.error_code
    faults, teacher.faults = faults[: len(teacher.requests)], []
    job = family.train()
    told = replied(teacher, faults)
    assert job.status is JobStatus.COMPLETED and len(told) == len(set(told))
    teacher.requests.clear()
    assert digests(family.train()) == digests(job) and not teacher.requests
