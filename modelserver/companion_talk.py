"""A conversation with the companion: what was asked, the answer under way, and its voice.

One answer at a time: a new utterance stops the one before, at once. Everything that belongs to an answer runs in one
cancel scope, so that stopping it stops the generation, the voice and the recognition together.
"""

import math
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import anyio
import structlog
from anyio.abc import TaskGroup
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from fastapi import WebSocketDisconnect
from fastapi.concurrency import run_in_threadpool

from adapters.resample import as_heard
from kernel.companion import Asked, Given, Place
from kernel.elder import Elder
from kernel.emotion import EmotionParser, Felt
from kernel.errors import BadAudio, ContextTooLong, EngineUnavailable, HeirloomError, SpeechUnavailable
from kernel.follow_up import find_in_talk
from kernel.ids import TenantId
from kernel.memory import Memory
from kernel.ports import Companion
from kernel.retrieval import Found
from kernel.sample import Message
from kernel.speech import HEARD_RATE, Breaths, Sound, read_wav
from modelserver.companion_frames import Hello, Wire
from modelserver.companion_parts import CompanionParts
from modelserver.services import Services

log = structlog.get_logger(__name__)

_PIECE = 64_000  #: bytes of a recording, given to the recogniser at once


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
        wire: Wire,
        group: TaskGroup,
    ) -> None:
        self._services, self._parts, self._wire, self._group = services, parts, wire, group
        self._tenant, self._elder, self._id = tenant, elder, id
        self.language = hello.language or elder.language
        self.profile = hello.profile or parts.settings.default_profile
        self.has_voice = hello.voice
        self._history: list[Message] = []
        self._answer: _Answer | None = None
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
            self._remember(answer)
            await self._done(answer, stopped=True)

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
            if isinstance(error, ContextTooLong):
                self._history.clear()
            await self._fail(answer, error)
        except WebSocketDisconnect:
            raise
        except Exception as error:
            log.error("companion.broke", error=type(error).__name__, elder=self._elder.id)
            await self._fail(answer, HeirloomError())
        else:
            if self._is_over(answer):
                self._remember(answer)
                await self._done(answer, stopped=False)

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
        found = await self._recall(answer.question, companion)
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

    async def _recall(self, question: str, companion: Companion) -> Found:
        """A large model weighs what is near for itself; for a small one it is read before it is shown."""
        most = self._parts.settings.max_memory_fragments

        def find() -> Found:
            retriever = self._services.retrievers.of(self._tenant, self._elder.id)
            search = retriever.find_read if companion.name == "own" else retriever.find_unread
            found = find_in_talk(question, self._history, lambda asked: search(asked, most))
            self._services.searched(self._tenant, self._elder)
            return found

        async with self._services.turnstile.passed(self._tenant):
            return await run_in_threadpool(find)

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
            history=tuple(self._history),
            profile=self.profile,
        )
        async with _closing(companion.answer(asked)) as pieces:
            async for piece in pieces:
                match piece:
                    case Place():
                        await self._wire.send("queue", answer=answer.number, place=piece.place)
                    case Given():
                        await self._name(answer, piece.memories)
                    case str():
                        answer.said += piece
                        for felt in parser.feed(piece):
                            await self._tell(answer, felt, cutter, breaths)
        for felt in parser.end():
            await self._tell(answer, felt, cutter, breaths)
        for breath in cutter.end():
            await breaths.send(breath)

    async def _name(self, answer: _Answer, memories: Sequence[Memory]) -> None:
        answer.memories = tuple(memories)
        await self._wire.send(
            "memories",
            answer=answer.number,
            memory_ids=[memory.id for memory in answer.memories],
            memories=[{"id": memory.id, "text": memory.text} for memory in answer.memories],
        )

    async def _tell(self, answer: _Answer, felt: Felt, cutter: Breaths, breaths: MemoryObjectSendStream[Felt]) -> None:
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

    def _remember(self, answer: _Answer) -> None:
        """As it was said, tags and all: the model sees that it keeps to them, and what was computed stays right."""
        if answer.said:
            self._history += [
                Message(role="user", content=answer.question),
                Message(role="assistant", content=answer.said),
            ]
            del self._history[: -2 * self._parts.settings.max_history_rounds]

    async def _done(self, answer: _Answer, *, stopped: bool) -> None:
        companion = self._parts.companion
        await self._wire.send(
            "done",
            answer=answer.number,
            stopped=stopped,
            text=answer.told.strip(),
            emotion=answer.emotion,
            memory_ids=[memory.id for memory in answer.memories],
            first_text_ms=answer.first_text_ms,
            generated_by="ai",
            engine=companion.name if companion else "",
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
