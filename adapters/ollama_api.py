"""Ollama's HTTP API (server 0.30 and later), as far as we use it.

What a reader would get wrong: an error can come in the middle of a stream under HTTP 200; `from` would pull
from a registry, so a model is always made from blobs that were sent; a prompt that is too long is cut down in
silence unless `truncate` and `shift` are off. The official client makes, copies, lists and shows; blobs, the
rendered prompt and the two switches are beyond it and go over httpx.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import file_digest
from pathlib import Path
from typing import Any

import httpx
import ollama

from adapters.engine_server import Answer, EngineServer, Line, as_json
from kernel.errors import ContextTooLong, HeirloomError
from kernel.ports import ChatOptions, Ending
from kernel.sample import Message

OLDEST, NO_ADAPTERS_FROM = (0, 30), (0, 34)  #: versions of the server
_TOO_LONG = re.compile(r"exceed\w* the (available )?context|context_size_error")
_NO_ADAPTERS = re.compile(r"adapters are no longer supported|unsupported architecture")


class NoAdapters(Exception):
    """This server makes no model of a base and an adapter: 0.34 and later make none at all."""


class OllamaApi:
    """Every call raises EngineUnavailable; one about a single model gives None or False where there is none."""

    def __init__(self, url: str, *, keep_alive: str, timeout_seconds: float, context_tokens: int) -> None:
        self._server = EngineServer("ollama", url, api="Ollama", timeout_seconds=timeout_seconds)
        self._client = ollama.Client(url, **self._server.options)
        self._keep_alive = keep_alive
        self._context_tokens = context_tokens
        self.unavailable = self._server.unavailable

    def version(self) -> tuple[int, ...]:
        with self._server.translated():
            told = self._server.ask("GET", "/api/version").raise_for_status().json()["version"]
            return tuple(int(part) for part in re.findall(r"\d+", told)[:3])

    def send_blob(self, file: Path) -> str:
        """Its digest. The client's create_blob sends every time: gigabytes that may be there already."""
        with file.open("rb") as content:
            digest = f"sha256:{file_digest(content, 'sha256').hexdigest()}"
            path = f"/api/blobs/{digest}"
            with self._server.translated():
                if self._server.ask("HEAD", path).status_code != httpx.codes.OK:
                    content.seek(0)
                    self._server.ask("POST", path, content=content).raise_for_status()
        return digest

    def create(
        self, tag: str, *, model: Path, adapter: Path | None, system: str, parameters: Mapping[str, object]
    ) -> Iterator[str]:
        """The statuses as they come. Without a template: the one inside the GGUF stands. Raises NoAdapters."""
        wanted: dict[str, Any] = {"files": {"model.gguf": self.send_blob(model)}}
        if adapter is not None:
            wanted["adapters"] = {"adapter.gguf": self.send_blob(adapter)}
        last = ""
        with self._making(is_adapted=adapter is not None):
            for status in self._client.create(tag, **wanted, system=system, parameters=parameters, stream=True):
                last = status.status or ""
                yield last
        if last != "success":
            raise self.unavailable("it did not finish making the model")

    def show(self, tag: str) -> dict[str, Any] | None:
        with self._server.translated():
            response = self._server.ask("POST", "/api/show", {"model": tag})
            if response.status_code == httpx.codes.NOT_FOUND:
                return None
            return as_json(response.raise_for_status().content)

    def rendered(self, tag: str, messages: Sequence[Message]) -> str:
        """The prompt that it would give to the model; nothing is generated."""
        asked = _chat(tag, messages) | {"stream": False, "_debug_render_only": True}
        with self._server.translated():
            response = self._server.ask("POST", "/api/chat", asked).raise_for_status()
            return str(response.json()["_debug_info"]["rendered_template"])

    def chat(self, tag: str, messages: Sequence[Message], options: ChatOptions) -> Answer:
        """Raises ContextTooLong, EngineUnavailable."""
        asked = _chat(tag, messages) | {
            "stream": True,
            "keep_alive": self._keep_alive,
            "options": {
                "temperature": options.temperature,
                "num_predict": options.max_tokens,
                "repeat_penalty": 1.0,  # as the embedded engine; Ollama's own default differs by version
                **({} if options.top_p is None else {"top_p": options.top_p}),
                **({"stop": list(options.stop)} if options.stop else {}),
            },
        }

        def read(line: bytes) -> Line:
            part = as_json(line)
            if "error" in part:
                raise self._refusal(tag, httpx.codes.INTERNAL_SERVER_ERROR, str(part["error"]))
            return Line(part["message"]["content"], part["done"], _ending(part))

        return self._server.answer(
            "/api/chat", asked, read=read, refused=lambda status, said: self._refusal(tag, status, said)
        )

    def embed(self, tag: str, text: str) -> list[float] | None:
        """None where this server gives none of a model that chats."""
        with self._server.translated():
            response = self._server.ask("POST", "/api/embed", {"model": tag, "input": text})
            return None if response.is_error else [float(one) for one in response.json()["embeddings"][0]]

    def copy(self, tag: str, name: str) -> None:
        with self._server.translated():
            self._server.ask("POST", "/api/copy", {"source": tag, "destination": name}).raise_for_status()

    def tags(self, name: str) -> dict[str, str]:
        """Tag -> digest, of one model's name. Two tags of one digest are the same model."""
        with self._server.translated():
            models = self._server.ask("GET", "/api/tags").raise_for_status().json()["models"]
            found = {str(model["name"]): str(model["digest"]) for model in models}
        return {tag: digest for tag, digest in found.items() if tag.rpartition(":")[0] == name}

    def delete(self, tag: str) -> bool:
        """Out of memory first: `keep_alive` would hold the weights there after the model is gone."""
        unload = {"model": tag, "messages": [], "keep_alive": 0}
        with self._server.translated():
            for method, path, body in (
                ("POST", "/api/chat", unload),
                ("DELETE", "/api/delete", {"model": tag}),
            ):
                response = self._server.ask(method, path, body)
                if response.status_code != httpx.codes.NOT_FOUND:
                    response.raise_for_status()
        return response.status_code != httpx.codes.NOT_FOUND

    def close(self) -> None:
        self._client.close()
        self._server.close()

    def _refusal(self, tag: str, status: int, said: str) -> HeirloomError:
        if _TOO_LONG.search(said):
            return ContextTooLong(limit=self._context_tokens)
        if status == httpx.codes.NOT_FOUND:
            return self.unavailable(f"it has no model {tag}; train again")
        return self.unavailable(f"it ended the answer with an error (HTTP {status})")

    @contextmanager
    def _making(self, *, is_adapted: bool) -> Iterator[None]:
        """Only of making a model is the server's own sentence kept: no person's words are in it."""
        with self._server.translated():
            try:
                yield
            except ollama.ResponseError as error:
                if is_adapted and _NO_ADAPTERS.search(error.error):
                    raise NoAdapters from None
                raise self.unavailable(f"the model could not be made: {error.error[:200]}") from None


def _ending(part: Mapping[str, Any]) -> Ending | None:
    """None of a part that is not the last, or of a server that does not count."""
    if "prompt_eval_count" not in part or "eval_count" not in part:
        return None
    return Ending(
        tokens_read=part["prompt_eval_count"],
        tokens_written=part["eval_count"],
        is_cut=part.get("done_reason") == "length",
    )


def _chat(tag: str, messages: Sequence[Message]) -> dict[str, Any]:
    return {
        "model": tag,
        "messages": [{"role": message.role, "content": message.content} for message in messages],
        "truncate": False,
        "shift": False,
    }
