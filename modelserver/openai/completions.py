"""Chat completions: /chat in OpenAI's shape, plain or streaming.

The elder's own system prompt stands, as the model was trained with no other: a client's system and developer messages
are taken and not read. What would change the answer and is not served here is refused; what would not is let through.
"""

import json
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import ValidationError

from kernel.errors import BadInput, HeirloomError, Unsupported
from kernel.ids import TenantId
from kernel.stop import StopSequences
from modelserver.answering import BY_AI, Answering, Asked, prepare, spoken, whole
from modelserver.auth import Family, Provided
from modelserver.event_stream import EventStream, one_line
from modelserver.interruption import while_listened
from modelserver.openai.models import find_model
from modelserver.openai.problem import openai_error
from modelserver.openai.schemas import AnswerMessage, Choice, Completion, CompletionMessage, NewCompletion
from modelserver.problems import language_of
from modelserver.schemas.chat import ChatIn, Turn
from modelserver.services import Services

router = APIRouter(prefix="/v1/chat/completions", tags=["openai"])

MOST_TURNS, MOST_TOKENS = 100, 2048  #: what ChatIn takes; of a longer conversation the end

#: Parameters that would change the answer, and the values that ask for no change.
_REFUSED: dict[str, tuple[object, ...]] = {
    "n": (1,),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "response_format": ({"type": "text"},),
    "modalities": (["text"],),
    "audio": (),
    "presence_penalty": (0,),
    "frequency_penalty": (0,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "prediction": (),
    "web_search_options": (),
}


@router.post("", response_model=Completion)
async def create_completion(
    request: Request, response: Response, wanted: NewCompletion, services: Provided, tenant: Family
) -> Completion | Response:
    """`model`: from GET /v1/models. Ours: `"retrieval": false` answers without looking up memories; the answer, and the
    first chunk of a stream, carry `memory_ids`, `memories` and `generated_by_ai`. At most 2048 tokens an answer."""
    answering = Answering(await while_listened(request, _ready(services, tenant, wanted)))
    response.headers.update(BY_AI)
    pieces = _pieces(services, tenant, answering, _stop(wanted))
    if wanted.stream:
        is_counted = bool(wanted.stream_options and wanted.stream_options.include_usage)
        frames = _frames(services, pieces, answering, language_of(request), is_counted=is_counted)
        return EventStream(frames, headers=BY_AI)
    return _completion(services, answering, await while_listened(request, whole(pieces)))


async def _ready(services: Services, tenant: TenantId, wanted: NewCompletion) -> Asked:
    async with services.turnstile.passed(tenant):
        return await run_in_threadpool(_asked, services, tenant, wanted)


def _asked(services: Services, tenant: TenantId, wanted: NewCompletion) -> Asked:
    for name, neutral in _REFUSED.items():
        if (value := (wanted.model_extra or {}).get(name)) is not None and value not in neutral:
            raise Unsupported(param=name)
    version = find_model(services, tenant, wanted.model)
    return prepare(services, tenant, _said(version.elder, wanted), version=version)


def _said(elder: str, wanted: NewCompletion) -> ChatIn:
    turns = [one for one in wanted.messages if one.role in ("user", "assistant")]
    if not turns or turns[-1].role != "user":
        raise BadInput(reason="The last message must be the user's.", param="messages")
    most = wanted.max_completion_tokens or wanted.max_tokens
    try:
        return ChatIn(
            elder_id=elder,
            message=_text(turns[-1]),
            conversation_history=[Turn(role=one.role, content=_text(one)) for one in turns[-1 - MOST_TURNS : -1]],
            retrieval=wanted.retrieval,
            strict=wanted.strict,
            temperature=wanted.temperature or 0.0,
            top_p=wanted.top_p,
            stop=_stop(wanted),
            **({"max_tokens": min(most, MOST_TOKENS)} if most else {}),
        )
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from None


def _stop(wanted: NewCompletion) -> list[str]:
    given = [wanted.stop] if isinstance(wanted.stop, str) else wanted.stop or []
    return [one for one in given if one]


def _text(message: CompletionMessage) -> str:
    if isinstance(message.content, str):
        return message.content
    parts = [part.get("text") if part.get("type") == "text" else None for part in message.content]
    texts = [part for part in parts if isinstance(part, str)]
    if len(texts) < len(parts):
        raise BadInput(reason="Only text can be read here, no pictures, sounds or files.", param="messages")
    return "\n".join(texts)


def _completion(services: Services, answering: Answering, text: str) -> Completion:
    return Completion(
        **_head(services, answering),
        **_memories(answering),
        choices=[Choice(message=AnswerMessage(content=text), finish_reason=_finish_reason(answering))],
        usage=_usage(answering),
    )


async def _pieces(
    services: Services, tenant: TenantId, answering: Answering, stop: Sequence[str]
) -> AsyncGenerator[str]:
    """The engine ends what it generates before `stop`; how an answer begins, and a refusal, are not its own."""
    stops = StopSequences(stop)
    async with aclosing(spoken(services, tenant, answering)) as pieces:
        async for piece in pieces:
            if said := stops.feed(piece):
                yield said
            if stops.is_met:
                return
    if rest := stops.rest():
        yield rest


async def _frames(
    services: Services, said: AsyncGenerator[str], answering: Answering, language: str, *, is_counted: bool
) -> AsyncGenerator[str]:
    """What fails before the first piece is no stream yet, and gets a status of its own."""
    async with aclosing(said) as pieces:
        piece = await anext(pieces, None)
        head = _head(services, answering) | {"object": "chat.completion.chunk"}
        if is_counted:
            head |= {"usage": None}
        yield _chunk(head | _memories(answering), {"role": "assistant", "content": ""})
        try:
            while piece is not None:
                yield _chunk(head, {"content": piece})
                piece = await anext(pieces, None)
        except HeirloomError as error:
            yield _frame(openai_error(error, language))
            return
    yield _chunk(head, {}, _finish_reason(answering))
    if is_counted:
        yield _frame(head | {"choices": [], "usage": _usage(answering)})
    yield "data: [DONE]\n\n"


def _head(services: Services, answering: Answering) -> dict[str, Any]:
    created = int(services.clock().timestamp())
    return {"id": "chatcmpl-" + secrets.token_hex(12), "created": created, "model": answering.asked.version.tag}


def _memories(answering: Answering) -> dict[str, Any]:
    memories = answering.asked.memories
    return {
        "generated_by_ai": True,
        "memory_ids": [memory.id for memory in memories],
        "memories": [{"id": memory.id, "text": memory.text} for memory in memories],
    }


def _finish_reason(answering: Answering) -> Literal["stop", "length"]:
    return "length" if answering.ending and answering.ending.is_cut else "stop"


def _usage(answering: Answering) -> dict[str, int] | None:
    """As the engine's own tokenizer counted; None of an engine that does not say."""
    if (ending := answering.ending) is None:
        return None
    return {
        "prompt_tokens": ending.tokens_read,
        "completion_tokens": ending.tokens_written,
        "total_tokens": ending.tokens_read + ending.tokens_written,
    }


def _chunk(head: dict[str, Any], delta: dict[str, str], finish_reason: str | None = None) -> str:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return _frame(head | {"choices": [choice]})


def _frame(data: dict[str, Any]) -> str:
    return f"data: {one_line(json.dumps(data, ensure_ascii=False))}\n\n"
