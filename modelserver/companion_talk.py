"""A conversation with the companion: what was asked, the answer under way, and its voice.

One answer at a time: a new utterance stops the one before, at once. Everything that belongs to an answer runs in one
cancel scope, so that stopping it stops the generation, the voice and the recognition together.

What is kept is kept as chat keeps it (modelserver/thread.py). The next question is asked with what is still kept then:
of what the family deletes meanwhile the model does not hear again.
"""

import math
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import anyio
import structlog
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from fastapi import WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool

from adapters.resample import as_heard
from kernel.companion import Asked, Given, Place
from kernel.conversation import Turn
from kernel.elder import Elder
from kernel.emotion import EmotionParser, Felt
from kernel.errors import (
    BadAudio,
    ContextTooLong,
    ConversationFull,
    ConversationNotFound,
    EngineUnavailable,
    HeirloomError,
    SpeechUnavailable,
)
from kernel.follow_up import find_in_talk
from kernel.ids import TenantId, TurnId
from kernel.memory import Memory
from kernel.ports import Companion
from kernel.retrieval import Found
from kernel.sample import Message
from kernel.speech import HEARD_RATE, Breaths, Sound, read_wav
from modelserver.companion_frames import Hello, Wire
from modelserver.companion_parts import CompanionParts
from modelserver.services import Services
from modelserver.thread import Thread, keep, new_turn_id, open_thread

log = structlog.get_logger(__name__)

_PIECE = 64_000  #: bytes of a recording, given to the recogniser at once


@dataclass(frozen=True, kw_only=True, slots=True)
class _Round:
    """As it was said, tags and all: the model sees that it keeps to them, and what was computed stays right."""

    turn: TurnId
    question: str
    said: str


@dataclass
class _Answer:
    """One answer under way. `said` is all of it so far, tags and all; `told` what the family reads."""

    number: int
    scope: anyio.CancelScope
    began: float
    question: str = ""
    said: str = ""
    told: str = ""
    emotion: str = ""
    first_text_ms: int = 0
    memories: tuple[Memory, ...] = ()  #: that it was given
    model: str = ""
    is_refused: bool = False
    thread: Thread | None = None  #: that keeps it
    history: tuple[Message, ...] = ()


class Talk:
    """`group` runs the answers; it is cancelled with the connection."""

    def __init__(
        self,
        services: Services,
        parts: CompanionParts,
        *,
        tenant: TenantId,
        elder: Elder,
        id: str,
        hello: Hello,
        thread: Thread | None,
        wire: Wire,
        group: TaskGroup,
    ) -> None:
        self._services, self._parts, self._wire, self._group = services, parts, wire, group
        self._tenant, self._elder, self._id = tenant, elder, id
        self.language = hello.language or elder.language
        self.profile = hello.profile or parts.settings.default_profile
        self.has_voice = hello.voice
        self._member = thread.member if thread else ""
        self.conversation = thread.id if thread and thread.before else ""
        self._rounds: list[_Round] = []
        self._answer: _Answer | None = None
        self._ending = anyio.Lock()  # held until an answer is kept: the next question is asked after it
        self._count = 0
        self._sound: MemoryObjectSendStream[bytes] | None = None  # of an utterance that is being spoken
        self._sound_bytes = 0
        self._is_deaf = False

    # ---- what a client does ---------------------------------------------------------------------------

    async def say(self, text: str) -> None:
        await self.stop()
        self._group.start_soon(self._run, self._next(), text)

    async def begin_sound(self) -> None:
        await self.stop()
        self._sound, heard = anyio.create_memory_object_stream[bytes](math.inf)  # its bytes are counted
        self._sound_bytes = 0
        self._group.start_soon(self._run, self._next(), heard)

    async def hear(self, samples: bytes) -> None:
        """A piece of the utterance, or all of it as a WAV file. Raises BadAudio, and ignores what is left of it."""
        if self._is_deaf:
            return
        if self._sound is None:
            await self._hear_recording(samples)
            return
        self._sound_bytes += len(samples)
        reason = "half a sample is missing" if len(samples) % 2 else ""
        if self._sound_bytes > self._most_bytes:
            reason = "it is too long"
        if reason:
            await self.stop()
            self._is_deaf = True
            raise BadAudio(reason=reason)
        try:
            await self._sound.send(samples)
        except anyio.BrokenResourceError:  # its answer has failed, and said so
            self.end_sound()
            self._is_deaf = True

    def end_sound(self) -> None:
        self._is_deaf = False
        if self._sound is not None:
            self._sound.close()
            self._sound = None

    async def stop(self) -> None:
        """At once: no frame of the old answer follows its `done`."""
        self.end_sound()
        answer, self._answer = self._answer, None
        if answer is not None:
            answer.scope.cancel()
        async with self._ending:
            if answer is not None:
                await self._end(answer, stopped=True)

    # ---- an answer ------------------------------------------------------------------------------------

    async def _run(self, answer: _Answer, question: str | MemoryObjectReceiveStream[bytes]) -> None:
        try:
            with answer.scope:
                await self._answered(answer, question)
        except WebSocketDisconnect:
            return  # the reader of the connection sees it, too
        finally:
            if not isinstance(question, str):
                question.close()

    async def _answered(self, answer: _Answer, question: str | MemoryObjectReceiveStream[bytes]) -> None:
        try:
            answer.question = question if isinstance(question, str) else await self._heard(answer, question)
            await self._think(answer)
        except HeirloomError as error:
            if self._answer is answer:  # who was not told goes on, and is told then
                if isinstance(error, ContextTooLong | ConversationNotFound | ConversationFull):
                    self._rounds.clear()
                if isinstance(error, ConversationNotFound | ConversationFull):
                    self.conversation = ""  # the next question begins another
            await self._fail(answer, error)
        except WebSocketDisconnect:
            raise
        except Exception as error:
            log.error("companion.broke", error=type(error).__name__, elder=self._elder.id)
            await self._fail(answer, HeirloomError())
        else:
            if self._is_over(answer):
                async with self._ending:
                    await self._end(answer, stopped=False)

    async def _fail(self, answer: _Answer, error: HeirloomError) -> None:
        if self._is_over(answer):
            await self._wire.complain(error, answer=answer.number)

    def _is_over(self, answer: _Answer) -> bool:
        """By itself: one that was stopped has had its last frame already."""
        is_last = self._answer is answer
        if is_last:
            self._answer = None
        return is_last

    async def _think(self, answer: _Answer) -> None:
        """Writing and speaking go on side by side; what goes wrong in writing ends both."""
        companion = self._parts.companion
        if companion is None:
            raise EngineUnavailable(engine="companion", reason="it is switched off; set HEIRLOOM_COMPANION")
        answer.began = time.monotonic()
        found = await self._recall(answer, companion)
        failure: Exception | None = None
        breaths, spoken = anyio.create_memory_object_stream[Felt](math.inf)
        with spoken:
            async with anyio.create_task_group() as group:
                group.start_soon(self._speak, answer, spoken)
                try:
                    with breaths:
                        await self._write(answer, found, companion, breaths)
                except Exception as error:  # a task group would wrap it
                    failure = error
                    group.cancel_scope.cancel()
        if failure is not None:
            raise failure

    async def _recall(self, answer: _Answer, companion: Companion) -> Found:
        """A large model weighs what is near for itself; for a small one it is read before it is shown."""
        most = self._parts.settings.max_memory_fragments

        def find() -> Found:
            self._open(answer)
            retriever = self._services.retrievers.of(self._tenant, self._elder.id)
            search = retriever.find_read if companion.name == "own" else retriever.find_unread
            with self._services.searching(self._tenant, self._elder):
                return find_in_talk(answer.question, answer.history, lambda asked: search(asked, most))

        async with self._services.turnstile.passed(self._tenant):
            return await run_in_threadpool(find)

    def _open(self, answer: _Answer) -> None:
        """The conversation as it is kept now. Raises what open_thread does."""
        rounds = self._rounds
        answer.thread = open_thread(
            self._services,
            self._tenant,
            self._elder.id,
            conversation_id=self.conversation,
            member=self._member,
        )
        if answer.thread and answer.thread.before:
            here = {one.turn: one for one in rounds}
            rounds = [
                here.get(turn.id) or _Round(turn=turn.id, question=turn.question, said=turn.answer)
                for turn in answer.thread.before.turns
            ]
        answer.history = tuple(
            message
            for one in rounds[-self._parts.settings.max_history_rounds :]
            for message in (Message(role="user", content=one.question), Message(role="assistant", content=one.said))
        )

    async def _write(
        self, answer: _Answer, found: Found, companion: Companion, breaths: MemoryObjectSendStream[Felt]
    ) -> None:
        settings = self._parts.settings
        default = settings.emotions[settings.default_emotion].name(self.language)
        parser, cutter = EmotionParser(settings.allowed_emotions, default), Breaths()
        asked = Asked(
            tenant=self._tenant,
            elder=self._elder.id,
            name=self._elder.name,
            language=self.language,
            conversation=self._id,
            user_input=answer.question,
            found=found,
            history=answer.history,
            profile=self.profile,
        )
        async with _closing(companion.answer(asked)) as pieces:
            async for piece in pieces:
                match piece:
                    case Place():
                        await self._wire.send("queue", answer=answer.number, place=piece.place)
                    case Given():
                        await self._name(answer, piece)
                    case str():
                        answer.said += piece
                        for felt in parser.feed(piece):
                            await self._tell(answer, felt, cutter, breaths)
        for felt in parser.end():
            await self._tell(answer, felt, cutter, breaths)
        for breath in cutter.end():
            await breaths.send(breath)

    async def _name(self, answer: _Answer, given: Given) -> None:
        answer.memories, answer.model, answer.is_refused = tuple(given.memories), given.model, given.is_refused
        await self._wire.send(
            "memories",
            answer=answer.number,
            memory_ids=[memory.id for memory in answer.memories],
            memories=[{"id": memory.id, "text": memory.text} for memory in answer.memories],
        )

    async def _tell(self, answer: _Answer, felt: Felt, cutter: Breaths, breaths: MemoryObjectSendStream[Felt]) -> None:
        if self._answer is not answer:
            return  # it was stopped, and what it said is being kept
        if felt.emotion != answer.emotion:
            answer.emotion = felt.emotion
            await self._wire.send("emotion", answer=answer.number, emotion=felt.emotion)
        answer.first_text_ms = answer.first_text_ms or _milliseconds_since(answer.began)
        answer.told += felt.text
        await self._wire.send("text", answer=answer.number, text=felt.text)
        for breath in cutter.feed(felt):
            await breaths.send(breath)

    async def _speak(self, answer: _Answer, breaths: MemoryObjectReceiveStream[Felt]) -> None:
        """While the voice is on. One that fails is said once, and the answer goes on in writing."""
        try:
            async for breath in breaths:
                if self.has_voice:
                    await self._speak_one(answer, breath)
        except SpeechUnavailable as error:
            await self._wire.complain(error, answer=answer.number)
        except WebSocketDisconnect:
            return  # the writing sees it, too

    async def _speak_one(self, answer: _Answer, breath: Felt) -> None:
        if self.language not in self._parts.speaker.languages:
            raise SpeechUnavailable(what="The voice", reason="it does not speak this language")
        emotion = self._parts.settings.emotion(breath.emotion)
        sounds = self._parts.speaker.synthesize_stream(breath.text, emotion=emotion, language=self.language)
        is_begun = False
        async with _closing(sounds) as pieces:
            async for sound in pieces:
                if not is_begun:
                    is_begun = True
                    facts = {"emotion": breath.emotion, "format": "pcm16", "sample_rate": sound.rate}
                    await self._wire.send("audio_begin", answer=answer.number, **facts)
                await self._wire.send_sound(sound.samples)
        if is_begun:
            await self._wire.send("audio_end", answer=answer.number)

    # ---- hearing --------------------------------------------------------------------------------------

    async def _hear_recording(self, file: bytes) -> None:
        sound: Sound = await run_in_threadpool(read_wav, file)
        if sound.seconds > self._parts.settings.max_utterance_seconds:
            raise BadAudio(reason="it is too long")
        samples = await run_in_threadpool(as_heard, sound)
        await self.begin_sound()
        for at in range(0, len(samples), _PIECE):
            await self.hear(samples[at : at + _PIECE])
        self.end_sound()

    async def _heard(self, answer: _Answer, samples: AsyncIterator[bytes]) -> str:
        listener = self._parts.listener
        if self.language not in listener.languages:
            raise SpeechUnavailable(
                what="The recogniser", reason="it does not know this language; set HEIRLOOM_FUNASR_URL"
            )
        text = await listener.transcribe_stream(samples, language=self.language)
        if not text:
            raise BadAudio(reason="no word was heard in it")
        await self._wire.send("heard", answer=answer.number, text=text)
        return text

    # ---- beginnings and ends --------------------------------------------------------------------------

    def _next(self) -> _Answer:
        self._count += 1
        self._answer = _Answer(number=self._count, scope=anyio.CancelScope(), began=time.monotonic())
        return self._answer

    async def _end(self, answer: _Answer, *, stopped: bool) -> None:
        """Kept where somebody keeps it, remembered, and its last frame is sent."""
        turn = Turn(
            id=new_turn_id(),
            question=answer.question,
            answer=answer.told.strip(),
            memory_ids=tuple(memory.id for memory in answer.memories),
            model=answer.model,
            is_refused=answer.is_refused,
            asked_at=self._services.clock(),
        )
        thread, kept = answer.thread, ""
        if thread and turn.answer and await run_in_threadpool(keep, self._services, thread, turn):
            kept = self.conversation = thread.id
        if kept or (answer.said and not thread):
            self._rounds.append(_Round(turn=turn.id, question=turn.question, said=answer.said))
            del self._rounds[: -self._parts.settings.max_history_rounds]
        await self._done(answer, turn, kept=kept, stopped=stopped)

    async def _done(self, answer: _Answer, turn: Turn, *, kept: str, stopped: bool) -> None:
        companion = self._parts.companion
        await self._wire.send(
            "done",
            answer=answer.number,
            stopped=stopped,
            text=turn.answer,
            emotion=answer.emotion,
            memory_ids=list(turn.memory_ids),
            first_text_ms=answer.first_text_ms,
            generated_by="ai",
            engine=companion.name if companion else "",
            conversation_id=kept or None,
            turn_id=turn.id if kept else None,
        )

    @property
    def _most_bytes(self) -> int:
        return int(self._parts.settings.max_utterance_seconds * HEARD_RATE * 2)


class _closing:
    """An async generator that is closed in any case, as contextlib.aclosing; a plain iterator is left alone."""

    def __init__(self, pieces: AsyncIterator) -> None:  # type: ignore[type-arg]
        self._pieces = pieces

    async def __aenter__(self):  # type: ignore[no-untyped-def]
        return self._pieces

    async def __aexit__(self, *_: object) -> None:
        close = getattr(self._pieces, "aclose", None)
        if close:
            with anyio.CancelScope(shield=True):
                await close()


def _milliseconds_since(began: float) -> int:
    return round(1000 * (time.monotonic() - began))
