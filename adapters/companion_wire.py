"""The companion's process as the control plane sees it: HTTP, one line of JSON after another.

workers/companion.py says what they hold.
"""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict
from typing import Any

import httpx

from kernel.companion import Asked, Given, Place
from kernel.errors import EngineUnavailable, by_code
from kernel.memory import Memory
from kernel.retrieval import Found
from kernel.sample import Message

_CONNECT_SECONDS = 5.0
_SILENT_SECONDS = 300.0  #: others may be answered first


class RemoteCompanion:
    """Implements kernel.ports.Companion. `transport` is for tests."""

    name = "transformers"

    def __init__(self, url: str, *, key: str = "", transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._url, self._transport = url.rstrip("/"), transport
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def answer(self, asked: Asked) -> AsyncIterator[Place | Given | str]:
        timeout = httpx.Timeout(_SILENT_SECONDS, connect=_CONNECT_SECONDS)
        try:
            async with (
                httpx.AsyncClient(
                    headers=self._headers, timeout=timeout, transport=self._transport, trust_env=False
                ) as client,
                client.stream("POST", f"{self._url}/answer", json=asdict(asked)) as reply,
            ):
                async for line in _lines(reply):
                    if "done" in line:
                        return
                    yield _told(line, asked)
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise self._unavailable("it does not answer at its address") from error
        raise self._unavailable("its answer broke off")

    def check(self) -> None:
        """Raises EngineUnavailable, BaseModelMissing."""
        try:
            reply = httpx.get(f"{self._url}/health", headers=self._headers, timeout=_CONNECT_SECONDS, trust_env=False)
            line = reply.json()
        except (httpx.HTTPError, ValueError) as error:
            raise self._unavailable("it does not answer at its address") from error
        _raise(line)

    def _unavailable(self, reason: str) -> EngineUnavailable:
        return EngineUnavailable(engine="companion", reason=reason)


def asked_from_json(row: Mapping[str, Any]) -> Asked:
    """Raises KeyError, TypeError."""
    found = row["found"]
    memories = tuple(Memory(**{**one, "personal_data": tuple(one["personal_data"])}) for one in found["memories"])
    history = tuple(Message(**turn) for turn in row["history"])
    return Asked(**{**row, "found": Found(**{**found, "memories": memories}), "history": history})


async def _lines(reply: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    if reply.is_error:
        _raise(json.loads(await reply.aread()))
        reply.raise_for_status()
    async for text in reply.aiter_lines():
        line = json.loads(text)
        _raise(line)
        yield line


def _told(line: Mapping[str, Any], asked: Asked) -> Place | Given | str:
    if "place" in line:
        return Place(place=line["place"])
    if "given" in line:
        return Given(memories=asked.found.memories[: line["given"]], model=line["model"])
    return str(line["text"])


def _raise(line: Mapping[str, Any]) -> None:
    if error := line.get("error"):
        raise by_code(error["code"])(**error["details"])
