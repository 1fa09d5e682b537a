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
from kernel.ids import TenantId, elder_id
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
class Question:
    """What is asked, whichever version is to answer it."""

    text: str
    history: Sequence[Message]
    found: Found | None  #: None: nothing was looked up
    told: Sequence[Memory]  #: all that the elder told
    options: ChatOptions
    is_strict: bool = False  #: where nothing is surely meant, nothing is generated


@dataclass(frozen=True, kw_only=True, slots=True)
class Asked:
    """A question made ready for the version that answers."""

    question: Question
    version: ModelVersion
    words: Prompts
    memories: Sequence[Memory]
    history: Sequence[Message]
    opening: str = ""  #: how the answer begins, where one memory is surely meant and the version is begun for
    refusal: str = ""  #: what is answered instead of anything generated, where nothing is remembered
    doubt: Found | None = None  #: retrieval is not sure and the version recalls first: settled before anything is shown

    @property
    def messages(self) -> tuple[Message, ...]:
        return chat_prompt(
            self.words,
            system=self.version.system_prompt,
            question=self.question.text,
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


def prepare(services: Services, tenant: TenantId, said: ChatIn, *, version: ModelVersion | None = None) -> Asked:
    """`version`: that is to answer; None for the one in use."""
    elder = services.elders.get(tenant, elder_id(said.elder_id))
    version = version or services.versions.active(tenant, elder.id)
    history = [Message(role=turn.role, content=turn.content) for turn in said.conversation_history]
    retriever = services.retrievers.of(tenant, elder.id)
    found = None
    if said.retrieval or said.strict:
        shown = _shown(services, version)
        with services.searching(tenant, elder):
            found = find_in_talk(said.message, history, lambda asked: retriever.find_read(asked, shown))
    question = Question(
        text=said.message,
        history=history,
        found=found,
        told=retriever.memories,
        options=ChatOptions(
            temperature=said.temperature, max_tokens=said.max_tokens, top_p=said.top_p, stop=tuple(said.stop)
        ),
        is_strict=said.strict,
    )
    return asked_of(services, version, question)


def asked_of(services: Services, version: ModelVersion, question: Question) -> Asked:
    """How many memories it is shown, how its answer begins, and whether it recalls first: all as the version wants."""
    words, found = services.config.get_prompts()[version.language], question.found
    if found:
        found = replace(found, memories=found.memories[: _shown(services, version)])
    is_refused = question.is_strict and found is not None and not found.is_sure
    is_follow_up = bool(question.history) and leans(question.text)
    return Asked(
        question=question,
        version=version,
        words=words,
        memories=found.memories if found and not is_refused else (),
        history=question.history,
        opening=_opening(version, found),
        refusal=words.refusals[0] if is_refused else "",
        doubt=found if not is_refused and not is_follow_up and _is_doubted(version, found) else None,
    )


def _shown(services: Services, version: ModelVersion) -> int:
    return services.config.get_recipe(services.config.get_base_model(version.base), threads=1).retrieved_memories


def _opening(version: ModelVersion, found: Found | None) -> str:
    return beginning(found.memories[0], version.begins_with) if found and found.is_sure else ""


def _is_doubted(version: ModelVersion, found: Found | None) -> bool:
    """Not where something was found that the version was not trained on: it cannot recall that."""
    if found is None or found.is_sure or not version.recalls_first:
        return False
    return {memory.id for memory in found.memories} <= set(version.memory_ids)


async def spoken(
    services: Services, tenant: TenantId, answering: Answering, *, is_pinned: bool = False
) -> AsyncGenerator[str]:
    """The pieces, each computed in a thread. However it ends, the engine's iterator is closed: nothing is generated
    for a reader who has gone. To be closed by the task that reads it, as the turnstile's place is that task's.

    `is_pinned`: by this version, and no other in its place.
    """
    begins = begin_with if is_pinned else begin

    def stop() -> None:
        answering.is_left = True
        close(answering.pieces)

    try:
        async with services.turnstile.passed(tenant):
            await interruptibly(lambda: begins(services, answering), interrupt=stop)
            while answering.piece is not None:
                yield answering.piece
                await interruptibly(lambda: advance(answering), interrupt=stop)
    finally:
        with anyio.CancelScope(shield=True):
            await run_in_threadpool(stop)


async def whole(pieces: AsyncGenerator[str]) -> str:
    """All of what is spoken, for a reader who waits for the end: see `while_listened`."""
    async with aclosing(pieces):
        return "".join([piece async for piece in pieces]).strip()


def begin(services: Services, answering: Answering) -> None:
    """Up to the first piece. A version that was retired while the question waited gives way to the one in use."""
    try:
        begin_with(services, answering)
    except EngineUnavailable:
        asked = answering.asked
        in_use = services.versions.active(asked.version.tenant, asked.version.elder)
        if in_use.number == asked.version.number:
            raise
        answering.asked = asked_of(services, in_use, asked.question)
        begin(services, answering)


def begin_with(services: Services, answering: Answering) -> None:
    """As `begin`, by this version and no other. What does not fit into it is asked again with less before it."""
    if answering.asked.doubt:
        answering.asked = _recalled(services, answering, answering.asked.doubt)
    if answering.asked.refusal:
        answering.piece = answering.asked.refusal
        return
    while True:
        asked = answering.asked
        _generate(services, answering, asked, asked.question.options)
        try:
            advance(answering)
            answering.piece = (asked.opening + (answering.piece or "")) or None
            return
        except ContextTooLong:
            shorter = asked.shorter()
            if shorter is None:
                raise
            answering.asked = shorter


def _recalled(services: Services, answering: Answering, doubt: Found) -> Asked:
    """The model is asked alone, and what it begins to say decides what is shown. See kernel.recollection."""
    asked = replace(answering.asked, doubt=None)
    alone = replace(asked, memories=(), history=())
    try:
        _generate(services, answering, alone, ChatOptions(temperature=0.0, max_tokens=SAID))
        after_all = settled(doubt, "".join(answering.pieces), asked.question.told)
    except (ContextTooLong, EngineUnavailable):
        return asked  # to be answered, or refused, in the usual way
    if after_all is None:
        return replace(asked, memories=(), refusal=asked.words.refusals[0])
    return replace(asked, memories=after_all.memories, opening=_opening(asked.version, after_all))


def _generate(services: Services, answering: Answering, asked: Asked, options: ChatOptions) -> None:
    """A reader leaves once, perhaps between two generations: the second is then closed before it begins."""
    answering.pieces = services.engine.chat(asked.version, asked.messages, options)
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
