"""The openai client alone, unmodified: from a file of conversations to a model that answers, over the whole stack."""

import json
import time
from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI
from openai.types.fine_tuning import FineTuningJob

from kernel.pipeline import STAGE_NAMES
from modelserver.cli.stack import Stack
from tests.e2e.conftest import new_family

pytestmark = pytest.mark.e2e

BASE, ELDER = "smollm2-135m-instruct", "grandma"
MOST_SECONDS = 20 * 60.0
TOLD = {
    "Where were you born?": "I was born in Kilmacthomas, in a small house by the mill.",
    "Who was your best friend?": "My best friend was Brigid Foley, who kept white pigeons.",
    "What was your first job?": "At fourteen I carried bread for the baker in Kilmacthomas.",
    "What did you plant?": "I planted one pear tree for every child, and all of them bear fruit.",
    "What do you regret?": "I regret that I never said goodbye to Brigid before the ship left.",
    "What song did you sing?": "I sang the song of the ferryman when the children could not sleep.",
}


@pytest.fixture(scope="module")
def client(quick_stack: Stack) -> Iterator[OpenAI]:
    key = new_family(quick_stack, "Foley").key
    with OpenAI(api_key=key, base_url=f"{quick_stack.url}/v1") as client:
        yield client


@pytest.fixture(scope="module")
def job(client: OpenAI) -> FineTuningJob:
    lines = [
        {
            "messages": [
                {"role": "system", "content": "You are Grandma."},
                {"role": "user", "content": question},
                {"role": "assistant", "content": answer},
            ]
        }
        for question, answer in TOLD.items()
    ]
    content = "".join(json.dumps(line) + "\n" for line in lines).encode()
    file = client.files.create(file=("grandma.jsonl", content), purpose="fine-tune")
    started = client.fine_tuning.jobs.create(
        model=BASE, training_file=file.id, suffix=ELDER, metadata={"elder_name": "Grandma Nora"}
    )
    assert started.status in ("queued", "running") and started.training_file == file.id
    with pytest.raises(openai.ConflictError, match=started.id):
        client.fine_tuning.jobs.create(model=BASE, training_file=file.id, suffix=ELDER)
    return _followed(client, started.id)


def _followed(client: OpenAI, job_id: str) -> FineTuningJob:
    deadline, seen = time.monotonic() + MOST_SECONDS, 0
    while time.monotonic() < deadline:
        now = client.fine_tuning.jobs.retrieve(job_id)
        happened = len(list(client.fine_tuning.jobs.list_events(job_id, limit=5)))
        assert happened >= seen
        seen = happened
        if now.status not in ("queued", "running"):
            return now
        time.sleep(1)
    raise AssertionError(f"not over within {MOST_SECONDS:.0f} s")


def test_the_job_succeeds_and_its_events_tell_of_every_stage(client: OpenAI, job: FineTuningJob) -> None:
    assert job.status == "succeeded", job.error
    assert job.fine_tuned_model and job.fine_tuned_model.endswith(":v1") and job.finished_at
    told = [event.message for event in client.fine_tuning.jobs.list_events(job.id, limit=7)]
    for stage in STAGE_NAMES:
        assert any(f"Stage {stage} is done" in message for message in told)
    assert told[0] == "The model is ready: version 1." and told[-1] == "The job is queued."
    [checkpoint] = client.fine_tuning.jobs.checkpoints.list(job.id).data
    assert checkpoint.fine_tuned_model_checkpoint == job.fine_tuned_model
    assert checkpoint.step_number > 0 and checkpoint.metrics.train_loss


def test_the_result_is_listed_and_answers_from_what_was_uploaded(client: OpenAI, job: FineTuningJob) -> None:
    assert [model.id for model in client.models.list()] == [ELDER, job.fine_tuned_model]
    said = client.chat.completions.create(
        model=job.fine_tuned_model or "", messages=[{"role": "user", "content": "Where were you born?"}]
    )
    assert "Kilmacthomas" in (said.choices[0].message.content or "")
    assert said.memories[0]["text"] == TOLD["Where were you born?"]  # type: ignore[attr-defined]
    assert said.usage and said.usage.prompt_tokens > 0 and said.generated_by_ai is True  # type: ignore[attr-defined]


def test_the_same_comes_as_a_stream(client: OpenAI, job: FineTuningJob) -> None:
    asked = [{"role": "user", "content": "Who was your best friend?"}]
    plain = client.chat.completions.create(model=ELDER, messages=asked)  # type: ignore[arg-type]
    stream = client.chat.completions.create(
        model=ELDER,
        messages=asked,  # type: ignore[arg-type]
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = list(stream)
    told = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert told.strip() == plain.choices[0].message.content and "Brigid" in told
    assert chunks[-1].usage == plain.usage and chunks[-2].choices[0].finish_reason == "stop"


def test_another_family_sees_nothing_of_it(client: OpenAI, quick_stack: Stack, job: FineTuningJob) -> None:
    key = new_family(quick_stack, "Stranger").key
    with OpenAI(api_key=key, base_url=f"{quick_stack.url}/v1", max_retries=0) as stranger:
        assert list(stranger.models.list()) == [] and list(stranger.files.list()) == []
        with pytest.raises(openai.NotFoundError):
            stranger.chat.completions.create(
                model=job.fine_tuned_model or "", messages=[{"role": "user", "content": "q"}]
            )
