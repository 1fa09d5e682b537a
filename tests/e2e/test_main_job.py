"""The main job, for real: an elder's memories become a model that the family chats with, by REST alone."""

import json
import time
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from config.settings import ROOT
from modelserver.cli.client import Client
from modelserver.cli.demo import SAMPLES, Sample
from modelserver.cli.stack import Stack
from tests.e2e.conftest import Family, new_family

pytestmark = pytest.mark.e2e

MINUTES = 60.0
THIRD = 14  #: memories, of 42


def wait(client: Client, job: str, *, seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        now = client.progress(job)
        if now["status"] not in ("queued", "training"):
            return now
        time.sleep(0.5)
    raise AssertionError(f"not over within {seconds:.0f} s: {now['stages']}")


def train(client: Client, elder: str, *, seconds: float) -> dict[str, Any]:
    now = wait(client, client.start_training(elder, force=False)["job_id"], seconds=seconds)
    assert now["status"] == "completed", now["error"]
    return now


@pytest.fixture(scope="session")
def family(stack: Stack) -> Family:
    return new_family(stack, "Whitcombe")


@pytest.fixture(scope="session")
def sample() -> Sample:
    """The first third of the sample elder's life: everything runs as with the whole, in a third of the time."""
    whole = Sample(SAMPLES / "en")
    whole.memories = whole.memories[:THIRD]
    told = {row["id"] for row in whole.memories}
    whole.held_out = [row for row in whole.held_out if row["memory"] in told]
    return whole


@pytest.fixture(scope="session")
def trained(family: Family, sample: Sample) -> dict[str, Any]:
    elder = sample.elder
    family.add_elder(sample.id, elder["name"], elder["language"])
    family.add_answers(sample.id, sample.answers())
    family.set_questions(sample.id, sample.questions())
    return train(family, sample.id, seconds=25 * MINUTES)


def test_every_stage_really_ran_and_a_version_was_published(trained: dict[str, Any]) -> None:
    assert [stage["state"] for stage in trained["stages"]] == ["done"] * 13
    assert trained["version"] == 1 and trained["progress"] == 100
    assert trained["total_epochs"] >= 1 and trained["loss"] < 1.0


def test_the_trained_model_remembers_and_admits_what_it_does_not_know(
    family: Family, sample: Sample, trained: dict[str, Any]
) -> None:
    """The floors lie under what was measured (CHANGELOG), so that they hold on another machine."""
    arms = {arm["arm"]: arm for arm in family.model(sample.id)["active"]["arms"]}
    assert arms["trained+retrieval"]["recall"] >= 0.80
    assert arms["trained+retrieval"]["honesty"] >= 0.55
    assert arms["trained"]["recall"] >= 0.50
    assert arms["trained+retrieval"]["invention"] <= arms["base+retrieval"]["invention"]
    assert arms["trained+retrieval"]["style"] >= 0.8
    assert arms["trained+retrieval"]["recall"] >= arms["base+retrieval"]["recall"]
    assert arms["trained+retrieval"]["honesty"] >= arms["base+retrieval"]["honesty"] + 0.3
    assert arms["trained"]["recall"] >= arms["base"]["recall"] + 0.3


def test_chat_answers_from_a_memory_and_says_which(family: Family, sample: Sample, trained: dict[str, Any]) -> None:
    answer = family.answer(sample.id, sample.memories[0]["question"])
    told = sample.memories[0]["answer"]
    assert answer["memories"][0]["text"] == told
    assert len(set(answer["response"].split()) & set(told.split())) >= 6


def test_a_memory_of_an_answer_leads_to_all_that_was_made_of_it_and_back(
    family: Family, sample: Sample, trained: dict[str, Any]
) -> None:
    memory = family.answer(sample.id, sample.memories[0]["question"])["memories"][0]["id"]
    origin = family.why(sample.id, memory)
    kinds = {made["kind"] for made in origin["made"]}
    assert {"note", "topic", "entity", "sample"} <= kinds
    one = next(made for made in origin["made"] if made["kind"] == "sample")
    assert memory in {found["id"] for found in family.why(sample.id, one["id"])["memories"]}


def test_nothing_changed_means_every_stage_skipped_within_10_seconds(
    family: Family, sample: Sample, trained: dict[str, Any]
) -> None:
    began = time.monotonic()
    again = train(family, sample.id, seconds=60)
    assert time.monotonic() - began < 10
    assert [stage["state"] for stage in again["stages"]] == ["skipped"] * 13
    assert again["version"] == trained["version"]


def test_the_notebook_runs_from_top_to_bottom(
    family: Family, sample: Sample, stack: Stack, trained: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {
        **stack.environment(),
        "HEIRLOOM_API_KEY": family.key,
        "HEIRLOOM_ELDER": sample.id,
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("HEIRLOOM_API_URL", stack.url)
    path = ROOT / "train-notebooks" / "train_adapter_example.ipynb"
    notebook = nbformat.read(path, as_version=4)
    assert sum(cell.source.startswith("## ") for cell in notebook.cells if cell.cell_type == "markdown") == 7
    NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(ROOT)}}).execute()
    assert all(cell.execution_count for cell in notebook.cells if cell.cell_type == "code")


def _story(name: str, secret: str) -> bytes:
    told = [
        ("Where were you born?", f"I was born in {secret}, in a small house by the mill."),
        ("Who was your best friend?", f"My best friend was {name}, who kept white pigeons."),
        ("What was your first job?", f"At fourteen I carried bread for the baker in {secret}."),
        ("What did you plant?", "I planted one pear tree for every child, and all of them bear fruit."),
        ("What do you regret?", f"I regret that I never said goodbye to {name} before the ship left."),
        ("What song did you sing?", "I sang the song of the ferryman when the children could not sleep."),
    ]
    return "".join(json.dumps({"question": q, "answer": a}) + "\n" for q, a in told).encode()


#: What an evaluation that matters to nobody asks.
_FEW_QUESTIONS = (
    b'{"question": "Which tree did each child get?", "expects": [["pear"]]}\n'
    b'{"question": "Did you ever keep bees?", "expects": []}\n'
)


def test_two_families_trained_at_once_keep_their_own_memories(quick_stack: Stack) -> None:
    """The same elder id in both: nothing but the tenant keeps them apart."""
    stories = {"Orla": "Dunmore", "Piet": "Zandvoort"}
    clients = {name: new_family(quick_stack, name) for name in stories}
    jobs = {}
    for name, secret in stories.items():
        clients[name].add_elder("grandma", f"Grandma {name}", "en")
        clients[name].add_answers("grandma", _story(name, secret))
        clients[name].set_questions("grandma", _FEW_QUESTIONS)
        jobs[name] = clients[name].start_training("grandma", force=False)["job_id"]
    for name, job in jobs.items():
        now = wait(clients[name], job, seconds=20 * MINUTES)
        assert now["status"] == "completed", now["error"]
    for name, secret in stories.items():
        other = next(value for key, value in stories.items() if key != name)
        answers = " ".join(
            clients[name].answer("grandma", question)["response"]
            for question in ("Where were you born?", "What was your first job?")
        )
        assert secret in answers and other not in answers


def test_a_training_cancelled_in_the_middle_stops_within_seconds(quick_stack: Stack) -> None:
    client = new_family(quick_stack, "Cancel")
    client.add_elder("e", "E", "en")
    client.add_answers("e", _story("Ann", "Bergen"))
    job = client.start_training("e", force=False)["job_id"]
    deadline = time.monotonic() + 5 * MINUTES
    while not any(s["name"] == "train_sft" and s["progress"] > 0 for s in client.progress(job)["stages"]):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    began = time.monotonic()
    client.cancel(job)
    assert wait(client, job, seconds=15)["status"] == "cancelled"
    assert time.monotonic() - began < 8


def test_no_log_holds_anyones_words(stack: Stack, sample: Sample, trained: dict[str, Any]) -> None:
    logs = "".join(path.read_text(errors="replace") for path in Path(stack.settings.logs_dir).rglob("*.log"))
    assert "step.done" in logs
    for memory in sample.memories:
        assert memory["answer"][:30] not in logs and memory["question"] not in logs
