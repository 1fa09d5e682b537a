"""What a language model in this process promises, with a real one of 135M parameters: its replies fit the schema."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from adapters.llama_cpp_model import LlamaCppModel
from kernel.errors import Cancelled, TeacherGarbled, TeacherMisconfigured
from kernel.language_model import Schema, Task
from kernel.sample import Message
from tests.engine_fixtures import smollm2

TASK = Task(
    purpose="topic",
    messages=(
        Message(role="system", content="Name what these notes have in common. Reply in JSON."),
        Message(role="user", content="- The Kittiwake: Father's boat was painted blue.\n- Nets: I mended the nets."),
    ),
    schema=Schema(name="topic", properties={"name": {"type": "string"}, "kind": {"enum": ["work", "family"]}}),
    max_tokens=120,
)


def nothing(seconds: float) -> None:
    pass


@pytest.fixture(scope="module")
def model() -> Iterator[LlamaCppModel]:
    with closing(LlamaCppModel(smollm2(), threads=1, context_tokens=512)) as model:
        yield model


def test_a_reply_fits_the_schema_and_says_what_it_cost(model: LlamaCppModel) -> None:
    reply = model.reply(TASK, pause=nothing)
    jsonschema.validate(reply.value, TASK.schema.as_json())
    assert reply.value["kind"] in ("work", "family")
    assert reply.tokens_read > 30 and reply.tokens_written > 3
    assert model.reply(TASK, pause=nothing) == reply


def test_a_reply_that_is_cut_off_and_a_task_that_is_too_long_are_garbled(model: LlamaCppModel) -> None:
    long = replace(TASK, messages=(Message(role="user", content="And then we sailed on. " * 300),))
    for task in (replace(TASK, max_tokens=2), long):
        with pytest.raises(TeacherGarbled):
            model.reply(task, pause=nothing)


def test_a_cancel_is_heard_in_the_middle_of_a_reply_and_the_next_is_whole(model: LlamaCppModel) -> None:
    heard: list[float] = []

    def pause(seconds: float) -> None:
        heard.append(seconds)
        if len(heard) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        model.reply(TASK, pause=pause)
    jsonschema.validate(model.reply(TASK, pause=nothing).value, TASK.schema.as_json())


def test_what_is_no_model_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "broken.gguf").write_bytes(b"GGUF but not really")
    for name in ("broken.gguf", "missing.gguf"):
        with pytest.raises(TeacherMisconfigured, match="HEIRLOOM_TEACHER_GGUF"):
            LlamaCppModel(tmp_path / name, threads=1, context_tokens=512).check()
