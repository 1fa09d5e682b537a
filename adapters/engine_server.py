"""The server behind an engine, over HTTP: Ollama's or vLLM's.

What a reader would get wrong: an answer's pieces may be asked for by one thread while another finds that nobody
wants it any more. Both servers go on generating until the connection ends, so closing an answer shuts its socket
down, which also wakes a thread that waits in it: before the first piece, that may be minutes. An answer therefore
has a connection of its own.

An error's reason never holds what a request or its answer said.
"""

import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import httpx

from kernel.errors import EngineUnavailable, HeirloomError
from kernel.ports import Ending

_CONNECT_SECONDS = 5.0


class Line(NamedTuple):
    """What one line of a streamed answer says."""

    text: str = ""
    is_last: bool = False
    ending: Ending | None = None  #: of the last, where the server counts


Read = Callable[[bytes], Line]
Refused = Callable[[int, str], HeirloomError | None]  #: of status and body; None where asking again may help


class EngineServer:
    """`timeout_seconds`: between two pieces, and for a model to be loaded before the first."""

    def __init__(self, engine: str, url: str, *, api: str, key: str = "", timeout_seconds: float = 120.0) -> None:
        self.engine = engine
        self._api = api  #: whose API it speaks, as a person knows it
        # No proxy from the environment: an elder's words go to this host alone.
        self.options: dict[str, Any] = {
            "timeout": httpx.Timeout(timeout_seconds, connect=_CONNECT_SECONDS),
            "trust_env": False,
            "follow_redirects": False,
            "headers": {"Authorization": f"Bearer {key}"} if key else {},
        }
        self._http = httpx.Client(base_url=url, **self.options)
        self._streams = httpx.Client(base_url=url, limits=httpx.Limits(max_keepalive_connections=0), **self.options)

    def ask(self, method: str, path: str, body: Mapping[str, object] | None = None, **more: Any) -> httpx.Response:
        """Whatever the status. Raises EngineUnavailable."""
        with self.translated():
            return self._http.request(method, path, json=body, **more)

    def answer(self, path: str, body: Mapping[str, object], *, read: Read, refused: Refused) -> "Answer":
        """Nothing is sent before the first piece is asked for."""
        return Answer(self, lambda: self._streams.build_request("POST", path, json=body), self._streams, read, refused)

    def close(self) -> None:
        self._http.close()
        self._streams.close()

    @contextmanager
    def translated(self) -> Iterator[None]:
        """What httpx raises, and what comes of a reply in another form, as EngineUnavailable."""
        try:
            yield
        except httpx.HTTPStatusError as error:
            path, status = error.request.url.path, error.response.status_code
            raise self.unavailable(f"{path} was refused (HTTP {status})") from None
        except httpx.TimeoutException:
            raise self.unavailable("it did not answer in time") from None
        except (httpx.HTTPError, ConnectionError):
            raise self.unavailable("no connection to its server") from None
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise self.unavailable(f"its server said something that is not {self._api}'s API") from None

    def unavailable(self, reason: str) -> EngineUnavailable:
        return EngineUnavailable(engine=self.engine, reason=reason)


class Answer:
    """An answer under way: its pieces, then, as a generator returns it, how it ended.

    `close` may come from any thread, at any time, more than once.
    """

    def __init__(
        self,
        server: EngineServer,
        request: Callable[[], httpx.Request],
        http: httpx.Client,
        read: Read,
        refused: Refused,
    ) -> None:
        self._server, self._request, self._http = server, request, http
        self._read, self._refused = read, refused
        self._socket: socket.socket | None = None
        self._response: httpx.Response | None = None
        self._lines: Iterator[bytes] = iter(())
        self._is_over = False  #: the last piece has come
        self._ending: Ending | None = None
        self._is_closed = False
        self._turn = threading.Lock()  #: held by who waits for a piece

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> str:
        with self._turn:
            piece = None
            try:
                if not (self._is_over or self._is_closed):
                    with self._server.translated():
                        piece = self._next()
            except HeirloomError:
                self._is_over = True
                if not self._is_closed:  # or it is the end of a connection that was closed here
                    raise
            finally:
                if piece is None or self._is_closed:
                    self._end()
            if piece is None or self._is_closed:
                raise StopIteration(self._ending)
            return piece

    def close(self) -> None:
        self._is_closed = True
        self._hang_up()
        if self._turn.acquire(blocking=False):  # nobody waits; who does ends it itself, being woken
            try:
                self._end()
            finally:
                self._turn.release()

    def _next(self) -> str | None:
        """The next piece that is not empty; None at the end."""
        if self._response is None:
            self._begin(may_ask_again=True)
        for line in self._lines:
            piece, self._is_over, self._ending = self._read(line)
            if piece or self._is_over:
                return piece or None
        raise self._server.unavailable("it broke the answer off")

    def _begin(self, *, may_ask_again: bool) -> None:
        request = self._request()
        request.extensions["trace"] = self._on_trace
        response = self._response = self._http.send(request, stream=True)
        if response.status_code == httpx.codes.OK:
            self._lines = _lines(response)
            return
        error = self._refused(response.status_code, response.read().decode(errors="replace"))
        if error is None and may_ask_again and not self._is_closed:
            self._begin(may_ask_again=False)
            return
        raise error or self._server.unavailable(f"it ended the answer with an error (HTTP {response.status_code})")

    def _on_trace(self, event: str, info: dict[str, Any]) -> None:
        """Learns the socket as soon as there is one."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self._socket = info["return_value"].get_extra_info("socket")
            if self._is_closed:
                self._hang_up()

    def _hang_up(self) -> None:
        if self._socket is not None:
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # it is gone already
                self._socket = None

    def _end(self) -> None:
        if self._response is not None:
            self._response.close()


def _lines(response: httpx.Response) -> Iterator[bytes]:
    """Split at line feeds only: httpx's own way also splits at characters that an answer may hold."""
    rest = b""
    for some in response.iter_bytes():
        *whole, rest = (rest + some).split(b"\n")
        yield from whole
    if rest:
        yield rest


def as_json(line: bytes) -> dict[str, Any]:
    """Raises ValueError for what is no JSON object."""
    value = json.loads(line)
    if not isinstance(value, dict):
        raise ValueError(type(value))
    return value
