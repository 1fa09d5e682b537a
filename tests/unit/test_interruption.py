"""Interruption: whoever goes away while a piece is waited for ends the wait, and the generation behind it."""

import json
import threading
import time
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest

from adapters.ollama import OllamaEngine
from kernel.errors import EngineUnavailable
from kernel.ids import ElderId
from kernel.ports import ChatOptions
from modelserver.interruption import interruptibly
from tests.engine_fixtures import a_version, ask, header_only
from tests.ollama_double import OllamaDouble
from tests.unit.test_api import ELDER, House
from tests.unit.test_api import house as house  # a fixture

_CHAT = {"elder_id": ELDER, "message": "q"}
_V1 = {"model": ELDER, "messages": [{"role": "user", "content": "q"}]}


def test_a_reader_who_goes_away_before_the_first_piece_ends_the_servers_generation(tmp_path: Path) -> None:
    begun = threading.Event()

    def answer(prompt: str, options: object) -> Iterator[str]:
        begun.set()
        ollama.cut.wait(10)
        yield "too late"

    with OllamaDouble(answer=answer) as ollama, closing(OllamaEngine(ollama.url, bases={})) as engine:
        engine.register(a_version(1), header_only(tmp_path / "model.gguf"))
        pieces = engine.chat(a_version(1), ask("x"), ChatOptions(temperature=0.0, max_tokens=8))
        assert anyio.run(_goes_away, pieces, begun) < 1
        assert ollama.cut.wait(1)


def test_a_generator_that_is_computing_ends_with_its_piece() -> None:
    begun, released = threading.Event(), threading.Event()

    def pieces() -> Iterator[str]:
        begun.set()
        released.wait(0.2)
        yield "computed"

    assert anyio.run(_goes_away, pieces(), begun) < 1


def test_what_the_work_returns_or_raises_comes_through() -> None:
    def fail() -> str:
        raise EngineUnavailable(engine="ollama", reason="x")

    assert anyio.run(_next, iter(["one"])) == "one"
    assert anyio.run(_next, iter([])) is None
    with pytest.raises(EngineUnavailable):
        anyio.run(lambda: interruptibly(fail, interrupt=lambda: None))


async def _next(pieces: Iterator[str]) -> str | None:
    return await interruptibly(lambda: next(pieces, None), interrupt=getattr(pieces, "close", lambda: None))


async def _goes_away(pieces: Iterator[str], begun: threading.Event) -> float:
    """Seconds from going away until the wait was over."""
    async with anyio.create_task_group() as group:
        group.start_soon(_next, pieces)
        await anyio.to_thread.run_sync(begun.wait, 5)
        started = time.monotonic()
        group.cancel_scope.cancel()
    return time.monotonic() - started


# ---- a client who hangs up: the app is spoken to as a server does it ------------------------------------


class Silent:
    """An engine whose answer says nothing until it is closed."""

    def __init__(self) -> None:
        self.begun, self.closed = threading.Event(), threading.Event()

    def chat(self, *_: object) -> "Silent":
        return self

    def __iter__(self) -> "Silent":
        return self

    def __next__(self) -> str:
        if not self.closed.is_set():
            self.begun.set()
            self.closed.wait(10)
        raise StopIteration

    def close(self) -> None:
        self.closed.set()


PLAIN = [
    ("/chat", _CHAT),
    ("/v1/chat/completions", _V1),
    (f"/models/{ELDER}/compare", {"a": 1, "b": 1, "question": "q"}),
]
STREAMED = [("/chat", _CHAT | {"stream": True}), ("/v1/chat/completions", _V1 | {"stream": True})]


@pytest.mark.parametrize(("path", "body"), PLAIN + STREAMED)
def test_who_hangs_up_before_the_first_word_frees_their_place_within_a_second(
    house: House, path: str, body: dict[str, Any]
) -> None:
    house.elder()
    house.publish()
    engine = Silent()
    object.__setattr__(house.engine, "chat", engine.chat)

    async def hang_up() -> float:
        while not engine.begun.is_set():
            await anyio.sleep(0.01)
        return time.monotonic()

    left = anyio.run(_speak, house, path, body, hang_up)
    assert time.monotonic() - left < 1
    assert engine.begun.is_set() and engine.closed.is_set() and _places_taken(house) == (0, 0)


@pytest.mark.parametrize(("path", "body"), [PLAIN[0], STREAMED[0]])
def test_who_hangs_up_while_the_model_is_asked_alone_has_no_second_answer_begun(
    house: House, path: str, body: dict[str, Any]
) -> None:
    house.elder()
    ids = tuple(memory.id for memory in house.services.retrievers.of(house.tenant, ElderId(ELDER)).memories)
    recalling = replace(house.publish(), number=2, recalls_first=True, memory_ids=ids)
    house.services.versions.add(house.tenant, recalling)
    answers: list[Silent] = []

    def chat(*_: object) -> Silent:
        answers.append(Silent())
        return answers[-1]

    object.__setattr__(house.engine, "chat", chat)

    async def hang_up() -> float:
        while not (answers and answers[0].begun.is_set()):
            await anyio.sleep(0.01)
        return time.monotonic()

    left = anyio.run(_speak, house, path, body | {"message": "您去过月亮上吗"}, hang_up)
    assert time.monotonic() - left < 1
    assert answers[0].closed.is_set() and not any(one.begun.is_set() for one in answers[1:])


@pytest.mark.parametrize(("path", "body"), PLAIN + STREAMED)
def test_who_hangs_up_in_line_is_in_line_no_more(house: House, path: str, body: dict[str, Any]) -> None:
    house.elder()
    house.publish()

    async def crowd_and_leave() -> None:
        async with AsyncExitStack() as crowd:
            for at in range(4):
                limiter = house.services.turnstile._of_family[house.tenant]
                await limiter.acquire_on_behalf_of(at)
                crowd.callback(limiter.release_on_behalf_of, at)
            with anyio.fail_after(1):
                await _speak(house, path, body, anyio.wait_all_tasks_blocked)

    anyio.run(crowd_and_leave)
    assert house.engine.asked == [] and _places_taken(house) == (0, 0)


@pytest.mark.parametrize(("path", "body"), PLAIN[:2])
def test_who_hangs_up_in_the_middle_of_an_answer_has_no_more_of_it_computed(
    house: House, path: str, body: dict[str, Any]
) -> None:
    house.elder()
    house.publish()
    computed: list[str] = []

    def endless(*_: object) -> Generator[str, None, None]:
        while True:
            computed.append("word ")
            yield "word "

    object.__setattr__(house.engine, "chat", endless)

    async def hang_up() -> None:
        while len(computed) < 3:
            await anyio.sleep(0.01)

    async def speak() -> None:
        with anyio.fail_after(5):
            await _speak(house, path, body, hang_up)
        count = len(computed)
        await anyio.sleep(0.05)
        assert len(computed) == count

    anyio.run(speak)
    assert _places_taken(house) == (0, 0)


@pytest.mark.parametrize(("path", "body"), STREAMED)
def test_a_reader_who_stopped_reading_and_went_away_frees_the_engine_and_the_turnstile(
    house: House, path: str, body: dict[str, Any]
) -> None:
    """The second piece is never taken, then the reader is gone."""
    house.elder()
    house.publish()
    closed = threading.Event()

    def endless(*_: object) -> Generator[str, None, None]:
        try:
            while True:
                yield "word "
        finally:
            closed.set()

    object.__setattr__(house.engine, "chat", endless)

    async def speak() -> None:
        reached = anyio.Event()

        async def send(message: Any) -> None:
            if b"word" in message.get("body", b""):
                reached.set()
                await anyio.sleep_forever()

        with anyio.fail_after(5):
            await _speak(house, path, body, reached.wait, send)

    anyio.run(speak)
    assert closed.is_set() and _places_taken(house) == (0, 0)


async def _ignore(message: Any) -> None:
    pass


async def _speak(
    house: House,
    path: str,
    body: dict[str, Any],
    hang_up: Callable[[], Awaitable[Any]],
    send: Callable[[Any], Awaitable[None]] = _ignore,
) -> Any:
    """Hangs up when `hang_up` is over, and gives what that gave."""
    sent = [{"type": "http.request", "body": json.dumps(body).encode()}]
    outcome: list[Any] = []

    async def receive() -> dict[str, Any]:
        if sent:
            return sent.pop()
        if not outcome:
            outcome.append(await hang_up())
        return {"type": "http.disconnect"}

    headers = [
        (b"authorization", house.client.headers["Authorization"].encode()),
        (b"content-type", b"application/json"),
    ]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "server": ("heirloom", 80),
    }
    await house.app(scope, receive, send)
    return outcome[0]


def _places_taken(house: House) -> tuple[float, float]:
    turnstile = house.services.turnstile
    return turnstile._of_all.borrowed_tokens, turnstile._of_family[house.tenant].borrowed_tokens
