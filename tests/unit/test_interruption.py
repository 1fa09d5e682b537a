"""Interruption: whoever goes away while a piece is waited for ends the wait, and the generation behind it."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from adapters.ollama import OllamaEngine
from kernel.errors import EngineUnavailable
from kernel.ports import ChatOptions
from modelserver.interruption import interruptibly
from tests.engine_fixtures import a_version, ask, header_only
from tests.ollama_double import OllamaDouble


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
