"""What the doubles of HTTP servers share: a loopback port, JSON in and out, streams, and seeing a client go away."""

import json
import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


class Refusal(Exception):
    """A status other than 200, and the body that says why."""

    def __init__(self, status: int, error: Any) -> None:
        super().__init__(error)
        self.status, self.error = status, error


class HttpDouble:
    """`handler`: a subclass of Handler; its `double` is this one."""

    handler: type["Handler"]

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, Any]]] = []  #: method, path, body
        self.cut = threading.Event()  #: a client went away before the end of its answer
        self.generating = 0  #: answers under way
        self._server: _Server | None = None
        self._port = 0

    def start(self) -> None:
        """On the port it had before, if it was stopped."""
        self._server = _Server(("127.0.0.1", self._port), type("Handler", (self.handler,), {"double": self}))
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


class Handler(BaseHTTPRequestHandler):
    double: Any
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.route("GET")

    def do_HEAD(self) -> None:
        self.route("HEAD")

    def do_POST(self) -> None:
        self.route("POST")

    def do_DELETE(self) -> None:
        self.route("DELETE")

    def route(self, method: str) -> None:
        raise NotImplementedError

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def send_json(self, status: int, body: Any) -> None:
        self.send_text(status, "" if body is None else json.dumps(body), "application/json; charset=utf-8")

    def send_text(self, status: int, text: str, kind: str) -> None:
        content = b"" if self.command == "HEAD" else text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def send_stream(self, kind: str, parts: Iterator[bytes | None]) -> None:
        """Chunked. None drops the connection. Like the real servers it stops generating when the client goes away,
        also while no piece is ready: before the first as well."""
        with self._watched(), closing(parts):  # type: ignore[type-var]
            first = next(parts)  # a refusal has a status of its own
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            try:
                part: bytes | None = first
                while part is not None and not self._is_gone:
                    self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
                    part = next(parts, b"")
                    if not part and part is not None:
                        self.wfile.write(b"0\r\n\r\n")
                        return
            except OSError:
                self.double.cut.set()
            self.close_connection = True
            self.connection.close()

    @contextmanager
    def _watched(self) -> Iterator[None]:
        over, self._is_gone = threading.Event(), False

        def watch() -> None:
            while not over.is_set():
                with suppress(OSError, ValueError):
                    readable, _, _ = select.select([self.connection], [], [], 0.02)
                    if readable and not self.connection.recv(1, socket.MSG_PEEK):
                        self._is_gone = True
                        self.double.cut.set()
                        return

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        self.double.generating += 1
        try:
            yield
        finally:
            self.double.generating -= 1
            over.set()
            watcher.join()


def parts_of(stream: Iterator[Any], render: Callable[[Any], bytes | None]) -> Iterator[bytes | None]:
    with closing(stream):  # type: ignore[type-var]
        for part in stream:
            yield render(part)
