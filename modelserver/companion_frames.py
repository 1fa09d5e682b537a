"""The companion's frames: JSON in text frames, sound in binary ones. docs/companion.md describes them for clients.

A frame that cannot be read is answered with an error frame, and the connection lives on.
"""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

import anyio
from fastapi import WebSocket, WebSocketDisconnect
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from kernel.errors import BadInput, HeirloomError, TooLarge
from modelserver.problems import problem
from modelserver.schemas.body import ConversationGiven, Member
from modelserver.validation import fault


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Hello(_Frame):
    """The first frame."""

    type: Literal["hello"]
    key: str = Field(default="", repr=False, max_length=200)  #: where no header gave it
    language: Literal["", "zh", "en"] = ""  #: "" for the elder's
    reads: Literal["", "zh", "en"] = ""  #: what errors are told in; "" for `language`
    profile: Literal["", "fast", "balanced", "quality"] = ""
    voice: bool = False  #: whether the answer is spoken, too
    conversation_id: ConversationGiven = ""
    member: Member = ""  #: who asks; as in chat, without a name and without a conversation nothing is kept


class Voice(_Frame):
    """From here on answers are spoken, or are not; one under way, too."""

    type: Literal["voice"]
    on: bool


class Say(_Frame):
    type: Literal["say"]
    text: str = Field(min_length=1, max_length=8_000)


class AudioBegin(_Frame):
    """From here to audio_end the binary frames are 16-bit samples, one channel."""

    type: Literal["audio_begin"]
    sample_rate: Literal[16000] = 16000


class AudioEnd(_Frame):
    type: Literal["audio_end"]


class Stop(_Frame):
    type: Literal["stop"]


Frame = Hello | Voice | Say | AudioBegin | AudioEnd | Stop
_FRAMES: TypeAdapter[Frame] = TypeAdapter(Annotated[Frame, Field(discriminator="type")])


class Wire:
    """One connection. `language` is that of its error messages."""

    def __init__(self, socket: WebSocket, *, max_bytes: int) -> None:
        self._socket, self._max_bytes = socket, max_bytes
        self._sending = anyio.Lock()
        accepted = socket.headers.get("accept-language", "").lower()
        self.language = "zh" if accepted.startswith("zh") else "en"

    async def frames(self) -> AsyncIterator[Frame | bytes]:
        """Until the client is gone."""
        while True:
            message = await self._socket.receive()
            if message["type"] != "websocket.receive":
                return
            try:
                frame = self._frame(message)
            except HeirloomError as error:
                await self.complain(error)
                continue
            yield frame

    async def send(self, kind: str, **facts: Any) -> None:
        """Raises WebSocketDisconnect when the client is gone."""
        text = json.dumps({"type": kind, **facts}, ensure_ascii=False)
        await self._sent({"type": "websocket.send", "text": text})

    async def send_sound(self, samples: bytes) -> None:
        await self._sent({"type": "websocket.send", "bytes": samples})

    async def complain(self, error: HeirloomError, **facts: Any) -> None:
        told: Any = problem(error, self.language)["error"]
        await self.send("error", **facts, **told)

    async def close(self, code: int) -> None:
        try:
            await self._socket.close(code)
        except (RuntimeError, WebSocketDisconnect):
            return  # it was closed from the other side

    async def _sent(self, message: dict[str, Any]) -> None:
        async with self._sending:
            try:
                await self._socket.send(message)
            except RuntimeError as error:  # after a close
                raise WebSocketDisconnect(1006) from error

    def _frame(self, message: Any) -> Frame | bytes:
        sound, text = message.get("bytes"), message.get("text")
        size = len(sound) if sound is not None else len(text.encode("utf-8", "surrogatepass"))
        if size > self._max_bytes:
            raise TooLarge(what="The message", limit=f"{self._max_bytes / 1_000_000:g} MB")
        if sound is not None:
            return bytes(sound)
        try:
            return _FRAMES.validate_json(text)
        except ValidationError as error:
            raise BadInput(reason=self._faults(error)) from None
        except ValueError:
            raise BadInput(reason="not UTF-8") from None

    def _faults(self, error: ValidationError) -> str:
        found = error.errors(include_input=False, include_url=False)
        return ("；" if self.language == "zh" else "; ").join(fault(one, self.language) for one in found)
