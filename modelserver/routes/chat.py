"""Chat: the family asks, the elder's model answers from what the elder said, and says which memories it was given."""

import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace

import anyio
from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from kernel.errors import ContextTooLong, HeirloomError
from kernel.ids import ElderId, TenantId, elder_id
from kernel.memory import Memory
from kernel.ports import ChatOptions
from kernel.prompt import Prompts, chat_prompt
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

    elder: ElderId
    version: ModelVersion
    words: Prompts
    question: str
    memories: list[Memory]
    history: list[Message]
    options: ChatOptions

    @property
    def messages(self) -> tuple[Message, ...]:
        return chat_prompt(
            self.words,
            system=self.version.system_prompt,
            question=self.question,
            memories=self.memories,
            history=self.history,
        )

    def shorter(self) -> "Asked | None":
        """Without the older half of what was said before; then without the last memory; then nothing is left."""
        if self.history:
            return replace(self, history=self.history[len(self.history) // 2 + len(self.history) % 2 :])
        return replace(self, memories=self.memories[:-1]) if self.memories else None


@dataclass(slots=True)
class Answering:
    """An answer under way: `asked` as it fitted into the model, and the pieces that are still to come."""

    asked: Asked
    piece: str | None = None  #: the next; None at the end
    pieces: Iterator[str] = field(default_factory=lambda: iter(()))


@router.post("/chat", response_model=ChatOut)
async def chat(request: Request, said: ChatIn, services: Provided, tenant: Family) -> ChatOut | StreamingResponse:
    """With `stream`, server-sent events: `memories`, then `token` after `token`, then `done` (or `error`)."""
    async with services.turnstile.passed(tenant):
        asked = await run_in_threadpool(_prepare, services, tenant, said)
        if not said.stream:
            return await run_in_threadpool(_answer, services, asked)
    stream = _stream(services, tenant, asked, language_of(request))
    return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})


def _prepare(services: Services, tenant: TenantId, said: ChatIn) -> Asked:
    elder = services.elders.get(tenant, elder_id(said.elder_id))
    version = services.versions.active(tenant, elder.id)
    base = services.config.get_base_model(version.base)
    shown = services.config.get_recipe(base, threads=1).retrieved_memories
    return Asked(
        elder=elder.id,
        version=version,
        words=services.config.get_prompts()[version.language],
        question=said.message,
        memories=services.retrievers.of(tenant, elder.id).find(said.message, shown) if said.retrieval else [],
        history=[Message(role=turn.role, content=turn.content) for turn in said.conversation_history],
        options=ChatOptions(temperature=said.temperature, max_tokens=said.max_tokens),
    )


def _begin(services: Services, answering: Answering) -> None:
    """Up to the first piece: what does not fit into the model is asked again with less before it."""
    while True:
        asked = answering.asked
        answering.pieces = services.engine.chat(asked.version, asked.messages, asked.options)
        try:
            answering.piece = next(answering.pieces, None)
            return
        except ContextTooLong:
            shorter = asked.shorter()
            if shorter is None:
                raise
            answering.asked = shorter


def _answer(services: Services, asked: Asked) -> ChatOut:
    answering = Answering(asked)
    _begin(services, answering)
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
            await run_in_threadpool(_begin, services, answering)
            while answering.piece is not None:
                said.append(answering.piece)
                yield _frame("token", {"text": answering.piece})
                answering.piece = await run_in_threadpool(next, answering.pieces, None)
            yield _frame("done", _out(answering.asked, "".join(said).strip()).model_dump())
    except HeirloomError as error:
        yield _frame("error", {"code": error.code, "message": error.message(language)})
    finally:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(_close, answering.pieces)


def _close(pieces: Iterator[str]) -> None:
    close = getattr(pieces, "close", None)
    if close:
        close()


def _frame(kind: str, data: dict[str, object]) -> str:
    return f"event: {kind}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
