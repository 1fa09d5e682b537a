"""The left brain by REST: trained as the other brain is, reviewed line by line, and closed to other families."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.artifacts import Place
from kernel.builtin_teacher import BuiltinTeacher
from kernel.extraction_report import ExtractionReport, ExtractionScore
from kernel.ids import ElderId, JobId
from kernel.job import Brain, JobStatus, Step, StepState
from kernel.left_brain import LeftBrain
from kernel.note import write_notes
from modelserver.services import memories_of
from tests.unit.test_api import ELDER, House

SCORE = ExtractionScore(arm="grammar", valid=1.0, exact=0.5, f1=0.75, small_talk=1.0, fields={"title": 0.5})
REPORT = ExtractionReport(memories=1, small_talk=6, is_reviewed=False, scores=(SCORE,), results=(), asked="d")


class Nobody:
    def find(self, text: str, language: str) -> list[object]:
        return []


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    house.elder(answers=5)
    return house


def finish_left(house: House) -> JobId:
    """A completed job of the left brain, with notes and what it published."""
    job = house.services.jobs.get(house.tenant, JobId(str(house.start(brain="left")["job_id"])))
    memories = memories_of(house.services.elders, house.tenant, ElderId(ELDER))
    notes = write_notes(memories, teacher=BuiltinTeacher(Nobody()))  # type: ignore[arg-type]
    made = {
        "write_notes": notes,
        "publish": LeftBrain(number=1, key="k", gguf="0" * 32, base="tiny", report=REPORT, memory_ids=()),
    }
    for stage, value in made.items():
        place = Place(tenant=house.tenant, elder=ElderId(ELDER), stage=stage)
        with house.services.artifacts.aside(place, "k", needed_bytes=0) as aside:
            house.services.artifacts.commit(place, "k", aside, value, inputs={}, seconds=0.1)
    steps = tuple(Step(name=step.name, state=StepState.DONE, key="k") for step in job.steps)
    house.services.jobs._jobs[house.tenant, job.id] = replace(  # type: ignore[attr-defined]
        job, status=JobStatus.COMPLETED, version=1, steps=steps
    )
    return job.id


def test_a_left_brain_is_trained_by_the_same_call_with_its_own_stages(house: House) -> None:
    job = str(house.start(brain="left")["job_id"])
    now = house.client.get(f"/train/progress/{job}").json()
    assert now["brain"] == "left"
    names = [stage["name"] for stage in now["stages"]]
    assert "evaluate_extraction" in names and "train_dpo" not in names
    assert house.bell.rung == [(job, "cpu")]
    refused = house.client.post("/train/start", json={"elder_id": ELDER})
    assert refused.json()["error"]["code"] == "job_running"
    wrong = house.client.post("/train/start", json={"elder_id": ELDER, "brain": "middle"})
    assert wrong.status_code == 422


def test_the_other_brain_is_trained_where_nothing_else_is_said(house: House) -> None:
    now = house.client.get(f"/train/progress/{house.start()['job_id']}").json()
    assert now["brain"] == "right" and now["stages"][-2]["name"] == "evaluate"


def test_what_a_left_brain_was_measured_at_is_told_to_its_family_alone(house: House) -> None:
    assert house.client.get(f"/elders/{ELDER}/left-brain").json()["error"]["code"] == "left_brain_not_found"
    finish_left(house)
    found = house.client.get(f"/elders/{ELDER}/left-brain").json()
    assert (found["version"], found["is_reviewed"], found["scores"][0]["f1"]) == (1, False, 0.75)
    for path in ("left-brain", "golden"):
        assert house.stranger.get(f"/elders/{ELDER}/{path}").status_code == 404


def test_to_an_openai_client_it_is_a_job_that_ends_with_no_model_to_talk_with(house: House) -> None:
    job = finish_left(house)
    [listed] = house.client.get("/v1/fine_tuning/jobs").json()["data"]
    assert (listed["id"], listed["status"], listed["fine_tuned_model"]) == (job, "succeeded", None)
    assert house.client.get(f"/v1/fine_tuning/jobs/{job}/checkpoints").json()["data"] == []


def test_a_deleted_model_takes_the_left_brain_with_it(house: House) -> None:
    finish_left(house)
    assert house.client.delete(f"/models/{ELDER}").status_code == 200
    assert house.client.get(f"/elders/{ELDER}/left-brain").status_code == 404


def test_the_golden_set_goes_out_is_reviewed_and_comes_back(house: House) -> None:
    assert house.client.get(f"/elders/{ELDER}/golden").json()["error"]["code"] == "nothing_extracted"
    finish_left(house)
    [line] = [json.loads(one) for one in house.client.get(f"/elders/{ELDER}/golden").text.splitlines()]
    assert "村子" in line["input"] and line["approved"] is False
    line["output"]["title"], line["approved"] = "我住过的村子", True
    body = json.dumps(line, ensure_ascii=False).encode()
    assert house.client.put(f"/elders/{ELDER}/golden", content=body).json() == {"total": 1}
    [again] = [json.loads(one) for one in house.client.get(f"/elders/{ELDER}/golden").text.splitlines()]
    assert again == line
    assert house.stranger.put(f"/elders/{ELDER}/golden", content=body).status_code == 404


def test_one_bad_line_saves_nothing_and_is_named_in_the_readers_language(house: House) -> None:
    finish_left(house)
    line = json.loads(house.client.get(f"/elders/{ELDER}/golden").text)
    lines = [line | {"approved": True}, line | {"memory_id": "m_of_another"}]
    body = "\n".join(json.dumps(one) for one in lines).encode()
    refused = house.client.put(f"/elders/{ELDER}/golden", content=body, headers={"Accept-Language": "zh"})
    assert refused.status_code == 422 and "第 2 行" in refused.json()["error"]["message"]
    assert house.services.golden.of_elder(house.tenant, ElderId(ELDER)) == {}


@pytest.mark.parametrize("path", [f"/elders/{ELDER}", f"/elders/{ELDER}/answers/"])
def test_what_a_person_wrote_of_a_memory_goes_with_it(house: House, path: str) -> None:
    finish_left(house)
    line = json.loads(house.client.get(f"/elders/{ELDER}/golden").text)
    house.client.put(f"/elders/{ELDER}/golden", content=json.dumps(line | {"approved": True}).encode())
    answers = house.client.get(f"/elders/{ELDER}/answers").json()["answers"]
    [told] = [one["answer_id"] for one in answers if one["answer"] in line["input"]]
    assert house.client.delete(path + told if path.endswith("/") else path).status_code == 200
    assert house.services.golden.of_elder(house.tenant, ElderId(ELDER)) == {}


def test_a_retired_teacher_elsewhere_needs_no_consent_but_to_teach_the_left_brain(house: House) -> None:
    finish_left(house)
    settings = house.services.settings.model_copy(
        update={"teacher_url": "https://teacher.example", "teacher_retired": True}
    )
    object.__setattr__(house.services, "settings", settings)
    assert house.client.post("/train/start", json={"elder_id": ELDER, "brain": "left"}).status_code == 403
    assert house.client.post("/train/start", json={"elder_id": ELDER}).status_code == 200
    assert Brain(house.client.get(f"/train/progress/{house.bell.rung[-1][0]}").json()["brain"]) is Brain.RIGHT
