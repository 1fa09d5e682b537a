"""Speech that comes as Python packages: eSpeak NG speaks Chinese and English, PocketSphinx hears English.

Each utterance is a process of its own: stopping it is killing it, and nothing that C does can take the API along.
"""

import asyncio
import contextlib
import importlib.util
import json
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from adapters.program import ROOT
from kernel.companion import Emotion
from kernel.errors import SpeechUnavailable
from kernel.speech import Sound

_VOICES = {"zh": "cmn", "en": "en-us"}
_WORDS_A_MINUTE, _PITCH = 150, 40  #: of the calm voice; pitch of 0-100
_AT_ONCE = 2  #: utterances that are heard, and that are spoken; the others wait
_PIECE = 8192  #: bytes


class EspeakService:
    """Implements kernel.ports.Speaker. A feeling is a pitch and a rate."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(_AT_ONCE)

    @property
    def languages(self) -> frozenset[str]:
        return frozenset(_VOICES) if importlib.util.find_spec("espeakng_loader") else frozenset()

    async def synthesize_stream(self, text: str, *, emotion: Emotion, language: str) -> AsyncIterator[Sound]:
        asked = {
            "text": text,
            "voice": _VOICES.get(language, _VOICES["en"]),
            "words_a_minute": round(_WORDS_A_MINUTE * emotion.rate),
            "pitch": max(0, min(100, round(_PITCH * emotion.pitch))),
        }
        _need("espeakng_loader", "The voice")
        async with self._room, _started("adapters.espeak_program") as process:
            assert process.stdin and process.stdout  # noqa: S101 - they were asked for
            process.stdin.write(json.dumps(asked).encode())
            process.stdin.close()
            head = await process.stdout.read(4)
            rate, held = int.from_bytes(head, "little"), b""
            while piece := await process.stdout.read(_PIECE):
                held += piece
                whole = len(held) // 2 * 2
                yield Sound(samples=held[:whole], rate=rate)
                held = held[whole:]
            if await process.wait() != 0:
                raise SpeechUnavailable(what="The voice", reason="eSpeak NG could not speak this")


class PocketsphinxService:
    """Implements kernel.ports.Listener: English."""

    def __init__(self) -> None:
        self._room = asyncio.Semaphore(_AT_ONCE)

    @property
    def languages(self) -> frozenset[str]:
        return frozenset({"en"}) if importlib.util.find_spec("pocketsphinx") else frozenset()

    async def transcribe_stream(self, samples: AsyncIterator[bytes], *, language: str) -> str:
        _need("pocketsphinx", "The recogniser")
        async with self._room, _started("adapters.pocketsphinx_program") as process:
            assert process.stdin and process.stdout  # noqa: S101 - they were asked for
            try:
                async for piece in samples:
                    process.stdin.write(piece)
                    await process.stdin.drain()
                process.stdin.close()
                heard: dict[str, str] = json.loads(await process.stdout.read())
            except (ConnectionError, ValueError) as error:
                reason = "PocketSphinx could not read this"
                raise SpeechUnavailable(what="The recogniser", reason=reason) from error
            return heard["text"]


def _need(module: str, part: str) -> None:
    if importlib.util.find_spec(module) is None:
        reason = "its package is missing; in the project folder: .venv/bin/pip install -c constraints.txt -e '.[voice]'"
        raise SpeechUnavailable(what=part, reason=reason)


@asynccontextmanager
async def _started(module: str) -> AsyncIterator[Process]:
    """Killed when it is left before it is done."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", module, stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env={**os.environ, "PYTHONPATH": path}
    )
    try:
        yield process
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        raise
    finally:
        with anyio.CancelScope(shield=True):
            await process.wait()
