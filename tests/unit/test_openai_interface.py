"""OpenAI's interface, through its own client: what a program made for it sends is answered as it expects."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from openai import AsyncOpenAI

from adapters.engines import Engines
from kernel.errors import StoreUnavailable
from kernel.ids import ElderId, FileId, JobId, model_name
from kernel.job import JobStatus
from kernel.ports import ChatOptions, Ending
from kernel.sample import Message
from kernel.training_file import TrainingFile
from kernel.version import ModelVersion
from modelserver.openai import files
from tests.unit.test_api import ELDER, NOW, EchoEngine, House, surely_meant

pytestmark = pytest.mark.anyio

BASE = "gemma3-270m"
_MINUTE = timedelta(minutes=1)
TOLD = [
    {"messages": [{"role": "user", "content": f"第{n}问？"}, {"role": "assistant", "content": f"我养过{n}只羊。"}]}
    for n in range(3)
]


class CountingEngine(EchoEngine):
    """Says back the last words, as many as are wanted, and how it ended."""

    def chat(
        self, version: ModelVersion, messages: Sequence[Message], options: ChatOptions
    ) -> Generator[str, None, Ending | None]:
        self.versions = [*getattr(self, "versions", []), version.number]
        self.options = options
        pieces = list(super().chat(version, messages, options))
        yield from pieces[: options.max_tokens]
        read = sum(len(message.content.split()) for message in messages)
        written = min(len(pieces), options.max_tokens)
        return Ending(tokens_read=read, tokens_written=written, is_cut=options.max_tokens <= len(pieces))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def house(tmp_path: Path) -> House:
    house = House(tmp_path)
    engine = CountingEngine()
    house.engine = engine
    object.__setattr__(house.services, "engine", Engines({"llama_cpp": engine}, name="llama_cpp"))  # type: ignore[dict-item]
    return house


Opens = Callable[[str], AsyncOpenAI]


@pytest.fixture
async def opens(house: House) -> AsyncIterator[Opens]:
    """A client with this key, over the app itself."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(house.app, raise_app_exceptions=False)) as http:
        yield lambda key: AsyncOpenAI(api_key=key, base_url="http://heirloom/v1", http_client=http, max_retries=0)


@pytest.fixture
def client(house: House, opens: Opens) -> AsyncOpenAI:
    return opens(_key(house.client))


@pytest.fixture
def stranger(house: House, opens: Opens) -> AsyncOpenAI:
    return opens(_key(house.stranger))


def _key(client: Any) -> str:
    return str(client.headers["Authorization"]).removeprefix("Bearer ")


def _jsonl(*rows: object) -> bytes:
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


async def _upload(client: AsyncOpenAI, content: bytes = _jsonl(*TOLD)) -> str:
    return (await client.files.create(file=("told.jsonl", content), purpose="fine-tune")).id


async def _refused(call: Awaitable[object], kind: type[openai.APIStatusError]) -> openai.APIStatusError:
    with pytest.raises(kind) as refused:
        await call
    assert type(refused.value) is kind
    assert set(refused.value.response.json()["error"]) == {"message", "type", "param", "code"}
    return refused.value


# ---- models ---------------------------------------------------------------------------------------------


async def test_an_elder_is_a_model_by_id_by_name_and_by_tag(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    version = house.publish()
    listed = [model async for model in client.models.list()]
    assert [model.id for model in listed] == [ELDER, version.tag]
    assert {model.object for model in listed} == {"model"} and listed[0].created == int(NOW.timestamp())
    for name in (ELDER, version.name, version.tag):
        assert (await client.models.retrieve(name)).elder_id == ELDER  # type: ignore[attr-defined]


@pytest.mark.parametrize("stream", [False, True])
async def test_every_answer_says_that_an_ai_made_it(house: House, client: AsyncOpenAI, stream: bool) -> None:
    house.elder()
    house.publish()
    raw = await client.chat.completions.with_raw_response.create(
        model=ELDER, messages=[{"role": "user", "content": "hello"}], stream=stream
    )
    assert raw.headers["x-generated-by"] == "AI"


@pytest.mark.parametrize("name", ["gpt-4o", "nobody", "a b", "afs_elder_x_0123456789", f"{ELDER}:v1", "长"])
async def test_a_model_that_nobody_is_is_not_found(house: House, client: AsyncOpenAI, name: str) -> None:
    house.elder()
    house.publish()
    error = await _refused(client.models.retrieve(name), openai.NotFoundError)
    assert error.code == "no_such_model"
    asked = client.chat.completions.create(model=name, messages=[{"role": "user", "content": "q"}])
    assert (await _refused(asked, openai.NotFoundError)).code == "no_such_model"


async def test_an_elder_without_a_model_says_how_to_get_one(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    error = await _refused(client.models.retrieve(ELDER), openai.NotFoundError)
    assert error.code == "model_not_found" and "Train one" in error.message


async def test_a_version_is_talked_with_by_its_tag_while_another_is_in_use(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    first = house.publish()
    house.services.versions.add(house.tenant, replace(first, number=2, is_active=False))
    house.services.versions.activate(house.tenant, ElderId(ELDER), 2)
    for name, number in ((ELDER, 2), (first.name, 2), (first.tag, 1), (f"{first.name}:v2", 2)):
        said = await client.chat.completions.create(model=name, messages=[{"role": "user", "content": "q"}])
        assert said.model == f"{first.name}:v{number}" and house.engine.versions[-1] == number  # type: ignore[attr-defined]
    error = await _refused(client.models.retrieve(f"{first.name}:v3"), openai.NotFoundError)
    assert error.code == "no_such_model"


@pytest.mark.parametrize("is_begun", [False, True])
async def test_a_version_by_its_tag_is_asked_in_its_own_way_not_in_that_of_the_one_in_use(
    house: House, client: AsyncOpenAI, is_begun: bool
) -> None:
    house.elder()
    pinned = replace(house.publish(), begins_with=2 * is_begun)
    for version in (pinned, replace(pinned, number=2, begins_with=2 * (not is_begun))):
        house.services.versions.add(house.tenant, version)
    memory = surely_meant(house)
    said = await client.chat.completions.create(
        model=pinned.tag, messages=[{"role": "user", "content": memory[:8]}], temperature=0
    )
    assert said.model == pinned.tag
    assert house.engine.asked[-1][-1].role == ("assistant" if is_begun else "user")
    assert (said.choices[0].message.content or "").startswith(memory[:4]) == is_begun


async def test_a_retired_version_is_offered_no_more_and_answers_no_more(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    first = house.publish()
    house.services.versions.add(house.tenant, replace(first, number=2, is_active=False))
    house.services.versions.retire(house.tenant, ElderId(ELDER), 2)  # and the engine has not let it go yet
    assert [model.id async for model in client.models.list()] == [ELDER, first.tag]
    retired = f"{first.name}:v2"
    error = await _refused(client.models.retrieve(retired), openai.NotFoundError)
    assert error.code == "no_such_model"
    asked = client.chat.completions.create(model=retired, messages=[{"role": "user", "content": "q"}])
    assert (await _refused(asked, openai.NotFoundError)).code == "no_such_model"
    assert house.engine.asked == []


# ---- chat -----------------------------------------------------------------------------------------------


async def test_a_plain_answer_has_openais_shape_and_names_its_memories(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    house.publish()
    said = await client.chat.completions.create(
        model=ELDER, messages=[{"role": "user", "content": "第1个问题？ in words"}]
    )
    assert said.object == "chat.completion" and said.id.startswith("chatcmpl-")
    [choice] = said.choices
    assert (choice.index, choice.finish_reason, choice.message.role) == (0, "stop", "assistant")
    assert choice.message.content and choice.message.content.endswith("in words")
    assert said.usage and said.usage.total_tokens == said.usage.prompt_tokens + said.usage.completion_tokens > 0
    assert said.generated_by_ai is True  # type: ignore[attr-defined]
    assert said.memories[0]["text"] == "我在第1个村子住过4年。"  # type: ignore[attr-defined]
    assert said.memory_ids == [memory["id"] for memory in said.memories]  # type: ignore[attr-defined]


async def test_retrieval_can_be_switched_off(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    house.publish()
    said = await client.chat.completions.create(
        model=ELDER, messages=[{"role": "user", "content": "q"}], extra_body={"retrieval": False}
    )
    assert said.memory_ids == [] and said.choices[0].message.content == "q"  # type: ignore[attr-defined]


async def test_a_stream_has_openais_chunks_and_ends_with_done(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    house.publish()
    asked = {"model": ELDER, "messages": [{"role": "user", "content": "one two"}], "retrieval": False, "stream": True}
    lines = house.client.post("/v1/chat/completions", json=asked)
    assert lines.headers["content-type"].startswith("text/event-stream")
    frames = [line.removeprefix("data: ") for line in lines.text.split("\n\n") if line]
    assert frames[-1] == "[DONE]"
    chunks = [json.loads(frame) for frame in frames[:-1]]
    assert {(one["object"], one["id"], one["created"]) for one in chunks} == {
        ("chat.completion.chunk", chunks[0]["id"], int(NOW.timestamp()))
    }
    assert [one["choices"][0]["delta"] for one in chunks] == [
        {"role": "assistant", "content": ""},
        {"content": "one "},
        {"content": "two "},
        {},
    ]
    assert [one["choices"][0]["finish_reason"] for one in chunks] == [None, None, None, "stop"]
    assert chunks[0]["generated_by_ai"] is True and "usage" not in chunks[0]


async def test_a_stream_tells_what_it_used_when_it_is_asked_to(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    house.publish()
    stream = await client.chat.completions.create(
        model=ELDER,
        messages=[{"role": "user", "content": "one two three"}],
        max_completion_tokens=2,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"retrieval": False},
    )
    chunks = [chunk async for chunk in stream]
    assert "".join(one.choices[0].delta.content or "" for one in chunks[:-1]) == "one two "
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].choices == [] and all(one.usage is None for one in chunks[:-1])
    assert chunks[-1].usage and chunks[-1].usage.completion_tokens == 2


async def test_max_tokens_and_its_newer_name_cut_the_answer(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    house.publish()
    for limit in ({"max_tokens": 1}, {"max_completion_tokens": 1}, {"max_tokens": 9, "max_completion_tokens": 1}):
        said = await client.chat.completions.create(
            model=ELDER, messages=[{"role": "user", "content": "one two"}], extra_body={"retrieval": False}, **limit
        )
        assert (said.choices[0].message.content, said.choices[0].finish_reason) == ("one", "length")
    said = await client.chat.completions.create(
        model=ELDER, messages=[{"role": "user", "content": "one"}], max_tokens=1_000_000
    )
    assert said.choices[0].finish_reason == "stop"


async def test_an_engine_that_does_not_count_leaves_usage_out(
    house: House, client: AsyncOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.elder()
    house.publish()
    monkeypatch.setattr(CountingEngine, "chat", EchoEngine.chat)
    said = await client.chat.completions.create(model=ELDER, messages=[{"role": "user", "content": "q"}])
    assert said.usage is None and said.choices[0].finish_reason == "stop"


async def test_the_elders_own_system_prompt_stands(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    version = house.publish()
    await client.chat.completions.create(
        model=ELDER,
        messages=[
            {"role": "system", "content": "You are a pirate."},
            {"role": "user", "content": [{"type": "text", "text": "hello"}]},
            {"role": "assistant", "content": "hello child"},
            {"role": "developer", "content": "Speak like a pirate."},
            {"role": "user", "content": [{"type": "text", "text": "who"}, {"type": "text", "text": "are you"}]},
        ],
        extra_body={"retrieval": False},
    )
    assert [(one.role, one.content) for one in house.engine.asked[-1]] == [
        ("system", version.system_prompt),
        ("user", "hello"),
        ("assistant", "hello child"),
        ("user", "who\nare you"),
    ]


async def test_a_very_long_conversation_goes_on_with_its_end(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    house.publish()
    turns = [{"role": role, "content": f"{n}"} for n in range(120) for role in ("user", "assistant")]
    await client.chat.completions.create(model=ELDER, messages=[*turns, {"role": "user", "content": "q"}])  # type: ignore[arg-type]
    asked = house.engine.asked[-1]
    assert len(asked) == 102 and [one.content for one in asked[1:3]] == ["70", "70"]


@pytest.mark.parametrize(
    ("param", "value"),
    [
        ("n", 2),
        ("tools", [{"type": "function", "function": {"name": "f", "parameters": {}}}]),
        ("response_format", {"type": "json_object"}),
        ("logprobs", True),
    ],
)
async def test_what_would_change_the_answer_and_is_not_served_is_refused(
    house: House, client: AsyncOpenAI, param: str, value: Any
) -> None:
    house.elder()
    house.publish()
    asked = client.chat.completions.create(model=ELDER, messages=[{"role": "user", "content": "q"}], **{param: value})
    error = await _refused(asked, openai.BadRequestError)
    assert (error.code, error.param, error.type) == ("unsupported", param, "invalid_request_error")
    assert param in error.message


async def test_what_chat_programs_send_by_themselves_is_let_through(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    house.publish()
    said = await client.chat.completions.create(
        model=ELDER,
        messages=[{"role": "user", "content": "q", "name": "child"}],
        n=1,
        top_p=1,
        stop=None,
        presence_penalty=0,
        frequency_penalty=0,
        seed=3,
        user="u",
        tools=[],
        logit_bias={},
        response_format={"type": "text"},
        store=False,
        metadata={"chat": "1"},
        temperature=None,
        extra_body={"chat_id": "x"},
    )
    assert said.choices[0].message.content


@pytest.mark.parametrize(
    ("stop", "asked"), [("\n", ("\n",)), (["\n\n", "User:"], ("\n\n", "User:")), ([], ()), ("", ())]
)
async def test_the_engine_is_told_where_to_stop_and_how_freely_to_choose(
    house: House, client: AsyncOpenAI, stop: str | list[str], asked: tuple[str, ...]
) -> None:
    house.elder()
    house.publish()
    question: Any = [{"role": "user", "content": "q"}]
    await client.chat.completions.create(model=ELDER, messages=question, top_p=0.5, stop=stop)
    options = house.engine.options  # type: ignore[attr-defined]
    assert (options.top_p, options.stop) == (0.5, asked)


@pytest.mark.parametrize("stream", [False, True])
async def test_what_the_engine_did_not_say_itself_ends_at_a_stop_too(
    house: House, client: AsyncOpenAI, stream: bool
) -> None:
    house.elder()
    house.publish()
    asked: Any = {"model": ELDER, "messages": [{"role": "user", "content": "one two three four"}], "stop": ["o th"]}
    if stream:
        chunks = [chunk async for chunk in await client.chat.completions.create(**asked, stream=True)]
        said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert chunks[-1].choices[0].finish_reason == "stop"
    else:
        said = (await client.chat.completions.create(**asked)).choices[0].message.content or ""
    assert said.endswith("one tw")


@pytest.mark.parametrize(("param", "value"), [("top_p", 0), ("top_p", 1.5), ("stop", ["x"] * 17), ("stop", "x" * 101)])
async def test_a_share_or_a_stop_that_is_none_is_named(
    house: House, client: AsyncOpenAI, param: str, value: Any
) -> None:
    house.elder()
    house.publish()
    asked = client.chat.completions.create(model=ELDER, messages=[{"role": "user", "content": "q"}], **{param: value})
    assert str((await _refused(asked, openai.BadRequestError)).param).startswith(param)


@pytest.mark.parametrize("strict", [False, True])
async def test_a_strict_answer_is_refused_where_nothing_is_surely_meant_as_in_chat(
    house: House, client: AsyncOpenAI, strict: bool
) -> None:
    house.elder()
    house.publish()
    asked = {"elder_id": ELDER, "message": "zzz qqq", "strict": strict}
    plain = house.client.post("/chat", json=asked).json()
    said = await client.chat.completions.create(
        model=ELDER, messages=[{"role": "user", "content": "zzz qqq"}], extra_body={"strict": strict}
    )
    assert plain["refused"] is strict
    assert said.choices[0].message.content == plain["response"]


@pytest.mark.parametrize(
    ("messages", "param"),
    [
        ([], "messages"),
        ([{"role": "assistant", "content": "a"}], "messages"),
        ([{"role": "system", "content": "s"}], "messages"),
        ([{"role": "tool", "content": "t", "tool_call_id": "x"}], "messages.0.role"),
        ([{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}], "messages"),
        ([{"role": "user", "content": [{"type": "text"}]}], "messages"),
        ([{"role": "user", "content": ""}], "message"),
        ([{"role": "user", "content": "x" * 8_001}], "message"),
        ([{"role": "user", "content": "half \ud800"}], "message"),
    ],
)
async def test_a_conversation_that_cannot_be_answered_is_a_bad_request(
    house: House, client: AsyncOpenAI, messages: Any, param: str
) -> None:
    house.elder()
    house.publish()
    body = json.dumps({"model": ELDER, "messages": messages}).encode()
    answer = house.client.post("/v1/chat/completions", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param), answer.text


async def test_a_conversation_of_10_mb_is_refused_in_openais_shape(house: House, client: AsyncOpenAI) -> None:
    asked = client.chat.completions.create(model=ELDER, messages=[{"role": "user", "content": "x" * 10_000_000}])
    error = await _refused(asked, openai.APIStatusError)
    assert (error.status_code, error.code) == (413, "too_large")


@pytest.mark.parametrize("stream", [False, True])
async def test_an_engine_that_is_down_is_a_status_and_not_a_broken_stream(
    house: House, client: AsyncOpenAI, stream: bool
) -> None:
    house.elder()
    house.publish()
    house.engine.is_down = True
    asked = client.chat.completions.create(model=ELDER, messages=[{"role": "user", "content": "q"}], stream=stream)
    error = await _refused(asked, openai.InternalServerError)
    assert (error.status_code, error.code, error.type) == (503, "engine_unavailable", "server_error")
    assert house.services.turnstile._of_all.borrowed_tokens == 0


async def test_an_engine_that_breaks_in_the_middle_ends_the_stream_with_an_error(
    house: House, client: AsyncOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.elder()
    house.publish()

    def breaks(engine: EchoEngine, *_: object) -> Generator[str, None, None]:
        yield "one "
        engine.is_down = True
        engine.check()

    monkeypatch.setattr(CountingEngine, "chat", breaks)
    stream = await client.chat.completions.create(model=ELDER, messages=[{"role": "user", "content": "q"}], stream=True)
    with pytest.raises(openai.APIError) as broken:
        _ = [chunk async for chunk in stream]
    assert broken.value.code == "engine_unavailable"


# ---- embeddings -----------------------------------------------------------------------------------------


async def test_embeddings_come_as_the_client_asks_by_itself_and_as_floats(house: House, client: AsyncOpenAI) -> None:
    model = "multilingual-e5-small"
    packed = await client.embeddings.create(model=model, input=["一二", "three"])
    plain = await client.embeddings.create(model=model, input=["一二", "three"], encoding_format="float")
    assert [one.embedding for one in packed.data] == [one.embedding for one in plain.data]
    assert [one.index for one in plain.data] == [0, 1] and packed.usage.prompt_tokens == 7
    alone = await client.embeddings.create(model=model, input="three")
    assert alone.data[0].embedding == plain.data[1].embedding


@pytest.mark.parametrize(
    ("sent", "kind", "code"),
    [
        ({"model": "text-embedding-3-small"}, openai.NotFoundError, "no_such_model"),
        ({"dimensions": 256}, openai.BadRequestError, "unsupported"),
        ({"input": [1, 2, 3]}, openai.BadRequestError, "bad_input"),
        ({"input": [[1, 2], [3]]}, openai.BadRequestError, "bad_input"),
        ({"input": ""}, openai.BadRequestError, "bad_input"),
        ({"input": []}, openai.BadRequestError, "bad_input"),
        ({"input": ["a"] * 2_049}, openai.BadRequestError, "bad_input"),
        ({"input": ["a" * 200_000] * 3}, openai.APIStatusError, "too_large"),
    ],
)
async def test_what_cannot_be_embedded_is_refused(
    house: House, client: AsyncOpenAI, sent: Any, kind: type[openai.APIStatusError], code: str
) -> None:
    asked = client.embeddings.create(**{"model": "multilingual-e5-small", "input": "a"} | sent)
    assert (await _refused(asked, kind)).code == code


# ---- files ----------------------------------------------------------------------------------------------


async def test_a_file_is_kept_listed_given_back_and_deleted(house: House, client: AsyncOpenAI) -> None:
    content = _jsonl(*TOLD)
    made = await client.files.create(file=("../../told.jsonl", content), purpose="fine-tune")
    assert (made.object, made.bytes, made.filename, made.purpose) == ("file", len(content), "told.jsonl", "fine-tune")
    assert made.status == "processed" and (await client.files.retrieve(made.id)) == made
    assert (await client.files.content(made.id)).read() == content
    assert (await client.files.delete(made.id)).deleted
    assert [file async for file in client.files.list()] == []
    assert (await _refused(client.files.content(made.id), openai.NotFoundError)).code == "file_not_found"


async def test_files_are_listed_page_by_page(house: House, client: AsyncOpenAI) -> None:
    ids = [await _upload(client) for _ in range(5)]
    assert [file.id async for file in client.files.list(limit=2)] == ids[::-1]
    assert [file.id async for file in client.files.list(limit=2, order="asc")] == ids
    assert [file.id async for file in client.files.list(purpose="batch")] == []
    assert (await _refused(_first(client.files.list(after="file-x")), openai.BadRequestError)).param == "after"


async def _first(pages: Any) -> Any:
    return await pages


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b'{"messages": [', "Line 2"),
        (b'{"messages": [{"role": "user", "content": "q"}]}', "Line 2"),
        (b'{"messages": [{"role": "assistant", "content": null, "tool_calls": []}]}', "Line 2"),
        ("奶奶".encode("gb18030"), "UTF-8"),
        (b'{"prompt": "q", "completion": "a"}', "Line 2"),
    ],
)
async def test_a_file_with_a_bad_line_is_refused_with_its_number(
    house: House, client: AsyncOpenAI, line: bytes, said: str
) -> None:
    error = await _refused(_upload(client, _jsonl(TOLD[0]) + line), openai.BadRequestError)  # type: ignore[arg-type]
    assert error.code == "bad_line" and said in error.message
    assert [file async for file in client.files.list()] == []


async def test_a_file_that_is_too_large_or_for_something_else_is_refused(house: House, client: AsyncOpenAI) -> None:
    error = await _refused(_upload(client, b"x" * 6_000_001), openai.APIStatusError)  # type: ignore[arg-type]
    assert (error.status_code, error.code) == (413, "too_large")
    other = client.files.create(file=("a.jsonl", _jsonl(TOLD[0])), purpose="assistants")
    assert (await _refused(other, openai.BadRequestError)).param == "purpose"
    assert (await _refused(_upload(client, b""), openai.BadRequestError)).code == "bad_input"  # type: ignore[arg-type]


async def test_more_files_than_are_kept_are_refused(
    house: House, client: AsyncOpenAI, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "MOST_FILES", 1)
    first = await _upload(client)
    error = await _refused(_upload(client), openai.BadRequestError)  # type: ignore[arg-type]
    assert error.code == "too_many_files"
    await client.files.delete(first)
    assert await _upload(client)


async def test_a_file_goes_with_its_elder_and_with_any_answer_of_it_that_is_taken_back(
    house: House, client: AsyncOpenAI
) -> None:
    first, second = await _upload(client), await _upload(client, _jsonl({"question": "q", "answer": "我是后来说的。"}))
    for file in (first, second):
        job = await client.fine_tuning.jobs.create(model=BASE, training_file=file, suffix=ELDER)
        await client.fine_tuning.jobs.cancel(job.id)
    told = house.client.get(f"/elders/{ELDER}/answers").json()["answers"]
    house.client.delete(f"/elders/{ELDER}/answers/{told[0]['answer_id']}")
    assert [file.id async for file in client.files.list()] == [second]
    assert house.client.delete(f"/elders/{ELDER}").status_code == 200
    assert [file async for file in client.files.list()] == []


async def test_a_file_that_cannot_be_read_any_more_goes_with_any_answer(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    file = TrainingFile(id=FileId("file-old"), name="old", size_bytes=1, created_at=NOW, elders=(ElderId(ELDER),))
    house.services.files.add(house.tenant, file, b"x")
    told = house.client.get(f"/elders/{ELDER}/answers").json()["answers"]
    assert house.client.delete(f"/elders/{ELDER}/answers/{told[0]['answer_id']}").status_code == 200
    assert [one async for one in client.files.list()] == []


# ---- fine-tuning ----------------------------------------------------------------------------------------


async def test_a_file_trains_an_elder_who_is_created_from_it(house: House, client: AsyncOpenAI) -> None:
    file = await _upload(client)
    job = await client.fine_tuning.jobs.create(
        model=BASE, training_file=file, suffix="GRANDMA", metadata={"elder_name": "奶奶", "note": "first"}
    )
    assert (job.object, job.status, job.model, job.training_file) == ("fine_tuning.job", "queued", BASE, file)
    assert job.fine_tuned_model is None and job.finished_at is None and job.error is None
    assert job.metadata == {"elder_name": "奶奶", "note": "first"} and job.created_at == int(NOW.timestamp())
    assert house.bell.rung == [(job.id, "cpu")]
    [elder] = house.client.get("/elders").json()["elders"]
    assert (elder["elder_id"], elder["name"], elder["language"]) == ("GRANDMA", "奶奶", "zh")
    told = house.client.get("/elders/GRANDMA/answers").json()["answers"]
    assert (told[0]["question"], told[0]["answer"]) == ("第0问？", "我养过0只羊。")
    assert await client.fine_tuning.jobs.retrieve(job.id) == job
    assert [one.id async for one in client.fine_tuning.jobs.list(metadata={"note": "first"})] == [job.id]
    assert [one.id async for one in client.fine_tuning.jobs.list(metadata={"note": "other"})] == []


async def test_an_elder_who_is_there_is_trained_from_all_they_told(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    file = await _upload(client, _jsonl(TOLD[0]))
    job = await client.fine_tuning.jobs.create(model=BASE, training_file=file, suffix=ELDER)
    assert job.elder_id == ELDER and house.client.get("/elders").json()["elders"][0]["answers"] == 4  # type: ignore[attr-defined]


async def test_a_second_start_names_the_running_job_and_adds_nothing(house: House, client: AsyncOpenAI) -> None:
    first = await client.fine_tuning.jobs.create(model=BASE, training_file=await _upload(client), suffix=ELDER)
    more = await _upload(client, _jsonl({"question": "q", "answer": "我是后来说的。"}))
    again = client.fine_tuning.jobs.create(model=BASE, training_file=more, suffix=ELDER)
    error = await _refused(again, openai.ConflictError)
    assert error.code == "job_running" and first.id in error.message
    assert error.response.headers["x-should-retry"] == "false"
    assert house.services.elders.count_answers(house.tenant, ElderId(ELDER)) == 3


async def test_of_two_who_start_at_once_the_second_adds_nothing(house: House, client: AsyncOpenAI) -> None:
    house.elder()
    house.start()
    live, earlier = house.services.jobs.live, [None]  # it was asked for before the first had added its job
    house.services.jobs.live = lambda *whose: earlier.pop() if earlier else live(*whose)  # type: ignore[method-assign]
    file = await _upload(client, _jsonl({"question": "q", "answer": "我是后来说的。"}))
    started = client.fine_tuning.jobs.create(model=BASE, training_file=file, suffix=ELDER)
    assert (await _refused(started, openai.ConflictError)).code == "job_running"
    assert house.services.elders.count_answers(house.tenant, ElderId(ELDER)) == 3
    assert house.services.files.of_elder(house.tenant, ElderId(ELDER)) == []


async def test_no_job_goes_on_without_the_answers_of_its_file(house: House, client: AsyncOpenAI) -> None:
    def unavailable(*_: object) -> int:
        raise StoreUnavailable

    house.elder()
    file = await _upload(client)
    house.services.elders.add_answers = unavailable  # type: ignore[method-assign]
    body = {"model": BASE, "training_file": file, "suffix": ELDER}
    assert house.client.post("/v1/fine_tuning/jobs", json=body).status_code == 503
    assert house.services.jobs.live(house.tenant, ElderId(ELDER)) is None and house.bell.rung == []


async def test_a_job_is_followed_to_the_model_that_it_made(house: House, client: AsyncOpenAI) -> None:
    job = await client.fine_tuning.jobs.create(model=BASE, training_file=await _upload(client), suffix=ELDER)
    jobs, mine = house.services.jobs, JobId(job.id)
    held = jobs.claim(house.tenant, mine, owner="w", now=NOW, ttl=_MINUTE)
    assert held and held.lease
    running = await client.fine_tuning.jobs.retrieve(job.id)
    assert running.status == "running" and running.estimated_finish
    assert [one async for one in client.fine_tuning.jobs.checkpoints.list(job.id)] == []
    step = replace(held.step("train_sft"), facts={"step": 40, "loss": 0.25, "epochs": 3})
    jobs.save_step(house.tenant, mine, token=held.lease.token, step=step)
    for n in range(4):
        kind = ("step.started", "step.done")[n % 2]
        jobs.add_event(house.tenant, mine, kind=kind, at=NOW, facts={"step": "train_sft", "seconds": 2.5})
    done = replace(held, status=JobStatus.COMPLETED, version=2)
    jobs.finish(house.tenant, mine, token=held.lease.token, now=NOW, outcome=done)
    jobs.add_event(house.tenant, mine, kind="job.completed", at=NOW, facts={"version": 2})

    over = await client.fine_tuning.jobs.retrieve(job.id)
    tag = f"{model_name(house.tenant, ElderId(ELDER))}:v2"
    assert (over.status, over.fine_tuned_model, over.finished_at) == ("succeeded", tag, int(NOW.timestamp()))
    assert over.hyperparameters.n_epochs == 3 and over.estimated_finish is None
    told = [one async for one in client.fine_tuning.jobs.list_events(job.id, limit=2)]
    assert [one.message for one in told] == [
        "The model is ready: version 2.",
        *["Stage train_sft is done, in 2.5 s.", "Stage train_sft has started."] * 2,
        "The job is queued.",
    ]
    page = await client.fine_tuning.jobs.list_events(job.id, limit=2, after=told[1].id)
    assert [one.id for one in page.data] == [told[2].id, told[3].id] and page.has_more
    assert {one.object for one in told} == {"fine_tuning.job.event"} and {one.level for one in told} == {"info"}
    [checkpoint] = [one async for one in client.fine_tuning.jobs.checkpoints.list(job.id)]
    assert (checkpoint.fine_tuned_model_checkpoint, checkpoint.step_number) == (tag, 40)
    assert checkpoint.metrics.train_loss == 0.25


async def test_a_cancelled_and_a_failed_job_say_so(house: House, client: AsyncOpenAI) -> None:
    jobs = client.fine_tuning.jobs
    file = await _upload(client)
    cancelled = await jobs.cancel((await jobs.create(model=BASE, training_file=file, suffix=ELDER)).id)
    assert cancelled.status == "cancelled" and cancelled.error is None and cancelled.finished_at
    made = await jobs.create(model=BASE, training_file=file, suffix=ELDER)
    held = house.services.jobs.claim(house.tenant, JobId(made.id), owner="w", now=NOW, ttl=_MINUTE)
    assert held and held.lease
    details = {"stage": "train_sft", "reason": "it ended with code 3"}
    failed = replace(held, status=JobStatus.FAILED, error_code="stage_failed", error_details=details)
    house.services.jobs.finish(house.tenant, held.id, token=held.lease.token, now=NOW, outcome=failed)
    house.services.jobs.add_event(house.tenant, held.id, kind="job.failed", at=NOW, facts={"error": "stage_failed"})
    over = await jobs.retrieve(made.id)
    assert over.status == "failed" and over.error and over.error.code == "stage_failed"
    assert "train_sft" in over.error.message and over.fine_tuned_model is None
    event = (await jobs.list_events(made.id)).data[0]
    assert event.level == "error" and event.message == over.error.message
    assert {one.id async for one in jobs.list(limit=1)} == {cancelled.id, made.id}


@pytest.mark.parametrize(
    ("sent", "code", "param"),
    [
        ({"suffix": None}, "bad_input", "suffix"),
        ({"suffix": "a b"}, "bad_id", None),
        ({"model": "gpt-4o-mini"}, "bad_input", None),
        ({"model": "smollm2-135m-instruct", "suffix": ELDER}, "bad_input", "model"),
        ({"hyperparameters": {"n_epochs": 3}}, "bad_input", "hyperparameters.n_epochs"),
        ({"method": {"type": "dpo"}}, "bad_input", "method.type"),
        ({"validation_file": "file-1"}, "bad_input", "validation_file"),
        ({"integrations": [{"type": "wandb"}]}, "bad_input", "integrations"),
        ({"metadata": {"$where": "1"}}, "bad_input", "metadata.$where.[key]"),
        ({"metadata": {"language": "fr"}}, "bad_input", "metadata"),
    ],
)
async def test_a_job_that_cannot_be_done_as_asked_is_refused_and_nothing_changes(
    house: House, client: AsyncOpenAI, sent: dict[str, Any], code: str, param: str | None
) -> None:
    house.elder()
    asked = {"model": BASE, "training_file": await _upload(client), "suffix": "new"} | sent
    error = await _refused(client.fine_tuning.jobs.create(**asked), openai.BadRequestError)
    assert error.code == code and (param is None or error.param == param), error.param
    assert len(house.client.get("/elders").json()["elders"]) == 1
    assert house.services.elders.count_answers(house.tenant, ElderId(ELDER)) == 3 and house.bell.rung == []


async def test_automatic_hyperparameters_are_what_is_done_anyway(house: House, client: AsyncOpenAI) -> None:
    job = await client.fine_tuning.jobs.create(
        model=BASE,
        training_file=await _upload(client),
        suffix="new",
        hyperparameters={"n_epochs": "auto"},
        method={"type": "supervised", "supervised": {"hyperparameters": {"batch_size": "auto"}}},
        seed=3,
    )
    assert job.seed == 7


async def test_too_few_memories_are_refused_before_an_elder_is_created(house: House, client: AsyncOpenAI) -> None:
    file = await _upload(client, _jsonl(TOLD[0]))
    asked = client.fine_tuning.jobs.create(model=BASE, training_file=file, suffix="new")
    assert (await _refused(asked, openai.BadRequestError)).code == "too_few_memories"
    assert house.client.get("/elders").json() == {"elders": []}


# ---- keys and families ----------------------------------------------------------------------------------


async def test_a_wrong_key_is_an_authentication_error(opens: Opens) -> None:
    error = await _refused(_first(opens("hl_wrong").models.list()), openai.AuthenticationError)
    assert (error.code, error.type) == ("unauthorized", "authentication_error")


async def test_another_family_finds_none_of_ours(house: House, client: AsyncOpenAI, stranger: AsyncOpenAI) -> None:
    house.elder()
    version = house.publish()
    file = await _upload(client)
    job = await client.fine_tuning.jobs.create(model=BASE, training_file=file, suffix=ELDER)
    jobs, question = stranger.fine_tuning.jobs, [{"role": "user", "content": "q"}]
    for call in (
        stranger.models.retrieve(ELDER),
        stranger.models.retrieve(version.tag),
        stranger.chat.completions.create(model=version.tag, messages=question),  # type: ignore[arg-type]
        stranger.files.retrieve(file),
        stranger.files.content(file),
        stranger.files.delete(file),
        jobs.create(model=BASE, training_file=file, suffix=ELDER),
        jobs.retrieve(job.id),
        jobs.cancel(job.id),
        _first(jobs.list_events(job.id)),
        _first(jobs.checkpoints.list(job.id)),
    ):
        await _refused(call, openai.NotFoundError)
    for listed in (stranger.models.list(), stranger.files.list(), jobs.list()):
        assert [one async for one in listed] == []  # type: ignore[attr-defined]
    assert (await client.fine_tuning.jobs.retrieve(job.id)).status == "queued"
    assert (await client.files.retrieve(file)).id == file


async def test_an_address_that_is_not_served_is_refused_in_openais_shape(house: House, client: AsyncOpenAI) -> None:
    assert (await _refused(client.moderations.create(input="x"), openai.NotFoundError)).code == "not_found"
    answer = house.client.delete("/v1/embeddings", headers={"Accept-Language": "zh"})
    assert answer.status_code == 405 and answer.json()["error"]["message"] == "这个地址不支持这种请求方法。"
    assert house.client.get("/nowhere").json()["error"]["details"] == {}


async def test_a_refusal_is_chinese_for_whoever_asks_in_chinese(house: House) -> None:
    house.elder()
    house.publish()
    asked = {"model": ELDER, "messages": [{"role": "user", "content": "q"}], "n": 2}
    answer = house.client.post("/v1/chat/completions", json=asked, headers={"Accept-Language": "zh-CN"})
    assert answer.json()["error"]["message"] == "这里不支持参数 'n' 的这个值：请去掉它。"
