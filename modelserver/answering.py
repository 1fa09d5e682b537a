"""Answering: a question made ready for an elder's model, and its answer under way, whatever shape the route gives it.

Every route that chats prepares, begins and closes in the same way; only the frames differ.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import anyio
from fastapi.concurrency import run_in_threadpool

from kernel.errors import ContextTooLong, EngineUnavailable
from kernel.follow_up import find_in_talk, leans
from kernel.ids import ElderId, TenantId, elder_id
from kernel.memory import Memory, beginning
from kernel.ports import ChatOptions, Ending
from kernel.prompt import Prompts, chat_prompt
from kernel.recollection import SAID, settled
from kernel.retrieval import Found
from kernel.sample import Message
from kernel.version import ModelVersion
from modelserver.interruption import interruptibly
from modelserver.schemas import ChatIn
from modelserver.services import Services

BY_AI = {"X-Generated-By": "AI"}  #: a header of every answer, streamed or not


@dataclass(frozen=True, kw_only=True, slots=True)
class Doubt:
    """Retrieval is not sure; the version recalls first."""

    found: Found
    memories: Sequence[Memory]  #: all that the elder told


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
    opening: str = ""  #: how the answer begins, where one memory is surely meant and the version is begun for
    refusal: str = ""  #: what is answered instead of anything generated, where nothing is remembered
    doubt: Doubt | None = None  #: what is to be settled before anything is shown

    @property
    def messages(self) -> tuple[Message, ...]:
        return chat_prompt(
            self.words,
            system=self.version.system_prompt,
            question=self.question,
            memories=self.memories,
            history=self.history,
            opening=self.opening,
        )

    def shorter(self) -> "Asked | None":
        """Without the older half of what was said before; then without the last memory; then nothing is left."""
        if self.history:
            return replace(self, history=self.history[len(self.history) // 2 + len(self.history) % 2 :])
        return replace(self, memories=self.memories[:-1], opening="") if self.memories else None


@dataclass(slots=True)
class Answering:
    """An answer under way: `asked` as it fitted into the model, and the pieces that are still to come."""

    asked: Asked
    piece: str | None = None  #: the next; None at the end
    pieces: Iterator[str] = field(default_factory=lambda: iter(()))
    ending: Ending | None = None  #: known after the last piece, where the engine says it
    is_left: bool = False  #: nobody waits for it any more


def prepare(services: Services, tenant: TenantId, said: ChatIn) -> Asked:
    elder = services.elders.get(tenant, elder_id(said.elder_id))
    version = services.versions.active(tenant, elder.id)
    base = services.config.get_base_model(version.base)
    shown = services.config.get_recipe(base, threads=1).retrieved_memories
    words = services.config.get_prompts()[version.language]
    history = [Message(role=turn.role, content=turn.content) for turn in said.conversation_history]
    retriever = services.retrievers.of(tenant, elder.id)
    found = None
    if said.retrieval or said.strict:
        found = find_in_talk(said.message, history, lambda asked: retriever.find_read(asked, shown))
    is_follow_up = bool(history) and leans(said.message)
    is_refused = said.strict and found is not None and not found.is_sure
    return Asked(
        elder=elder.id,
        version=version,
        words=words,
        question=said.message,
        memories=list(found.memories) if found and not is_refused else [],
        history=history,
        options=ChatOptions(temperature=said.temperature, max_tokens=said.max_tokens),
        opening=_opening(version, found),
        refusal=words.refusals[0] if is_refused else "",
        doubt=None if is_refused or is_follow_up else _doubt(version, found, retriever.memories),
    )


def _opening(version: ModelVersion, found: Found | None) -> str:
    return beginning(found.memories[0], version.begins_with) if found and found.is_sure else ""


def _doubt(version: ModelVersion, found: Found | None, memories: Sequence[Memory]) -> Doubt | None:
    """None, too, where something was found that the version was not trained on: it cannot recall that."""
    if found is None or found.is_sure or not version.recalls_first:
        return None
    is_known = {memory.id for memory in found.memories} <= set(version.memory_ids)
    return Doubt(found=found, memories=memories) if is_known else None


async def spoken(services: Services, tenant: TenantId, answering: Answering) -> AsyncGenerator[str]:
    """The pieces, each computed in a thread. However it ends, the engine's iterator is closed: nothing is generated
    for a reader who has gone. To be closed by the task that reads it, as the turnstile's place is that task's.
    """

    def stop() -> None:
        answering.is_left = True
        close(answering.pieces)

    try:
        async with services.turnstile.passed(tenant):
            await interruptibly(lambda: begin(services, answering), interrupt=stop)
            while answering.piece is not None:
                yield answering.piece
                await interruptibly(lambda: advance(answering), interrupt=stop)
    finally:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(stop)


async def whole(services: Services, tenant: TenantId, answering: Answering) -> str:
    """All of it, for a reader who waits for the end: see `while_listened`."""
    async with aclosing(spoken(services, tenant, answering)) as pieces:
        return "".join([piece async for piece in pieces]).strip()


def begin(services: Services, answering: Answering) -> None:
    """Up to the first piece: what does not fit into the model is asked again with less before it, and a version
    that was retired while the question waited gives way to the one in use."""
    if answering.asked.doubt:
        answering.asked = _recalled(services, answering, answering.asked.doubt)
    if answering.asked.refusal:
        answering.piece = answering.asked.refusal
        return
    while True:
        asked = answering.asked
        _generate(services, answering, asked)
        try:
            advance(answering)
            answering.piece = (asked.opening + (answering.piece or "")) or None
            return
        except ContextTooLong:
            shorter = asked.shorter()
            if shorter is None:
                raise
            answering.asked = shorter
        except EngineUnavailable:
            in_use = services.versions.active(asked.version.tenant, asked.elder)
            if in_use.number == asked.version.number:
                raise
            answering.asked = replace(asked, version=in_use)


def _recalled(services: Services, answering: Answering, doubt: Doubt) -> Asked:
    """The model is asked alone, and what it begins to say decides what is shown. See kernel.recollection."""
    asked = replace(answering.asked, doubt=None)
    alone = replace(asked, memories=[], history=[], options=ChatOptions(temperature=0.0, max_tokens=SAID))
    try:
        _generate(services, answering, alone)
        after_all = settled(doubt.found, "".join(answering.pieces), doubt.memories)
    except (ContextTooLong, EngineUnavailable):
        return asked  # to be answered, or refused, in the usual way
    if after_all is None:
        return replace(asked, memories=[], refusal=asked.words.refusals[0])
    return replace(asked, memories=list(after_all.memories), opening=_opening(asked.version, after_all))


def _generate(services: Services, answering: Answering, asked: Asked) -> None:
    """A reader leaves once, perhaps between two generations: the second is then closed before it begins."""
    answering.pieces = services.engine.chat(asked.version, asked.messages, asked.options)
    if answering.is_left:
        close(answering.pieces)


def advance(answering: Answering) -> None:
    try:
        answering.piece = next(answering.pieces)
    except StopIteration as end:
        answering.piece, answering.ending = None, end.value


def close(pieces: Iterator[str]) -> None:
    close = getattr(pieces, "close", None)
    if close:
        close()
