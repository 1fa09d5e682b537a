"""A strict double of an OpenAI-compatible server, on a loopback port.

It refuses what the real ones refuse: a missing or wrong key, a model that it does not have, a path that is not there,
messages without a role, a schema that is not strict. `replies` answers the schema's name and the last message;
`faults` are what goes wrong, one a request, before all is well again.

Tokens are counted by a rule of its own (see `tokens`), not by any model's tokenizer.
"""

import json
import re
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

KEY, MODEL = "sk-right", "teacher-1"
_ROLES = {"system", "user", "assistant", "developer", "tool"}

Replies = Callable[[str, str], object]


def tokens(text: str) -> int:
    """About as many as large models' tokenizers make: four Latin letters are one, five other characters are four."""
    latin = sum(character.isascii() for character in text)
    return round(0.25 * latin + 0.8 * (len(text) - latin))


class OpenAiDouble:
    def __init__(self, replies: Replies, *, knows_schemas: bool = True) -> None:
        self.replies = replies
        self.knows_schemas = knows_schemas  #: DeepSeek knows `json_object` alone
        self.is_reasoning = False  #: takes neither `max_tokens` nor a temperature
        self.faults: list[str] = []  #: "429", "429 after 2", "no money", "500", "cut", "slow", "garbage", "misfit", ...
        self.requests: list[dict[str, Any]] = []
        self._server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"double": self}))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that gives up waiting is what some tests are about."""


class _Refusal(Exception):
    def __init__(self, status: int, code: str | None, message: str, param: str | None = None) -> None:
        self.status, self.code, self.message, self.param = status, code, message, param


class _Handler(BaseHTTPRequestHandler):
    double: OpenAiDouble
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each reply waits 40 ms for the acknowledgement of its headers

    def log_message(self, format: str, *args: Any) -> None:
        """Silent."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        try:
            self._check(body)
            self.double.requests.append(body)
            self._answer(body, self.double.faults.pop(0) if self.double.faults else "")
        except _Refusal as refusal:
            error = {
                "message": refusal.message,
                "type": "invalid_request_error",
                "param": refusal.param,
                "code": refusal.code,
            }
            self._send(refusal.status, {"error": error})

    def _check(self, body: dict[str, Any]) -> None:
        if self.path != "/v1/chat/completions":
            raise _Refusal(404, None, f"Invalid URL (POST {self.path})")
        if self.headers.get("Authorization") != f"Bearer {KEY}":
            raise _Refusal(401, "invalid_api_key", "Incorrect API key provided")
        if body.get("model") != MODEL:
            raise _Refusal(404, "model_not_found", f"The model `{body.get('model')}` does not exist")
        messages = body.get("messages")
        if not messages or any(m.get("role") not in _ROLES or not isinstance(m.get("content"), str) for m in messages):
            raise _Refusal(400, None, "Invalid 'messages'")
        if not 0 < body.get("max_tokens", 1) <= 16_384:
            raise _Refusal(400, None, "Invalid 'max_tokens'")
        if self.double.is_reasoning and (unknown := {"max_tokens", "temperature"} & set(body)):
            name = sorted(unknown)[0]
            raise _Refusal(400, "unsupported_parameter", f"Unsupported parameter: '{name}'", param=name)
        _check_form(body, knows_schemas=self.double.knows_schemas)

    def _answer(self, body: dict[str, Any], fault: str) -> None:
        if fault.startswith("429"):
            wait = fault.partition(" after ")[2]
            error = {"message": "Rate limit reached", "type": "requests", "code": "rate_limit_exceeded"}
            self._send(429, {"error": error}, **({"Retry-After": wait} if wait else {}))
        elif fault == "no money":
            error = {"message": "You exceeded your current quota", "type": "insufficient_quota"}
            self._send(429, {"error": {**error, "code": "insufficient_quota"}})
        elif fault == "500":
            self._send(500, {"error": {"message": "The server had an error", "type": "server_error", "code": None}})
        elif fault == "html":
            self._send(502, "<html>Bad gateway</html>")
        elif fault == "page":
            self._send(200, "<html>Welcome</html>")
        elif fault == "risk":
            self._send(400, {"error": {"message": "Content Exists Risk", "type": "invalid_request_error"}})
        elif fault == "cut":
            self._cut()
        else:
            time.sleep({"slow": 0.5, "slower": 2.0}.get(fault, 0.0))
            self._send(200, self._completion(body, fault))

    def _completion(self, body: dict[str, Any], fault: str) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
        finish = {"length": "length", "filtered": "content_filter"}.get(fault, "stop")
        if fault == "refused":
            message["refusal"] = "I'm sorry, I can't help with that."
        elif fault == "garbage":
            message["content"] = 'Sure! Here is the JSON: {"title": '
        elif fault == "parts":
            message["content"] = [{"type": "text", "text": "{}"}]
        elif fault == "misfit":
            message["content"] = '{"something": "else"}'
        else:
            form = body.get("response_format", {}).get("json_schema", {})
            said = self.double.replies(form.get("name", ""), body["messages"][-1]["content"])
            message["content"] = json.dumps(said, ensure_ascii=False)
        read = tokens("".join(one["content"] for one in body["messages"]) + json.dumps(body.get("response_format", "")))
        written = tokens(str(message["content"] or message["refusal"] or ""))
        choices = {"empty": [], "null": [None], "word": "none"}
        return {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": MODEL,
            "choices": choices.get(fault, [{"index": 0, "message": message, "finish_reason": finish}]),
            "usage": {"uncounted": {}, "miscounted": "many"}.get(
                fault, {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
            ),
        }

    def _cut(self) -> None:
        """A body that ends before its length."""
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b'{"id": "chatcmpl-1", "choi')
        self.close_connection = True

    def _send(self, status: int, body: object, **headers: str) -> None:
        content = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/html" if isinstance(body, str) else "application/json")
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)


def _check_form(body: dict[str, Any], *, knows_schemas: bool) -> None:
    form = body.get("response_format", {"type": "text"})
    if form["type"] == "json_object":
        if not any("json" in message["content"].lower() for message in body["messages"]):
            raise _Refusal(
                400, None, "'messages' must contain the word 'json' to use 'response_format' of 'json_object'"
            )
    elif form["type"] == "json_schema":
        if not knows_schemas:
            raise _Refusal(400, "invalid_request_error", "This response_format type is unavailable now")
        asked = form["json_schema"]
        if not re.fullmatch(r"[a-zA-Z0-9_-]{1,64}", asked.get("name", "")):
            raise _Refusal(400, None, "Invalid 'response_format.json_schema.name'")
        if asked.get("strict"):
            _check_strict(asked["schema"])


def _check_strict(schema: dict[str, Any]) -> None:
    if schema.get("type") == "object":
        if schema.get("additionalProperties") is not False:
            raise _Refusal(400, None, "Invalid schema for response_format: 'additionalProperties' must be false")
        if sorted(schema.get("required", [])) != sorted(schema["properties"]):
            raise _Refusal(400, None, "Invalid schema for response_format: 'required' must name every property")
        for one in schema["properties"].values():
            _check_strict(one)
    elif schema.get("type") == "array":
        _check_strict(schema["items"])
    elif schema.get("type") not in ("string", "number", "integer", "boolean") and "enum" not in schema:
        raise _Refusal(400, None, "Invalid schema for response_format: a type is missing")
