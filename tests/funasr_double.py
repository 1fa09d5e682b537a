"""A strict double of FunASR's runtime WebSocket server (runtime/python/websocket/funasr_wss_server.py).

It closes on what the real one breaks on or leaves unanswered: sound before the first message, a chunk_size that is not
three numbers, another rate, half a sample, a piece too long for its voice detection. As the real one it sends a partial
result while one speaks, a sentence when it is over, with `is_final` true while one still speaks, and nothing for
silence.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

_LONGEST_PIECE = 32_000  #: bytes; a second


class FunasrDouble:
    """`sentences` are what is heard: all but the last while one speaks. `ends`: it says `is_end`, as newer ones do."""

    def __init__(self, sentences: Sequence[str], *, ends: bool = False, garbled: bool = False) -> None:
        self.sentences, self.ends, self.garbled = list(sentences), ends, garbled
        self.sound, self.pieces, self.mode = b"", 0, ""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        async with serve(self._talk, "127.0.0.1", 0, subprotocols=["binary"], ping_interval=None) as server:  # type: ignore[list-item]
            port = next(iter(server.sockets)).getsockname()[1]
            yield f"ws://127.0.0.1:{port}"

    async def _talk(self, socket: ServerConnection) -> None:
        begun: dict[str, Any] = {}
        async for message in socket:
            if isinstance(message, str):
                begun |= json.loads(message)
                if not self._is_right(begun):
                    await socket.close(1011, "a message that the real one breaks on")
                    return
                self.mode = begun["mode"]
                if not begun["is_speaking"]:
                    await self._end(socket)
                continue
            if not begun or len(message) % 2 or len(message) > _LONGEST_PIECE:
                await socket.close(1011, "sound that the real one breaks on")
                return
            self.sound += message
            self.pieces += 1
            if self.pieces == 2:
                await self._say(socket, "2pass-online", "in passing", True)
                for sentence in self.sentences[:-1]:
                    await self._say(socket, "2pass-offline", sentence, True)

    async def _end(self, socket: ServerConnection) -> None:
        if self.garbled:
            await socket.send("not json")
            return
        await asyncio.sleep(0)
        for sentence in self.sentences[-1:]:
            await self._say(socket, "2pass-offline", sentence, False)
        if self.ends:
            await socket.send(json.dumps({"wav_name": "utterance", "is_end": True, "is_final": True}))

    async def _say(self, socket: ServerConnection, mode: str, text: str, is_final: bool) -> None:
        await socket.send(json.dumps({"mode": mode, "text": text, "wav_name": "utterance", "is_final": is_final}))

    def _is_right(self, begun: dict[str, Any]) -> bool:
        sizes = begun.get("chunk_size")
        return (
            begun.get("mode") in ("offline", "online", "2pass")
            and isinstance(sizes, list)
            and len(sizes) == 3
            and all(isinstance(size, int) for size in sizes)
            and begun.get("audio_fs") in (8000, 16000)
            and begun.get("wav_format") == "pcm"
            and isinstance(begun.get("is_speaking"), bool)
        )
