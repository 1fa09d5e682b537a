"""The openai client, a real server on a port, llama.cpp with a real SmolLM2, and the real embeddings."""

import socket
import threading
from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import openai
import pytest
import uvicorn
from openai import OpenAI

from adapters.engines import Engines
from adapters.llama_cpp import LlamaCppEngine
from adapters.local_model import LocalModel
from kernel.ports import ChatOptions, Ending
from kernel.sample import Message
from kernel.version import ModelVersion
from tests.engine_fixtures import smollm2
from tests.offline import EMBEDDER
from tests.unit.test_api import ELDER, House

CONTEXT_TOKENS = 512
SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"  #: with its own it ends by itself
QUESTION: list[Any] = [{"role": "user", "content": "Tell me the whole story of your life, from the beginning."}]
BARE = {"retrieval": False}


class Watched:
    """The embedded engine, and whether an answer was left before its end."""

    name = "llama_cpp"

    def __init__(self, folder: Path) -> None:
        self._engine = LlamaCppEngine(folder, threads=1, context_tokens=CONTEXT_TOKENS, wait_seconds=10.0)
        self.was_left = threading.Event()
        self.asked: list[Sequence[Message]] = []
        self.register, self.check, self.close = self._engine.register, self._engine.check, self._engine.close

    def chat(
        self, version: ModelVersion, messages: Sequence[Message], options: ChatOptions
    ) -> Generator[str, None, Ending | None]:
        self.asked.append(messages)
        try:
            return (yield from self._engine.chat(version, messages, options))
        except GeneratorExit:
            self.was_left.set()
            raise


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    house, engine = House(folder), Watched(folder / "gguf")
    house.engine = engine
    object.__setattr__(house.services, "engine", Engines({"llama_cpp": engine}, name="llama_cpp"))
    object.__setattr__(house.services, "embedder", EMBEDDER)
    house.elder()
    version = replace(house.publish(), system_prompt=SYSTEM, language="en")
    house.services.versions.add(house.tenant, version)
    engine.register(version, smollm2())
    yield house
    engine.close()


@pytest.fixture(scope="module")
def client(house: House) -> Iterator[OpenAI]:
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(house.app, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    key = house.client.headers["Authorization"].removeprefix("Bearer ")
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
    with OpenAI(api_key=key, base_url=url, max_retries=0, timeout=60) as client:
        yield client
    server.should_exit = True
    thread.join()
    listening.close()


def test_usage_is_what_the_models_own_tokenizer_counts(house: House, client: OpenAI, tmp_path: Path) -> None:
    said = client.chat.completions.create(model=ELDER, messages=QUESTION, max_tokens=7, extra_body=BARE)
    model = LocalModel(smollm2())
    prompt = len(model.prompt(house.engine.asked[-1]))  # type: ignore[attr-defined]
    model.close()
    assert said.usage and said.choices[0].finish_reason == "length"
    assert (said.usage.prompt_tokens, said.usage.completion_tokens, said.usage.total_tokens) == (prompt, 7, prompt + 7)


def test_an_answer_that_ends_by_itself_says_stop(client: OpenAI) -> None:
    said = client.chat.completions.create(
        model=ELDER, messages=[{"role": "user", "content": "Hi"}], max_tokens=40, extra_body=BARE
    )
    assert said.choices[0].finish_reason == "stop"
    assert said.usage and 0 < said.usage.completion_tokens < 40


def test_a_stream_says_what_the_plain_answer_says(client: OpenAI) -> None:
    plain = client.chat.completions.create(model=ELDER, messages=QUESTION, max_tokens=20, extra_body=BARE)
    stream = client.chat.completions.create(
        model=ELDER,
        messages=QUESTION,
        max_tokens=20,
        stream=True,
        stream_options={"include_usage": True},
        extra_body=BARE,
    )
    chunks = list(stream)
    told = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert told.strip() == plain.choices[0].message.content
    assert chunks[-2].choices[0].finish_reason == "length"
    assert chunks[-1].usage == plain.usage


def test_a_client_who_goes_away_in_mid_stream_stops_the_generation(house: House, client: OpenAI) -> None:
    engine: Any = house.engine
    engine.was_left.clear()
    stream = client.chat.completions.create(
        model=ELDER, messages=QUESTION, max_tokens=400, stream=True, extra_body=BARE
    )
    assert next(iter(stream)).choices[0].delta.role == "assistant"
    stream.close()
    assert engine.was_left.wait(2)
    assert client.chat.completions.create(model=ELDER, messages=QUESTION, max_tokens=1, extra_body=BARE).choices


def test_a_client_who_does_not_wait_for_a_plain_answer_stops_it_too(house: House, client: OpenAI) -> None:
    engine: Any = house.engine
    engine.was_left.clear()
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.5).chat.completions.create(
            model=ELDER, messages=QUESTION, max_tokens=400, extra_body=BARE
        )
    assert engine.was_left.wait(5)


def test_a_conversation_beyond_the_context_loses_its_beginning_and_a_question_beyond_it_is_refused(
    house: House, client: OpenAI
) -> None:
    turns: list[Any] = [
        {"role": role, "content": f"{role} {'long ' * 60}"} for _ in range(20) for role in ("user", "assistant")
    ]
    said = client.chat.completions.create(model=ELDER, messages=[*turns, *QUESTION], max_tokens=1, extra_body=BARE)
    assert said.usage and said.usage.prompt_tokens < CONTEXT_TOKENS
    too_long: list[Any] = [{"role": "user", "content": "long " * 1_500}]
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(model=ELDER, messages=too_long, extra_body=BARE)
    assert refused.value.code == "context_too_long"


def test_the_question_lies_nearest_to_what_answers_it_in_both_languages(client: OpenAI) -> None:
    model = "multilingual-e5-small"
    told = ["The cat slept on the warm stove.", "奶奶在苏州的丝绸厂做工。"]
    texts = client.embeddings.create(model=model, input=told)
    assert texts.usage.prompt_tokens > 10 and {len(one.embedding) for one in texts.data} == {384}
    for number, question in enumerate(["Where did the cat sleep?", "奶奶在哪里上班？"]):
        asked = client.embeddings.create(model=model, input=question, extra_body={"input_type": "query"})
        near = [_dot(asked.data[0].embedding, one.embedding) for one in texts.data]
        assert near.index(max(near)) == number
        assert _dot(asked.data[0].embedding, asked.data[0].embedding) == pytest.approx(1.0, abs=1e-3)


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))
