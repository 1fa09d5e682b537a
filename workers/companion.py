"""The companion's own process, where torch is: `python -m workers.companion`.

    POST /answer   {tenant, elder, name, language, conversation, user_input, found, history, profile}
    -> lines of JSON: {"place": 2}, {"place": 1}, {"given": how many of the memories, "model": "..."},
       {"text": "[Happy] Good"}, ..., then {"done": {facts}}
       or {"error": {"code", "details"}}
    GET /health    {"model": "...", "waiting": 0}, or 503 with an error while no model is loaded

With HEIRLOOM_COMPANION_KEY both want it as a bearer token. Who hangs up stops the answer, and gives its place away.
"""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from typing import Any, Protocol

import structlog
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from adapters.companion_wire import asked_from_json
from config.companion_config import read_companion, read_companion_words
from config.config_loader import ConfigLoader
from config.logs import set_up_logs
from config.settings import Settings, read_settings
from kernel.companion import Asked
from kernel.errors import EngineUnavailable, HeirloomError
from kernel.fair_queue import FairQueue
from kernel.sample import Message

log = structlog.get_logger(__name__)


class Generator(Protocol):
    """What QwenLLMService is to this program."""

    facts: dict[str, float]
    fault: HeirloomError | None  #: why it cannot answer now

    @property
    def name(self) -> str: ...
    def build_prompt(self, asked: Asked) -> tuple[tuple[Message, ...], int]: ...
    def generate_stream(
        self, prompt: tuple[Message, ...], *, profile: str, conversation: str = ""
    ) -> AsyncIterator[str]: ...
    def close(self) -> None: ...


class CompanionProgram:
    """`load` makes the generator; it takes minutes for a large model, and the server answers meanwhile."""

    def __init__(self, load: Any, *, key: str = "") -> None:
        self._load, self._key = load, key
        self._queue = FairQueue()
        self._generator: Generator | None = None
        self._fault: HeirloomError = EngineUnavailable(engine="companion", reason="its model is still loading")

    def app(self) -> Starlette:
        routes = [Route("/answer", self.answer, methods=["POST"]), Route("/health", self.health)]
        return Starlette(routes=routes, lifespan=self._living)

    async def answer(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        try:
            asked = asked_from_json(await request.json())
        except (ValueError, KeyError, TypeError):
            return JSONResponse(_error(HeirloomError()), 422)
        return HungUp(self._lines(asked), media_type="application/x-ndjson")

    async def health(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        generator = self._generator
        fault = generator.fault if generator else self._fault
        if generator is None or fault:
            return JSONResponse(_error(fault), 503)
        return JSONResponse({"model": generator.name, "waiting": len(self._queue)})

    async def _lines(self, asked: Asked) -> AsyncIterator[str]:
        try:
            async with self._queue.joined(asked.tenant) as places:
                async for place in places:
                    yield _line({"place": place})
                async with aclosing(self._pieces(asked)) as pieces:
                    async for piece in pieces:
                        yield _line({"text": piece} if isinstance(piece, str) else piece)
                facts = dict(self._generator.facts) if self._generator else {}
        except HeirloomError as error:
            yield _line(_error(error))
            return
        except Exception as error:
            log.error("companion.broke", error=type(error).__name__)
            yield _line(_error(HeirloomError()))
            return
        yield _line({"done": facts})

    async def _pieces(self, asked: Asked) -> AsyncIterator[dict[str, Any] | str]:
        """How many of the memories it is given, and by which model; then the answer."""
        if self._generator is None:
            raise self._fault
        prompt, given = await run_in_threadpool(self._generator.build_prompt, asked)
        yield {"given": given, "model": self._generator.name}
        pieces = self._generator.generate_stream(prompt, profile=asked.profile, conversation=asked.conversation)
        async with aclosing(pieces):  # type: ignore[type-var]
            async for piece in pieces:
                yield piece

    def _refusal(self, request: Request) -> Response | None:
        given = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self._key and not hmac.compare_digest(given.encode(), self._key.encode()):
            return JSONResponse({"error": {"code": "unauthorized", "details": {}}}, 401)
        return None

    @asynccontextmanager
    async def _living(self, app: Starlette) -> AsyncIterator[None]:
        loading = asyncio.create_task(self._begin())
        yield
        loading.cancel()
        if self._generator is not None:
            self._generator.close()

    async def _begin(self) -> None:
        try:
            self._generator = await run_in_threadpool(self._load)
        except HeirloomError as error:
            self._fault = error
        except Exception as error:
            log.error("companion.broke", error=type(error).__name__, at="load")
            self._fault = EngineUnavailable(engine="companion", reason="its model could not be loaded; see its log")


class HungUp(StreamingResponse):
    """Ends with who listens, also while nothing is sent: Starlette's own notices at its next piece."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        streaming = asyncio.create_task(self.stream_response(send))
        gone = asyncio.create_task(self.listen_for_disconnect(receive))
        try:
            await asyncio.wait({streaming, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
            streaming.cancel()
            await asyncio.wait({streaming})
            await self.body_iterator.aclose()  # type: ignore[attr-defined]
        if not streaming.cancelled():
            streaming.result()


def load(settings: Settings) -> Generator:
    """Raises BaseModelMissing, EngineUnavailable."""
    from adapters.qwen_llm import QwenLLMService  # torch takes seconds to import; the server answers meanwhile

    companion = read_companion()
    config = ConfigLoader(settings.config_file, model_dir=settings.model_dir)
    folders = {name: config.find_folder(name) for name in (companion.model, companion.fallback_model)}
    return QwenLLMService(companion, read_companion_words(), folders=folders)


def _line(data: dict[str, Any]) -> str:
    return json.dumps(data) + "\n"


def _error(error: HeirloomError) -> dict[str, Any]:
    return {"error": {"code": error.code, "details": {name: str(value) for name, value in error.details.items()}}}


def main() -> None:
    settings = read_settings()
    set_up_logs("companion", settings.logs_dir)
    program = CompanionProgram(partial(load, settings), key=settings.companion_key)
    host, port = settings.companion_place
    uvicorn.run(program.app(), host=host, port=port, access_log=False, timeout_graceful_shutdown=2)


if __name__ == "__main__":
    main()
