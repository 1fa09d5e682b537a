"""A strict double of Ollama's server, on a loopback port: tests/ollama_api.py says what it answers.

with OllamaDouble(answer=lambda prompt, options: ["I ", "remember."]) as ollama:
    OllamaEngine(ollama.url)
    ollama.state.faults.chat_fails_after = 2
"""

import hashlib
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

from tests.ollama_api import ACTIONS, DIGEST, Answer, Refusal, State


class OllamaDouble:
    """`answer(prompt, options)` gives the pieces; without it a real llama.cpp answers from the sent blob."""

    def __init__(self, answer: Answer | None = None) -> None:
        self.requests: list[tuple[str, str, dict[str, Any]]] = []  #: method, path, body
        self.uploads = 0
        self.cut = threading.Event()  #: a client went away before the end of its answer
        self._folder = TemporaryDirectory(prefix="ollama-double-")
        blobs = Path(self._folder.name)
        self.state = State(blobs=blobs, answer=answer or _LlamaCpp(blobs).answer)
        self._server: _Server | None = None
        self._port = 0

    def start(self) -> None:
        """On the port it had before, if it was stopped."""
        self._server = _Server(("127.0.0.1", self._port), _handler(self))
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server.hang_up()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.cleanup()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def hang_up(self) -> None:
        """A server that is down answers on no kept connection either."""
        for request in list(self._open):
            with suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what some tests are about."""


def _handler(double: OllamaDouble) -> type[BaseHTTPRequestHandler]:
    return type("Handler", (_Handler,), {"double": double})


class _Handler(BaseHTTPRequestHandler):
    double: OllamaDouble
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._route("GET")

    def do_HEAD(self) -> None:
        self._route("HEAD")

    def do_POST(self) -> None:
        self._route("POST")

    def do_DELETE(self) -> None:
        self._route("DELETE")

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def _route(self, method: str) -> None:
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
            self._reply(action(self.double.state, body))
        except Refusal as refusal:
            self._json(refusal.status, {"error": refusal.error})

    def _blob(self, method: str, digest: str) -> None:
        content = self.rfile.read(int(self.headers.get("Content-Length", 0))) if method == "POST" else b""
        self.double.requests.append((method, self.path, {}))
        if not DIGEST.fullmatch(digest):
            raise Refusal(400, "invalid digest format")
        file = self.double.state.blob(digest)
        if method == "HEAD" or file.exists():
            self._json(200 if file.exists() else 404, None)
            return
        self.double.uploads += 1
        got = f"sha256:{hashlib.sha256(content).hexdigest()}"
        if got != digest:
            raise Refusal(400, f'digest mismatch, expected "{digest}", got "{got}"')
        file.write_bytes(content)
        self._json(201, None)

    def _body(self) -> dict[str, Any]:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not raw:
            raise Refusal(400, "missing request body")
        try:
            body = json.loads(raw)
        except ValueError:
            raise Refusal(400, "invalid character in request body") from None
        if not isinstance(body, dict):
            raise Refusal(400, "json: cannot unmarshal array into Go value of type api.Request")
        return body

    def _reply(self, reply: dict[str, Any] | Iterator[dict[str, Any]] | None) -> None:
        if reply is None or isinstance(reply, dict):
            self._json(200, reply)
        else:
            self._lines(reply)

    def _json(self, status: int, body: dict[str, Any] | None) -> None:
        content = b"" if body is None or self.command == "HEAD" else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _lines(self, parts: Iterator[dict[str, Any]]) -> None:
        """An error before the first line has a status of its own; a later one is a line under 200."""
        with closing(parts):  # type: ignore[type-var]
            first = next(parts)
            if "error" in first:
                raise Refusal(first.get("status", 500), first["error"])
            self.send_response(200)
            self.send_header("Content-Type", "application/x-ndjson")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                self._chunk(first)
                for part in parts:
                    if part.get("drop"):
                        self.close_connection = True
                        self.connection.close()
                        return
                    self._chunk({"error": part["error"]} if "error" in part else part)
                self.wfile.write(b"0\r\n\r\n")
            except OSError:
                self.double.cut.set()
                self.close_connection = True

    def _chunk(self, part: dict[str, Any]) -> None:
        line = json.dumps(part, ensure_ascii=False).encode() + b"\n"
        self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.flush()


class _LlamaCpp:
    """Real answers from the sent blobs, one at a time a model."""

    def __init__(self, blobs: Path) -> None:
        self._blobs = blobs
        self._models: dict[str, tuple[Any, threading.Lock]] = {}
        self._opening = threading.Lock()

    def answer(self, prompt: str, options: dict[str, Any]) -> Iterator[str]:
        model, lock = self._open(options["digest"], options.get("num_ctx", 4096))
        tokens = model.tokenize(prompt.encode(), add_bos=False, special=True)
        if len(tokens) >= model.n_ctx() and not options["truncate"]:
            raise Refusal(400, _too_long(len(tokens), model.n_ctx()))
        with lock, closing(self._pieces(model, tokens, options)) as pieces:
            yield from pieces

    def _pieces(self, model: Any, tokens: list[int], options: dict[str, Any]) -> Iterator[str]:
        for part in model.create_completion(
            tokens,
            max_tokens=options.get("num_predict", 128),
            temperature=float(options.get("temperature", 0.8)),
            repeat_penalty=float(options.get("repeat_penalty", 1.1)),
            stop=options.get("stop", []),
            stream=True,
        ):
            if text := part["choices"][0]["text"]:
                yield text

    def _open(self, digest: str, context_tokens: int) -> tuple[Any, threading.Lock]:
        from adapters.local_model import library

        with self._opening:
            if digest not in self._models:
                blob = str(self._blobs / digest.replace(":", "-"))
                model = library().Llama(blob, n_ctx=context_tokens, n_threads=1, n_threads_batch=1, verbose=False)
                self._models[digest] = (model, threading.Lock())
            return self._models[digest]


def _too_long(have: int, limit: int) -> str:
    """llama-server's own JSON, inside a string."""
    message = f"request ({have} tokens) exceeds the available context size ({limit} tokens), try increasing it"
    return json.dumps({"error": {"code": 400, "message": message, "type": "exceed_context_size_error"}})
