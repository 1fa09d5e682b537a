"""What asking a language model promises, against a strict double of an OpenAI-compatible server."""

import json
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from adapters.openai_model import OpenAiModel
from kernel.errors import HeirloomError, TeacherGarbled, TeacherMisconfigured, TeacherRefused, TeacherUnavailable
from kernel.language_model import Schema, Task
from kernel.sample import Message
from tests.openai_double import KEY, MODEL, OpenAiDouble, tokens

TEXT = {"type": "string"}
SECRET = "the words that a person said"
TASK = Task(
    purpose="note",
    messages=(Message(role="system", content="Reply in JSON."), Message(role="user", content=SECRET)),
    schema=Schema(name="note", properties={"title": TEXT, "people": {"type": "array", "items": TEXT}}),
    max_tokens=64,
)
NOTE = {"title": "The boat", "people": ["Elias"]}


@pytest.fixture
def server() -> Iterator[OpenAiDouble]:
    with OpenAiDouble(lambda name, asked: NOTE) as double:
        yield double


def model(server: OpenAiDouble, **options: Any) -> closing[OpenAiModel]:
    return closing(OpenAiModel(**{"url": server.url, "api_key": KEY, "model": MODEL, "attempts": 3, **options}))


def failure(server: OpenAiDouble, task: Task = TASK, **options: Any) -> HeirloomError:
    with model(server, **options) as teacher, pytest.raises(HeirloomError) as raised:
        teacher.reply(task, pause=lambda seconds: None)
    assert SECRET not in str(raised.value) and SECRET not in repr(raised.value.details)
    assert raised.value.message("zh") != raised.value.message("en")
    return raised.value


def test_a_reply_fits_the_schema_and_says_what_it_cost(server: OpenAiDouble) -> None:
    with model(server) as teacher:
        reply = teacher.reply(TASK)
    assert (reply.value, reply.tokens_written) == (NOTE, tokens(json.dumps(NOTE)))
    assert reply.tokens_read > tokens("".join(one.content for one in TASK.messages))
    assert server.requests[0]["response_format"]["json_schema"]["strict"] is True
    assert server.requests[0]["temperature"] == 0


def test_an_endpoint_without_schemas_is_told_the_schema_and_is_not_asked_for_one_again() -> None:
    with OpenAiDouble(lambda name, asked: NOTE, knows_schemas=False) as server, model(server) as teacher:
        assert teacher.reply(TASK).value == teacher.reply(TASK).value == NOTE
        assert [one["response_format"]["type"] for one in server.requests] == ["json_object"] * 2
        assert '"title"' in server.requests[0]["messages"][-1]["content"]


@pytest.mark.parametrize("fault", ["uncounted", "miscounted"])
def test_what_the_endpoint_does_not_count_is_estimated(server: OpenAiDouble, fault: str) -> None:
    server.faults = [fault]
    with model(server) as teacher:
        reply = teacher.reply(TASK)
    assert reply.value == NOTE and reply.tokens_read > 0 and reply.tokens_written > 0


@pytest.mark.parametrize(
    "fault",
    ["429", "500", "html", "cut", "garbage", "parts", "misfit", "length", "empty", "null", "word", "page"],
)
def test_what_goes_wrong_once_is_asked_again(server: OpenAiDouble, fault: str) -> None:
    waits: list[float] = []
    server.faults = [fault, fault]
    with model(server) as teacher:
        assert teacher.reply(TASK, pause=waits.append).value == NOTE
    assert len(server.requests) == 3 and len(waits) == 2
    assert 1.0 <= waits[0] <= waits[1] + 1.0 <= 5.0


def test_an_endpoint_that_says_how_long_to_wait_is_given_that_long(server: OpenAiDouble) -> None:
    waits: list[float] = []
    server.faults = ["429 after 17"]
    with model(server) as teacher:
        teacher.reply(TASK, pause=waits.append)
    assert waits == [17.0]


@pytest.mark.parametrize(
    ("fault", "kind"),
    [("429", TeacherUnavailable), ("500", TeacherUnavailable), ("garbage", TeacherGarbled), ("length", TeacherGarbled)],
)
def test_what_stays_wrong_ends_in_an_error_of_its_kind(server: OpenAiDouble, fault: str, kind: type) -> None:
    server.faults = [fault] * 9
    assert type(failure(server)) is kind
    assert len(server.requests) == 3


def test_one_text_that_an_endpoint_does_not_take_is_refused_and_the_next_is_not(server: OpenAiDouble) -> None:
    """DeepSeek's "Content Exists Risk" is a 400; so is a text that is too long for vLLM."""
    server.faults = ["risk"]
    with model(server) as teacher:
        with pytest.raises(TeacherRefused):
            teacher.reply(TASK)
        assert teacher.reply(TASK).value == NOTE


def test_a_model_that_reasons_is_asked_in_its_own_words(server: OpenAiDouble) -> None:
    server.is_reasoning = True
    with model(server) as teacher:
        teacher.check()
        assert teacher.reply(TASK).value == NOTE
    assert "max_completion_tokens" in server.requests[-1] and "temperature" not in server.requests[-1]


def test_a_cancel_is_heard_while_a_reply_is_waited_for(server: OpenAiDouble) -> None:
    def cancelled(seconds: float) -> None:
        raise KeyError("cancelled")

    server.faults = ["slower"]
    began = time.monotonic()
    with model(server) as teacher, pytest.raises(KeyError):
        teacher.reply(TASK, pause=cancelled)
    assert time.monotonic() - began < 1.5


def test_a_page_under_the_address_is_no_model(server: OpenAiDouble) -> None:
    server.faults = ["page"]
    with model(server) as teacher, pytest.raises(TeacherMisconfigured, match="HEIRLOOM_TEACHER_URL"):
        teacher.check()


def test_a_password_in_the_address_is_in_no_name_and_no_error(server: OpenAiDouble) -> None:
    url = server.url.replace("http://", "http://user:hush@").replace("/v1", "/v2")
    with model(server, url=url) as teacher, pytest.raises(TeacherMisconfigured) as raised:
        teacher.check()
    assert "hush" not in str(raised.value) and "hush" not in teacher.name


@pytest.mark.parametrize("fault", ["refused", "filtered"])
def test_a_refusal_is_not_asked_again(server: OpenAiDouble, fault: str) -> None:
    server.faults = [fault]
    assert type(failure(server)) is TeacherRefused
    assert len(server.requests) == 1


def test_an_account_without_credit_is_not_asked_again(server: OpenAiDouble) -> None:
    server.faults = ["no money"] * 9
    error = failure(server)
    assert type(error) is TeacherMisconfigured and "credit" in str(error)
    assert len(server.requests) == 1


def test_a_reply_that_does_not_come_in_time_is_given_up(server: OpenAiDouble) -> None:
    server.faults = ["slow"] * 2
    error = failure(server, timeout_seconds=0.1, attempts=2)
    assert type(error) is TeacherUnavailable and "in time" in str(error)


def test_a_wrong_key_a_wrong_address_and_a_missing_model_are_told_apart(server: OpenAiDouble) -> None:
    wrong = {
        "KEY": {"api_key": "sk-wrong"},
        "URL": {"url": server.url.removesuffix("/v1") + "/v2"},
        "MODEL": {"model": "teacher-2"},
    }
    for setting, options in wrong.items():
        with model(server, **options) as teacher, pytest.raises(TeacherMisconfigured) as raised:
            teacher.check()
        assert f"HEIRLOOM_TEACHER_{setting}" in str(raised.value)
        assert "sk-wrong" not in str(raised.value)
    with model(server, url="http://127.0.0.1:9/v1") as teacher, pytest.raises(TeacherUnavailable, match="reached"):
        teacher.check()
    with model(server) as teacher:
        teacher.check()


def test_what_a_pause_raises_ends_the_asking(server: OpenAiDouble) -> None:
    def cancelled(seconds: float) -> None:
        raise KeyError("cancelled")

    server.faults = ["500"] * 9
    with model(server) as teacher, pytest.raises(KeyError):
        teacher.reply(TASK, pause=cancelled)
    assert len(server.requests) == 1


def test_calls_are_spread_over_a_minute_and_each_attempt_is_announced(server: OpenAiDouble) -> None:
    waits: list[float] = []
    begun: list[None] = []
    with model(server, calls_a_minute=6) as teacher:
        for _ in range(3):
            teacher.reply(TASK, pause=waits.append, begin=lambda: begun.append(None))
    assert [round(wait) for wait in waits] == [10, 20]
    assert len(begun) == 3


def test_an_endpoint_that_takes_nothing_at_all_is_misconfigured(server: OpenAiDouble) -> None:
    server.faults = ["risk"] * 9
    assert type(failure(server)) is TeacherMisconfigured


def test_another_model_or_another_question_is_another_key() -> None:
    keys = {
        TASK.key("a"),
        TASK.key("b"),
        Task(purpose="topic", messages=TASK.messages, schema=TASK.schema, max_tokens=64).key("a"),
    }
    assert len(keys) == 3 and TASK.key("a") in keys
