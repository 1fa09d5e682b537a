"""Chat: the family asks, the elder's model answers from what the elder said, and says which memories it was given."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import anyio
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from kernel.errors import HeirloomError
from kernel.ids import TenantId, elder_id
from kernel.memory import Memory
from kernel.ports import ChatOptions
from kernel.prompt import chat_prompt
from kernel.sample import Message
from kernel.version import ModelVersion
from modelserver.auth import Family, Provided
from modelserver.problems import language_of
from modelserver.schemas import ChatIn, ChatOut, MemoryOut
from modelserver.services import Services

router = APIRouter(tags=["chat"])


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A question made ready for the engine."""

    version: ModelVersion
    memories: list[Memory]
    messages: tuple[Message, ...]
    options: ChatOptions


@router.post("/chat", response_model=ChatOut)
async def chat(request: Request, said: ChatIn, services: Provided, tenant: Family) -> ChatOut | StreamingResponse:
    """With `stream`, server-sent events: `memories`, then `token` after `token`, then `done` (or `error`)."""
    asked = await run_in_threadpool(_prepare, services, tenant, said)
    if said.stream:
        stream = _stream(services, asked, said.elder_id, language_of(request))
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})
    return await run_in_threadpool(_answer, services, asked, said.elder_id)


def _prepare(services: Services, tenant: TenantId, said: ChatIn) -> Asked:
    elder = services.elders.get(tenant, elder_id(said.elder_id))
    version = services.versions.active(tenant, elder.id)
    base = services.config.get_base_model(version.base)
    shown = services.config.get_recipe(base, threads=1).retrieved_memories
    memories = services.retrievers.of(tenant, elder.id).find(said.message, shown) if said.retrieval else []
    messages = chat_prompt(
        services.config.get_prompts()[version.language],
        system=version.system_prompt,
        question=said.message,
        memories=memories,
        history=[Message(role=turn.role, content=turn.content) for turn in said.conversation_history],
    )
    options = ChatOptions(temperature=said.temperature, max_tokens=said.max_tokens)
    return Asked(version=version, memories=memories, messages=messages, options=options)


def _answer(services: Services, asked: Asked, elder: str) -> ChatOut:
    text = "".join(services.engine.chat(asked.version, asked.messages, asked.options))
    return _out(asked, elder, text.strip())


def _out(asked: Asked, elder: str, text: str) -> ChatOut:
    return ChatOut(
        elder_id=elder,
        response=text,
        memory_ids=[memory.id for memory in asked.memories],
        memories=[MemoryOut(id=memory.id, text=memory.text) for memory in asked.memories],
        model=asked.version.tag,
    )


async def _stream(services: Services, asked: Asked, elder: str, language: str) -> AsyncIterator[str]:
    """A reader who goes away stops the generation: the engine's iterator is closed, whatever happens."""
    yield _frame("memories", {"memory_ids": [memory.id for memory in asked.memories]})
    pieces = services.engine.chat(asked.version, asked.messages, asked.options)
    said: list[str] = []
    try:
        while (piece := await run_in_threadpool(_next, pieces)) is not None:
            said.append(piece)
            yield _frame("token", {"text": piece})
        yield _frame("done", _out(asked, elder, "".join(said).strip()).model_dump())
    except HeirloomError as error:
        yield _frame("error", {"code": error.code, "message": error.message(language)})
    finally:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(_close, pieces)


def _next(pieces: Iterator[str]) -> str | None:
    return next(pieces, None)


def _close(pieces: Iterator[str]) -> None:
    close = getattr(pieces, "close", None)
    if close:
        close()


def _frame(kind: str, data: dict[str, object]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
