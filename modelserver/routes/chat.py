"""Chat: the family asks, the elder's model answers from what the elder said, and says which memories it was given."""

import json
from collections.abc import AsyncIterator

import anyio
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from kernel.errors import HeirloomError
from kernel.ids import TenantId
from modelserver.answering import Answering, Asked, begin, close, prepare
from modelserver.auth import Family, Provided
from modelserver.interruption import interruptibly, next_piece
from modelserver.problems import language_of
from modelserver.schemas import ChatIn, ChatOut, MemoryOut
from modelserver.services import Services

router = APIRouter(tags=["chat"])


@router.post("/chat", response_model=ChatOut)
async def chat(request: Request, said: ChatIn, services: Provided, tenant: Family) -> ChatOut | StreamingResponse:
    """With `stream`, server-sent events: `memories`, then `token` after `token`, then `done` (or `error`)."""
    async with services.turnstile.passed(tenant):
        asked = await run_in_threadpool(prepare, services, tenant, said)
        if not said.stream:
            return await run_in_threadpool(_answer, services, asked)
    stream = _stream(services, tenant, asked, language_of(request))
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _answer(services: Services, asked: Asked) -> ChatOut:
    answering = Answering(asked)
    begin(services, answering)
    return _out(answering.asked, "".join([answering.piece or "", *answering.pieces]).strip())


def _out(asked: Asked, text: str) -> ChatOut:
    return ChatOut(
        elder_id=asked.elder,
        response=text,
        memory_ids=[memory.id for memory in asked.memories],
        memories=[MemoryOut(id=memory.id, text=memory.text) for memory in asked.memories],
        model=asked.version.tag,
    )


async def _stream(services: Services, tenant: TenantId, asked: Asked, language: str) -> AsyncIterator[str]:
    """A reader who goes away stops the generation: the engine's iterator is closed, whatever happens."""
    yield _frame("memories", {"memory_ids": [memory.id for memory in asked.memories]})
    answering = Answering(asked)
    said: list[str] = []
    try:
        async with services.turnstile.passed(tenant):
            await interruptibly(lambda: begin(services, answering), interrupt=lambda: close(answering.pieces))
            while answering.piece is not None:
                said.append(answering.piece)
                yield _frame("token", {"text": answering.piece})
                answering.piece = await next_piece(answering.pieces)
            yield _frame("done", _out(answering.asked, "".join(said).strip()).model_dump())
    except HeirloomError as error:
        yield _frame("error", {"code": error.code, "message": error.message(language)})
    finally:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(close, answering.pieces)


def _frame(kind: str, data: dict[str, object]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
