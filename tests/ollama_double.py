"""A strict double of Ollama's server, on a loopback port: tests/ollama_api.py says what it answers.

with OllamaDouble(answer=lambda prompt, options: ["I ", "remember."]) as ollama:
    OllamaEngine(ollama.url)
    ollama.state.faults.chat_fails_after = 2
"""

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.http_double import Handler, HttpDouble, Refusal, parts_of
from tests.llama_answers import LlamaAnswers
from tests.ollama_api import ACTIONS, DIGEST, Answer, State


class _Handler(Handler):
    def route(self, method: str) -> None:
        path, _, digest = self.path.partition("/api/blobs/")
        try:
            if digest:
                self._blob(method, digest)
                return
            body = self._body() if method in ("POST", "DELETE") else {}
            self.double.requests.append((method, self.path, body))
            action = ACTIONS.get((method, path))
            if action is None:
                raise Refusal(404, "404 page not found")
            reply = action(self.double.state, body)
            if reply is None or isinstance(reply, dict):
                self.send_json(200, reply)
            else:
                self.send_stream("application/x-ndjson", _lines(reply))
        except Refusal as refusal:
            self.send_json(refusal.status, {"error": refusal.error})

    def _blob(self, method: str, digest: str) -> None:
        content = self.body() if method == "POST" else b""
        self.double.requests.append((method, self.path, {}))
        if not DIGEST.fullmatch(digest):
            raise Refusal(400, "invalid digest format")
        file = self.double.state.blob(digest)
        if method == "HEAD" or file.exists():
            self.send_json(200 if file.exists() else 404, None)
            return
        self.double.uploads += 1
        got = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if got != digest:
            raise Refusal(400, f'digest mismatch, expected "{digest}", got "{got}"')
        file.write_bytes(content)
        self.send_json(201, None)

    def _body(self) -> dict[str, Any]:
        raw = self.body()
        if not raw:
            raise Refusal(400, "missing request body")
        try:
            body = json.loads(raw)
        except ValueError:
            raise Refusal(400, "invalid character in request body") from None
        if not isinstance(body, dict):
            raise Refusal(400, "json: cannot unmarshal array into Go value of type api.Request")
        return body


class OllamaDouble(HttpDouble):
    """`answer(prompt, options)` gives the pieces; without it a real llama.cpp answers from the sent blobs."""

    handler = _Handler

    def __init__(self, answer: Answer | None = None, *, version: str = "0.33.3") -> None:
        super().__init__()
        self.uploads = 0
        self._folder = TemporaryDirectory(prefix="ollama-double-")
        blobs = Path(self._folder.name)
        self.state = State(version=version, blobs=blobs, answer=answer or _answer(blobs))

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._folder.cleanup()


def _lines(parts: Iterator[dict[str, Any]]) -> Iterator[bytes | None]:
    """An error before the first line has a status of its own; a later one is a line under 200."""

    def line(part: dict[str, Any]) -> bytes | None:
        if part.get("drop"):
            return None
        shown = {"error": part["error"]} if "error" in part else part
        return json.dumps(shown, ensure_ascii=False).encode() + b"\n"

    first = next(parts)
    if "error" in first:
        raise Refusal(first.get("status", 500), first["error"])
    yield line(first)
    yield from parts_of(parts, line)


def _answer(blobs: Path) -> Answer:
    """Real answers from the sent blobs."""
    models = LlamaAnswers()

    def answer(prompt: str, options: dict[str, Any]) -> Iterator[str]:
        context = options.get("num_ctx", 4096)
        model = models.open(_blob(blobs, options["digest"]), _blob(blobs, options["adapter"]), context_tokens=context)
        tokens = model.tokens(prompt)
        if len(tokens) >= context and not options["truncate"]:
            raise Refusal(400, _too_long(len(tokens), context))
        return model.answer(
            tokens,
            max_tokens=options.get("num_predict", 128),
            temperature=float(options.get("temperature", 0.8)),
            top_p=float(options.get("top_p", 0.9)),
            repeat_penalty=float(options.get("repeat_penalty", 1.1)),
            stop=options.get("stop", []),
        )

    return answer


def _blob(blobs: Path, digest: str) -> Path | None:
    return blobs / digest.replace(":", "-") if digest else None


def _too_long(have: int, limit: int) -> str:
    """llama-server's own JSON, inside a string."""
    message = f"request ({have} tokens) exceeds the available context size ({limit} tokens), try increasing it"
    return json.dumps({"error": {"code": 400, "message": message, "type": "exceed_context_size_error"}})
