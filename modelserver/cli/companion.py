"""The companion in the terminal, and the reference client of its WebSocket: docs/companion.md in sixty lines."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

from rich.console import Console
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection, connect

from kernel.speech import Sound, write_wav
from modelserver.cli.account import Account
from modelserver.cli.client import is_local, refused
from modelserver.cli.words import CliError, Words

Json = dict[str, Any]

_SILENT_SECONDS = 300.0  #: others may be answered first


class CompanionClient:
    """One conversation: `say` or `play`, then `answer` until it is over. With a `member` it is kept under that name."""

    def __init__(
        self,
        account: Account,
        elder: str,
        *,
        language: str,
        profile: str = "",
        voice: bool = False,
        member: str = "",
        conversation: str = "",
    ) -> None:
        """The messages are in `language`; the conversation is in the elder's. `conversation`: an id, to go on with."""
        self._url, self.is_to_be_kept = account.url, bool(member or conversation)
        address = account.url.replace("http", "ws", 1) + f"/ws/companion/{quote(elder, safe='')}"
        headers = {"Authorization": f"Bearer {account.key}", "Accept-Language": language}
        proxy = None if is_local(account.url) else True
        try:
            self._open = ExitStack()
            self._socket: ClientConnection = self._open.enter_context(
                connect(address, additional_headers=headers, max_size=None, proxy=proxy)
            )
        except (OSError, TimeoutError, InvalidHandshake) as error:
            raise CliError("api.down", url=account.url) from error
        try:
            whose = {"member": member, "conversation_id": conversation}
            self._send({"type": "hello", "reads": language, "profile": profile, "voice": voice, **whose})
            self.ready: Json = next(self._frames("ready"))
        except CliError:
            self.close()
            raise

    def say(self, text: str) -> None:
        self._send({"type": "say", "text": text})

    def play(self, wav: bytes) -> None:
        """A question as a WAV file."""
        self._socket.send(wav)

    def answer(self) -> Iterator[Json | bytes]:
        """Its frames; bytes are samples at the rate of the last audio_begin. Raises CliError for an error."""
        for frame in self._frames("done"):
            if isinstance(frame, dict) and frame["type"] == "error" and frame["code"] != "speech_unavailable":
                raise refused(frame)
            yield frame

    def close(self) -> None:
        self._open.close()

    def _send(self, frame: Json) -> None:
        self._socket.send(json.dumps(frame))

    def _frames(self, last: str) -> Iterator[Any]:
        try:
            while True:
                told = self._socket.recv(timeout=_SILENT_SECONDS)
                frame = told if isinstance(told, bytes) else json.loads(told)
                if last == "ready" and frame["type"] == "error":
                    raise refused(frame)
                yield frame
                if isinstance(frame, dict) and frame["type"] == last:
                    return
        except TimeoutError as error:
            raise CliError("api.slow", url=self._url) from error
        except ConnectionClosed as error:
            raise CliError("companion.closed", code=error.rcvd.code if error.rcvd else 1006) from error


def ask(client: CompanionClient, *, out: Path | None, console: Console, words: Words) -> None:
    """Print the answer as it comes, and keep its sound as a WAV file."""
    samples, rate = bytearray(), 0
    for frame in client.answer():
        if isinstance(frame, bytes):
            samples += frame
            continue
        rate = frame.get("sample_rate", rate)
        _show(frame, console, words)
        if frame["type"] == "done" and client.is_to_be_kept:
            told = words("chat.kept", id=frame["turn_id"]) if frame["turn_id"] else words("chat.not_kept")
            console.print(told, style="dim", markup=False, highlight=False)
    if out is not None and samples:
        try:
            out.write_bytes(write_wav(Sound(samples=bytes(samples), rate=rate)))
        except OSError as error:
            raise CliError("disk.failed", path=out, reason=error.strerror) from error
        seconds = len(samples) / 2 / rate
        console.print(words("companion.sound", path=out, seconds=seconds), style="dim", markup=False, highlight=False)


def _show(frame: Json, console: Console, words: Words) -> None:
    """A person's words are never markup."""
    match frame["type"]:
        case "queue":
            console.print(words("companion.place", place=frame["place"]), style="dim", markup=False)
        case "heard":
            console.print(words("companion.heard", text=frame["text"]), style="dim", markup=False, highlight=False)
        case "emotion":
            console.out(f"[{frame['emotion']}] ", end="", highlight=False)
        case "text":
            console.out(frame["text"], end="", highlight=False)
        case "error":
            console.print(frame["message"], style="yellow", markup=False, highlight=False)
        case "done":
            ids = ", ".join(frame["memory_ids"])
            told = words("companion.memories", ids=ids) if ids else words("companion.no_memories")
            first = words("companion.first", milliseconds=frame["first_text_ms"])
            console.print(f"\n{told}; {first}", style="dim", markup=False, highlight=False)
