"""Chat: the family asks, the elder's model answers from what the elder said, and says which memories it was given."""

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool

from kernel.conversation import Turn
from kernel.errors import HeirloomError
from kernel.evidence import evidence_of
from kernel.ids import TenantId
from modelserver.answering import BY_AI, Answering, Asked, prepare, spoken, whole
from modelserver.auth import Family, Provided
from modelserver.event_stream import EventStream, one_line
from modelserver.interruption import while_listened
from modelserver.problems import language_of
from modelserver.schemas.body import MemoryOut
from modelserver.schemas.chat import ChatIn, ChatOut, EvidenceOut
from modelserver.schemas.chat import Turn as Said
from modelserver.services import Services
from modelserver.thread import Thread, keep, new_turn_id, open_thread

router = APIRouter(tags=["chat"])


@dataclass(frozen=True, kw_only=True, slots=True)
class _Chat:
    """A question made ready, and the conversation that keeps it with its answer, if one does."""

    asked: Asked
    thread: Thread | None


@router.post("/chat", response_model=ChatOut)
async def chat(
    request: Request, response: Response, said: ChatIn, services: Provided, tenant: Family
) -> ChatOut | EventStream:
    """With `stream`, server-sent events: `memories`, then `token` after `token`, then `done` (or `error`).

    With `member` a new conversation is kept, with `conversation_id` one goes on; `done` names it.
    """
    response.headers.update(BY_AI)
    ready = await while_listened(request, _ready(services, tenant, said))
    if not said.stream:
        return await while_listened(request, _answer(services, tenant, ready))
    return EventStream(_stream(services, tenant, ready, language_of(request)), headers=BY_AI)


async def _ready(services: Services, tenant: TenantId, said: ChatIn) -> _Chat:
    async with services.turnstile.passed(tenant):
        return await run_in_threadpool(_opened, services, tenant, said)


def _opened(services: Services, tenant: TenantId, said: ChatIn) -> _Chat:
    thread = open_thread(services, tenant, said.elder_id, conversation_id=said.conversation_id, member=said.member)
    if thread and thread.before:
        history = [Said(role=one.role, content=one.content) for one in thread.before.history if one.role != "system"]
        said = said.model_copy(update={"conversation_history": history})
    return _Chat(asked=prepare(services, tenant, said), thread=thread)


async def _answer(services: Services, tenant: TenantId, ready: _Chat) -> ChatOut:
    answering = Answering(ready.asked)
    text = await whole(spoken(services, tenant, answering))
    return await run_in_threadpool(_said, services, ready.thread, answering.asked, text)


def _said(services: Services, thread: Thread | None, asked: Asked, text: str) -> ChatOut:
    """The whole answer, kept. One that cannot be kept is given all the same, and names no conversation."""
    kept: Turn | None = None
    if thread:
        turn = Turn(
            id=new_turn_id(),
            question=asked.question.text,
            answer=text,
            memory_ids=tuple(memory.id for memory in asked.memories),
            model=asked.version.tag,
            is_refused=bool(asked.refusal),
            asked_at=services.clock(),
        )
        kept = turn if keep(services, thread, turn) else None
    return ChatOut(
        elder_id=asked.version.elder,
        response=text,
        memory_ids=[memory.id for memory in asked.memories],
        memories=[MemoryOut(id=memory.id, text=memory.text) for memory in asked.memories],
        evidence=[
            EvidenceOut(memory_id=one.memory_id, words=list(one.words)) for one in evidence_of(text, asked.memories)
        ],
        refused=bool(asked.refusal),
        conversation_id=thread.id if thread and kept else None,
        turn_id=kept.id if kept else None,
        model=asked.version.tag,
    )


async def _stream(services: Services, tenant: TenantId, ready: _Chat, language: str) -> AsyncGenerator[str]:
    answering = Answering(ready.asked)
    said: list[str] = []
    try:
        async with aclosing(spoken(services, tenant, answering)) as pieces:
            async for piece in pieces:
                if not said:
                    yield _frame("memories", {"memory_ids": [memory.id for memory in answering.asked.memories]})
                said.append(piece)
                yield _frame("token", {"text": piece})
        text = "".join(said).strip()
        done = await run_in_threadpool(_said, services, ready.thread, answering.asked, text)
        yield _frame("done", done.model_dump())
    except HeirloomError as error:
        yield _frame("error", {"code": error.code, "message": error.message(language)})


def _frame(kind: str, data: dict[str, object]) -> str:
    return f"event: {kind}\ndata: {one_line(json.dumps(data, ensure_ascii=False))}\n\n"
