"""The companion's process over HTTP: a real server on a loopback port, with a model that says what it is told to."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
import uvicorn

from adapters.companion_wire import RemoteCompanion
from kernel.companion import Asked, Given, Place
from kernel.errors import BaseModelMissing, CompanionBusy, ContextTooLong, EngineUnavailable, HeirloomError
from kernel.ids import ElderId, MemoryId, TenantId
from kernel.memory import Memory
from kernel.retrieval import Found
from kernel.sample import Message
from workers.companion import CompanionProgram

MEMORY = Memory(id=MemoryId("m_1"), question="", answer="I was born in Leeds.", language="en", personal_data=("phone",))

OTHER = Memory(id=MemoryId("m_2"), question="", answer="It rained.", language="en", personal_data=())

GIVEN = Given(memories=(MEMORY,), model="told")
LAST = "好\u2028\u0085"  #: with ends of a line that end none here


def asked(tenant: str = "ours") -> Asked:
    return Asked(
        tenant=TenantId(tenant),
        elder=ElderId("E1"),
        name="玛格丽特",
        language="en",
        conversation="c",
        user_input="Where?",
        found=Found(memories=(MEMORY, OTHER), is_sure=False, is_likely=True),
        history=(Message(role="user", content="Hello"), Message(role="assistant", content="[Happy] Hello!")),
        profile="fast",
    )


class Told:
    """A generator with room for one memory, that says two words and then waits until `go` is set."""

    name = "told"

    def __init__(self) -> None:
        self.facts = {"new_tokens": 2.0}
        self.asked: list[Asked] = []
        self.go, self.stopped = asyncio.Event(), asyncio.Event()
        self.error: Exception | None = None
        self.fault: HeirloomError | None = None

    def build_prompt(self, asked: Asked) -> tuple[tuple[Message, ...], int]:
        self.asked.append(asked)
        if isinstance(self.error, ContextTooLong):
            raise self.error
        return (), 1

    async def generate_stream(
        self, prompt: tuple[Message, ...], *, profile: str, conversation: str = ""
    ) -> AsyncIterator[str]:
        try:
            yield "[Happy] 你"
            if self.error:
                raise self.error
            await self.go.wait()
            yield LAST
        finally:
            self.stopped.set()

    def close(self) -> None: ...


Test = Callable[[str, Told], Awaitable[None]]


def served(test: Test, *, key: str = "", load: Callable[[], Told] | None = None) -> None:
    async def run() -> None:
        told = Told()
        program = CompanionProgram(load or (lambda: told), key=key)
        server = uvicorn.Server(uvicorn.Config(program.app(), port=0, log_level="error"))
        serving = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0)
        port = server.servers[0].sockets[0].getsockname()[1]
        try:
            await asyncio.wait_for(test(f"http://127.0.0.1:{port}", told), 30)
        finally:
            server.should_exit = True
            await serving

    asyncio.run(run())


async def pieces_of(url: str, key: str = "", tenant: str = "ours") -> list[Place | Given | str]:
    return [piece async for piece in RemoteCompanion(url, key=key).answer(asked(tenant))]


def test_what_is_asked_arrives_whole_and_the_answer_comes_in_pieces_after_what_it_was_given() -> None:
    async def test(url: str, told: Told) -> None:
        told.go.set()
        assert await pieces_of(url) == [GIVEN, "[Happy] 你", LAST]
        assert told.asked == [asked()]

    served(test)


def test_a_second_answer_is_told_its_place_and_comes_when_the_first_is_over() -> None:
    async def test(url: str, told: Told) -> None:
        first = RemoteCompanion(url).answer(asked())
        assert [await anext(first), await anext(first)] == [GIVEN, "[Happy] 你"]
        second = RemoteCompanion(url).answer(asked("theirs"))
        assert await anext(second) == Place(place=1)
        told.go.set()
        assert [piece async for piece in first] == [LAST]
        assert [piece async for piece in second] == [GIVEN, "[Happy] 你", LAST]

    served(test)


def test_who_hangs_up_stops_the_answer_and_gives_the_place_away() -> None:
    async def test(url: str, told: Told) -> None:
        answer = RemoteCompanion(url).answer(asked())
        assert [await anext(answer), await anext(answer)] == [GIVEN, "[Happy] 你"]
        waiting = RemoteCompanion(url).answer(asked("theirs"))
        await anext(waiting)
        await waiting.aclose()  # type: ignore[attr-defined]
        await answer.aclose()  # type: ignore[attr-defined]
        await asyncio.wait_for(told.stopped.wait(), 1)
        told.go.set()
        assert await pieces_of(url) == [GIVEN, "[Happy] 你", LAST]

    served(test)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ContextTooLong(limit=7), ContextTooLong),
        (EngineUnavailable(engine="companion", reason="memory is short"), EngineUnavailable),
        (RuntimeError("a secret word"), HeirloomError),
    ],
)
def test_an_error_arrives_as_itself_and_without_a_word_of_the_familys(error: Exception, kind: type) -> None:
    async def test(url: str, told: Told) -> None:
        told.error = error
        with pytest.raises(kind) as caught:
            await pieces_of(url)
        assert "secret" not in str(caught.value)
        told.error = None
        told.go.set()
        assert len(await pieces_of(url)) == 3

    served(test)


def test_one_family_that_asks_for_too_much_is_told_so() -> None:
    async def test(url: str, told: Told) -> None:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(5):
                answer = await stack.enter_async_context(contextlib.aclosing(RemoteCompanion(url).answer(asked())))  # type: ignore[type-var]
                await anext(answer)
            with pytest.raises(CompanionBusy):
                await pieces_of(url)

    served(test)


def test_without_its_key_it_tells_nothing() -> None:
    async def test(url: str, told: Told) -> None:
        for path, method in (("/health", "GET"), ("/answer", "POST")):
            async with httpx.AsyncClient() as client:
                assert (await client.request(method, url + path, json={})).status_code == 401
        told.go.set()
        assert len(await pieces_of(url, key="right")) == 3
        assert told.asked

    served(test, key="right")


def test_a_model_that_is_missing_is_said_to_each_who_asks() -> None:
    def load() -> Told:
        raise BaseModelMissing(model="qwen", how="Put it there.")

    async def test(url: str, told: Told) -> None:
        async with httpx.AsyncClient() as client:
            while "base_model_missing" not in (await client.get(f"{url}/health")).text:
                await asyncio.sleep(0)
        with pytest.raises(BaseModelMissing, match="qwen"):
            await pieces_of(url)
        with pytest.raises(BaseModelMissing):
            await asyncio.to_thread(RemoteCompanion(url).check)

    served(test, load=load)


def test_a_model_that_was_lost_is_told_by_health_until_it_is_back() -> None:
    async def test(url: str, told: Told) -> None:
        companion = RemoteCompanion(url)
        told.go.set()
        await pieces_of(url)
        await asyncio.to_thread(companion.check)
        told.fault = EngineUnavailable(engine="companion", reason="memory is short")
        with pytest.raises(EngineUnavailable, match="memory is short"):
            await asyncio.to_thread(companion.check)
        told.fault = None
        await asyncio.to_thread(companion.check)

    served(test)


def test_nonsense_is_refused_and_a_process_that_is_down_is_a_typed_error() -> None:
    async def test(url: str, told: Told) -> None:
        async with httpx.AsyncClient() as client:
            for body in (b"", b"{}", b'{"found": {"memories": [1]}}', b"[]"):
                assert (await client.post(f"{url}/answer", content=body)).status_code == 422
        with pytest.raises(EngineUnavailable):
            await pieces_of("http://127.0.0.1:9")

    served(test)
