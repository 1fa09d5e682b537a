"""FunASR: speech to text by its runtime's WebSocket server, Chinese and English.

Protocol: FunASR, runtime/docs/websocket_protocol.md. What a reader would get wrong: `is_final` means the opposite in
its Python and in its C++ server, and a silent utterance gets no reply at all. So an answer is over when the server
says `is_end`, hangs up, or has been quiet for a while after the sound ended.
"""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from kernel.errors import SpeechUnavailable
from kernel.speech import HEARD_RATE

_PIECE = 1920  #: bytes; 60 ms, as its own client sends: its voice detection reads one piece at a time
_BEGIN = {
    "mode": "2pass",  # partial results while one speaks, each sentence read again when it is over
    "chunk_size": [5, 10, 5],
    "chunk_interval": 10,
    "wav_name": "utterance",
    "wav_format": "pcm",
    "audio_fs": HEARD_RATE,
    "is_speaking": True,
    "itn": True,
}


class FunASRService:
    """Implements kernel.ports.Listener."""

    languages = frozenset({"zh", "en"})

    def __init__(self, url: str, *, silent_seconds: float = 8.0, quiet_seconds: float = 0.6) -> None:
        """`silent_seconds` after the sound ended when nothing was heard at all; `quiet_seconds` when something was."""
        self._url, self._silent, self._quiet = url, silent_seconds, quiet_seconds

    async def transcribe_stream(self, samples: AsyncIterator[bytes], *, language: str) -> str:
        try:
            async with connect(self._url, subprotocols=["binary"], open_timeout=5, proxy=None) as socket:  # type: ignore[list-item]
                said = await self._heard(socket, samples)
        except (OSError, TimeoutError, ConnectionClosed, InvalidHandshake, InvalidURI) as error:
            raise self._unavailable("FunASR does not answer at its address") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._unavailable("FunASR gave a reply that cannot be used") from error
        return (" " if language == "en" else "").join(said).strip()

    async def _heard(self, socket: ClientConnection, samples: AsyncIterator[bytes]) -> list[str]:
        said: list[str] = []
        reading = asyncio.create_task(self._read(socket, said))
        try:
            await socket.send(json.dumps(_BEGIN))
            async for piece in _pieces(samples):
                await socket.send(piece)
            await socket.send(json.dumps({"is_speaking": False, "is_end": True}))
            before = -1
            while before != len(said):  # a sentence more: perhaps another comes
                before = len(said)
                await asyncio.wait({reading}, timeout=self._quiet if said else self._silent)
                if reading.done():
                    reading.result()
                    break
            return said
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await reading

    async def _read(self, socket: ClientConnection, said: list[str]) -> None:
        """Whole sentences only: what was heard in passing is read again."""
        async for text in socket:
            result = json.loads(text)
            if str(result.get("mode", "")).endswith("offline"):
                said.append(result["text"])
            if result.get("is_end"):
                return

    def _unavailable(self, reason: str) -> SpeechUnavailable:
        return SpeechUnavailable(what="The recogniser", reason=reason)


async def _pieces(samples: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    held = b""
    async for some in samples:
        held += some
        while len(held) >= _PIECE:
            yield held[:_PIECE]
            held = held[_PIECE:]
    if held:
        yield held[: len(held) // 2 * 2]
