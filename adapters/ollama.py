"""The Ollama engine, over its HTTP API (server 0.30 and later).

What a reader would get wrong: an error can come in the middle of a stream under HTTP 200; `from` would pull
from a registry, so a model is always made from a blob that was sent; a prompt that is too long is cut down in
silence unless `truncate` and `shift` are off; and Ollama may choose another chat template than the GGUF's, so
each registration ends with comparing the prompt that it renders. The official client makes the models; blobs,
the rendered prompt and the two switches are beyond it and go over httpx.

An error's reason never holds what a chat request or its answer said.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path
from typing import Any

import httpx
import ollama

from adapters.gguf_file import GgufFile, read_gguf
from kernel.errors import ContextTooLong, EngineUnavailable
from kernel.ports import ChatOptions
from kernel.sample import Message
from kernel.version import ModelVersion

_FILE = "model.gguf"
_CONNECT_SECONDS = 5.0
_PROBE = "Who are you? 你是谁？"
_TOO_LONG = re.compile(r"exceed\w* the (available )?context|context_size_error")


class OllamaEngine:
    """`timeout_seconds`: between two pieces, and for Ollama to load a model before the first."""

    name = "ollama"

    def __init__(
        self,
        url: str,
        *,
        keep_alive: str = "30m",
        timeout_seconds: float = 120.0,
        context_tokens: int = 4096,
        temperature: float = 0.3,
    ) -> None:
        # No proxy from the environment: an elder's words go to this host alone.
        options: dict[str, Any] = {
            "timeout": httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS),
            "trust_env": False,
            "follow_redirects": False,
        }
        self._client = ollama.Client(url, **options)
        self._http = httpx.Client(base_url=url, **options)
        self._keep_alive = keep_alive
        self._context_tokens = context_tokens
        self._temperature = temperature

    def check(self) -> None:
        with _as_unavailable():
            self._http.get("/api/version").raise_for_status()

    def register(self, version: ModelVersion, gguf: Path) -> None:
        """Raises StageFailed for what is no GGUF. A model that would answer wrongly is not left behind."""
        file = read_gguf(gguf)
        with gguf.open("rb") as stream:
            digest = f"sha256:{file_digest(stream, 'sha256').hexdigest()}"
        with _as_unavailable():
            self._send_blob(digest, gguf)
            self._create(version, digest, file)
        try:
            self._check_model(version, file)
        except EngineUnavailable:
            with suppress(EngineUnavailable):
                self.delete(version)
            raise

    def has(self, version: ModelVersion) -> bool:
        with _as_unavailable():
            return self._show(version) is not None

    def chat(self, version: ModelVersion, messages: Sequence[Message], options: ChatOptions) -> Iterator[str]:
        """Nothing is sent before the first piece is asked for. Closing ends the connection, and with it the
        generation. Raises ContextTooLong."""
        asked = {
            "stream": True,
            "keep_alive": self._keep_alive,
            "options": {
                "temperature": options.temperature,
                "num_predict": options.max_tokens,
                "repeat_penalty": 1.0,  # as the embedded engine; Ollama's own default differs by version
            },
        }
        request = self._chat_request(version, messages) | asked
        with _as_unavailable(), self._http.stream("POST", "/api/chat", json=request) as response:
            if response.status_code != httpx.codes.OK:
                raise self._refusal(version, response.status_code, response.read().decode(errors="replace"))
            for line in response.iter_lines():
                part = json.loads(line)
                if "error" in part:
                    raise self._refusal(version, httpx.codes.INTERNAL_SERVER_ERROR, str(part["error"]))
                if piece := part["message"]["content"]:
                    yield piece
                if part["done"]:
                    return
        raise _unavailable("it broke the answer off")

    def delete(self, version: ModelVersion) -> None:
        """Out of memory first: `keep_alive` would hold the weights there after the model is gone."""
        with _as_unavailable():
            unload = {"model": version.tag, "messages": [], "keep_alive": 0}
            for method, path, body in (
                ("POST", "/api/chat", unload),
                ("DELETE", "/api/delete", {"model": version.tag}),
            ):
                response = self._http.request(method, path, json=body)
                if response.status_code != httpx.codes.NOT_FOUND:
                    response.raise_for_status()

    def close(self) -> None:
        self._client.close()
        self._http.close()

    def _send_blob(self, digest: str, gguf: Path) -> None:
        """The client's create_blob sends every time: gigabytes that may be there already."""
        path = f"/api/blobs/{digest}"
        if self._http.head(path).status_code == httpx.codes.OK:
            return
        with gguf.open("rb") as content:
            self._http.post(path, content=content).raise_for_status()

    def _create(self, version: ModelVersion, digest: str, file: GgufFile) -> None:
        """Without a template: the one inside the GGUF stands."""
        statuses = self._client.create(
            version.tag,
            files={_FILE: digest},
            system=version.system_prompt,
            parameters={
                "temperature": self._temperature,
                "num_ctx": self._context_tokens,
                "stop": list(file.ends),
            },
            stream=True,
        )
        last = ""
        for status in statuses:
            last = status.status or ""
        if last != "success":
            raise _unavailable("it did not finish making the model")

    def _check_model(self, version: ModelVersion, file: GgufFile) -> None:
        messages = [
            Message(role="system", content=version.system_prompt),
            Message(role="user", content=_PROBE),
        ]
        with _as_unavailable():
            shown = self._show(version)
            if shown is None or shown.get("system") != version.system_prompt:
                raise _unavailable("it did not keep the model as it was made")
            request = self._chat_request(version, messages) | {"stream": False, "_debug_render_only": True}
            response = self._http.post("/api/chat", json=request).raise_for_status()
            rendered = response.json()["_debug_info"]["rendered_template"]
        expected = file.render(messages).removeprefix(file.bos if rendered.find(file.bos) != 0 else "")
        if expected.strip() not in rendered:
            raise _unavailable(
                "it renders the prompt otherwise than the model was trained; start its server with OLLAMA_GO_TEMPLATE=0"
            )

    def _show(self, version: ModelVersion) -> dict[str, Any] | None:
        response = self._http.post("/api/show", json={"model": version.tag})
        if response.status_code == httpx.codes.NOT_FOUND:
            return None
        shown: dict[str, Any] = response.raise_for_status().json()
        return shown

    def _chat_request(self, version: ModelVersion, messages: Sequence[Message]) -> dict[str, Any]:
        """Always with a system message: without one some templates write their own."""
        if not messages or messages[0].role != "system":
            messages = [Message(role="system", content=version.system_prompt), *messages]
        return {
            "model": version.tag,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "truncate": False,
            "shift": False,
        }

    def _refusal(self, version: ModelVersion, status: int, said: str) -> EngineUnavailable | ContextTooLong:
        if _TOO_LONG.search(said):
            return ContextTooLong(limit=self._context_tokens)
        if status == httpx.codes.NOT_FOUND:
            return _unavailable(f"it has no model {version.tag}; train again")
        return _unavailable(f"it ended the answer with an error (HTTP {status})")


@contextmanager
def _as_unavailable() -> Iterator[None]:
    """Only of making a model is the server's own sentence kept: no person's words are in it."""
    try:
        yield
    except httpx.HTTPStatusError as error:
        refused = f"{error.request.url.path} was refused (HTTP {error.response.status_code})"
        raise _unavailable(refused) from None
    except httpx.TimeoutException:
        raise _unavailable("it did not answer in time") from None
    except (httpx.HTTPError, ConnectionError):
        raise _unavailable("no connection to its server") from None
    except ollama.ResponseError as error:
        raise _unavailable(f"the model could not be made: {error.error[:200]}") from None
    except (ValueError, KeyError, TypeError):
        raise _unavailable("its server said something that is not Ollama's API") from None


def _unavailable(reason: str) -> EngineUnavailable:
    return EngineUnavailable(engine="ollama", reason=reason)
