"""SIGKILL, everywhere: the worker with all its children once in each stage; Redis and the store in training.

`make chaos`. Nothing is gentle here: processes get SIGKILL, and the stack only starts them again.
"""

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psutil
import pytest

from config.settings import Settings
from kernel.pipeline import PIPELINE, STAGE_NAMES
from modelserver.cli.stack import Stack
from tests.e2e.conftest import Family, new_family
from tests.e2e.conftest import settings as settings  # the same folders as the end-to-end tests'

pytestmark = pytest.mark.chaos

ELDER = "grandma"
DETERMINISTIC = [stage.name for stage in PIPELINE if stage.is_deterministic]
STORY = [
    ("Where were you born?", "I was born in Dunmore in 1938, in a small house by the mill."),
    ("Who was your best friend?", "My best friend was Orla, who kept white pigeons on the roof."),
    ("What was your first job?", "At fourteen I carried bread for the baker in Dunmore."),
    ("What did you plant?", "I planted one pear tree for every child, and all of them bear fruit."),
    ("What do you regret?", "I regret that I never said goodbye to Orla before the ship left."),
    ("What song did you sing?", "I sang the song of the ferryman when the children could not sleep."),
]


class SlowStack(Stack):
    def _choose_places(self) -> None:
        super()._choose_places()
        self._parts = [
            replace(
                part,
                command=[word.replace("workers.app", "tests.chaos.slow_worker") for word in part.command],
            )
            if part.name.startswith("worker")
            else part
            for part in self._parts
        ]


@pytest.fixture(scope="module")
def house(settings: Settings) -> Iterator[Stack]:
    """Training cut short: what is tested is what survives, not what is learnt."""
    few = {
        "SAMPLES__RECALL": "12",
        "SAMPLES__RECALL_WHOLE": "2",
        "SAMPLES__GROUNDED": "2",
        "TRAINING__DPO__MAX_PAIRS": "6",
    }
    with pytest.MonkeyPatch.context() as environment:
        for name, count in few.items():
            environment.setenv(f"HEIRLOOM_{name}", count)
        data = settings.data_dir.parent / "chaos"
        with SlowStack(settings.model_copy(update={"data_dir": data, "lease_seconds": 3.0})) as stack:
            yield stack


@pytest.fixture(scope="module")
def family(house: Stack) -> Family:
    family = new_family(house, "Storm")
    family.add_elder(ELDER, "Grandma", "en")
    family.add_answers(ELDER, "".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in STORY).encode())
    return family


@pytest.fixture(scope="module")
def calm(family: Family) -> dict[str, str]:
    """Digests of an undisturbed run."""
    return _digests(_until_over(family, _start(family)))


@pytest.mark.parametrize("stage", STAGE_NAMES)
def test_a_job_killed_in_this_stage_succeeds(house: Stack, family: Family, calm: dict[str, str], stage: str) -> None:
    _forget(house, stage)
    paused = _pause(house, stage)
    job = _start(family)
    _eventually(paused.exists, seconds=240)
    _kill_workers(house)
    after = _until_over(family, job)
    assert after["status"] == "completed", after["error"]
    attempts = {one["name"]: one["attempts"] for one in after["stages"]}
    assert attempts.pop(stage) == 2
    assert set(attempts.values()) <= {0, 1}, "a completed stage ran twice"
    digests = _digests(after)
    same = DETERMINISTIC if _trained_the_same(calm, digests) else DETERMINISTIC[: DETERMINISTIC.index("make_pairs")]
    assert {name: digests[name] for name in same} == {name: calm[name] for name in same}


def test_a_training_killed_in_the_middle_goes_on_from_its_checkpoint(
    house: Stack, family: Family, calm: dict[str, str]
) -> None:
    _forget(house, "train_sft")
    job = _start(family)
    _eventually(lambda: _fact(family, job, "train_sft", "checkpoint") > 0, seconds=240)
    _kill_workers(house)
    after = _until_over(family, job)
    assert after["status"] == "completed", after["error"]
    assert _fact(family, job, "train_sft", "resumed_from") > 0


@pytest.mark.parametrize("part", ["redis", "mongo"])
def test_a_training_outlives_a_dead_store(house: Stack, family: Family, calm: dict[str, str], part: str) -> None:
    _forget(house, "train_sft")
    job = _start(family)
    _eventually(lambda: _fact(family, job, "train_sft", "step") > 0, seconds=240)
    os.kill(house.pids[part], signal.SIGKILL)
    after = _until_over(family, job)
    assert after["status"] == "completed", after["error"]
    assert next(one for one in after["stages"] if one["name"] == "train_sft")["attempts"] == 1


def _start(family: Family) -> str:
    return str(family.start_training(ELDER, force=False)["job_id"])


def _until_over(family: Family, job: str, *, seconds: float = 1800) -> dict[str, Any]:
    found: dict[str, Any] = {}

    def is_over() -> bool:
        found.update(family.progress(job))
        return found["status"] not in ("queued", "training")

    _eventually(is_over, seconds=seconds)
    return found


def _eventually(holds: Callable[[], bool], *, seconds: float) -> None:
    """Asks again and again; a part that is just being started again may refuse for a while."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if holds():
                return
        except Exception as error:
            last = error
            if time.monotonic() > deadline - 1:
                raise last from error
        time.sleep(0.1)
    raise AssertionError(f"not within {seconds} s")


def _fact(family: Family, job: str, stage: str, fact: str) -> float:
    stages = family.progress(job)["stages"]
    return float(next(one for one in stages if one["name"] == stage)["facts"].get(fact, 0))


def _digests(progress: dict[str, Any]) -> dict[str, str]:
    assert progress["status"] == "completed", progress["error"]
    return {stage["name"]: stage["digest"] for stage in progress["stages"]}


def _trained_the_same(calm: dict[str, str], digests: dict[str, str]) -> bool:
    return calm["train_sft"] == digests["train_sft"] and calm["train_dpo"] == digests["train_dpo"]


def _forget(house: Stack, stage: str) -> None:
    """Remove this stage's artefacts, so that the next job makes them again."""
    for folder in house.settings.artifacts_dir.glob(f"*/{ELDER}/{stage}"):
        shutil.rmtree(folder)


def _pause(house: Stack, stage: str) -> Any:
    folder = house.settings.data_dir
    (folder / f"paused-{stage}").unlink(missing_ok=True)
    (folder / f"pause-{stage}").touch()
    return folder / f"paused-{stage}"


def _kill_workers(house: Stack) -> None:
    for name in ("worker", "worker_gpu"):
        _kill_tree(house.pids[name])


def _kill_tree(pid: int) -> None:
    parent = psutil.Process(pid)
    for process in [*parent.children(recursive=True), parent]:
        try:
            process.send_signal(signal.SIGKILL)
        except psutil.NoSuchProcess:
            continue
