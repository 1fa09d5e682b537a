"""A strict double of vLLM's OpenAI-compatible server with LoRA adapters, on a loopback port.

Statuses, shapes and sentences are those of vllm-project/vllm (2026): entrypoints/openai/models/serving.py,
entrypoints/serve/lora/api_router.py, entrypoints/serve/utils/{server_utils,error_response}.py. Real answers come
from SmolLM2 in llama.cpp with the very adapter that was loaded.

with VllmDouble() as vllm:
    VllmEngine(vllm.url, key=KEY, folder=folder)
    vllm.restart()          it forgets what was loaded while it ran
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gguf import GGUFWriter
from safetensors.numpy import load_file

from adapters.gguf_file import read_gguf
from kernel.sample import Message
from tests.engine_fixtures import smollm2
from tests.http_double import Handler, HttpDouble, Refusal
from tests.llama_answers import LlamaAnswers, Model

KEY, BACKBONE = "vllm-key", "smollm2-135m"
_ROLES = {"system", "user", "assistant", "developer", "tool"}
_TENSORS = {"self_attn.o_proj": "attn_output", "mlp.down_proj": "ffn_down"}  #: those whose rows need no new order

Answer = Callable[[str, dict[str, Any]], Iterator[str]]


@dataclass(kw_only=True)
class Faults:
    chat_fails_after: int | None = None  #: an error event under HTTP 200, after so many pieces
    chat_drops_after: int | None = None  #: the connection is gone after so many pieces
    is_dead: bool = False  #: the engine's process is gone, its API server still there
    keeps_adapters: bool = False  #: an adapter is not let go


class _Handler(Handler):
    double: "VllmDouble"

    def route(self, method: str) -> None:
        try:
            raw = self.body() if method == "POST" else b""
            if self.path.startswith("/v1") and self.headers.get("Authorization") != f"Bearer {KEY}":
                self.send_json(401, {"error": "Unauthorized"})
                return
            body = self._parsed(raw) if method == "POST" else {}
            self.double.requests.append((method, self.path, body))
            self._act(method, body)
        except Refusal as refusal:
            self.send_json(refusal.status, {"error": refusal.error})

    def _act(self, method: str, body: dict[str, Any]) -> None:
        double = self.double
        is_open = double.allows_updating
        if (method, self.path) == ("GET", "/v1/models"):
            self.send_json(200, double.models())
        elif (method, self.path) == ("POST", "/v1/load_lora_adapter") and is_open:
            self.send_text(200, double.load(body), "text/plain")
        elif (method, self.path) == ("POST", "/v1/unload_lora_adapter") and is_open:
            self.send_text(200, double.unload(body), "text/plain")
        elif (method, self.path) == ("POST", "/v1/chat/completions"):
            self._chat(body)
        else:
            raise _refused(404, "Not Found", "Not Found")

    def _chat(self, body: dict[str, Any]) -> None:
        pieces = self.double.chat(body)
        if body.get("stream"):
            self.send_stream("text/event-stream; charset=utf-8", self.double.events(body, pieces))
            return
        message = {"role": "assistant", "content": "".join(pieces)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        usage = {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": body["model"]}
        self.send_json(200, head | {"choices": [choice], "usage": usage})

    def _parsed(self, raw: bytes) -> dict[str, Any]:
        if self.headers.get("Content-Type", "").partition(";")[0] != "application/json":
            raise _refused(415, "Unsupported Media Type: Only 'application/json' is allowed", "Unsupported Media Type")
        try:
            body = json.loads(raw)
        except ValueError:
            raise _refused(400, "JSON decode error", "Bad Request") from None
        if not isinstance(body, dict):
            raise _refused(400, "Input should be a valid dictionary", "Bad Request")
        return body


class VllmDouble(HttpDouble):
    """`answer(prompt, body)` gives the pieces; without it the real SmolLM2 does."""

    handler = _Handler

    def __init__(
        self,
        answer: Answer | None = None,
        *,
        max_model_len: int = 512,
        max_lora_rank: int = 16,
        allows_updating: bool = True,
    ) -> None:
        super().__init__()
        self.allows_updating = allows_updating  #: VLLM_ALLOW_RUNTIME_LORA_UPDATING
        self.faults = Faults()
        self.loaded: dict[str, Path] = {}  #: name -> path
        self.answer = answer
        self._max_model_len, self._max_lora_rank = max_model_len, max_lora_rank
        self._llama = LlamaAnswers()
        self._ggufs = TemporaryDirectory(prefix="vllm-double-")

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._ggufs.cleanup()

    def restart(self) -> None:
        self.loaded.clear()

    def models(self) -> dict[str, Any]:
        self._check_alive()
        cards = [{"id": BACKBONE, "object": "model", "root": BACKBONE, "parent": None}]
        cards += [
            {"id": name, "object": "model", "root": str(path), "parent": BACKBONE} for name, path in self.loaded.items()
        ]
        return {"object": "list", "data": cards}

    def load(self, body: dict[str, Any]) -> str:
        name, path = _text(body, "lora_name"), _text(body, "lora_path")
        if not name or not path:
            raise _refused(400, "Both 'lora_name' and 'lora_path' must be provided.", "InvalidUserInput")
        if name in self.loaded and not body.get("load_inplace"):
            said = f"The lora adapter '{name}' has already been loaded. If you want to load the adapter in place, set"
            raise _refused(400, f"{said} 'load_inplace' to True.", "InvalidUserInput")
        self._check_alive()
        folder = Path(path)
        if not (folder / "adapter_config.json").is_file():
            said = f"Loading lora {name} failed: No adapter found for {path}"
            raise _refused(404, said, "NotFoundError")
        rank = json.loads((folder / "adapter_config.json").read_text())["r"]
        if rank > self._max_lora_rank:
            said = f"LoRA rank {rank} is greater than max_lora_rank {self._max_lora_rank}."
            raise _refused(500, said, "InternalServerError")
        if not (folder / "adapter_model.safetensors").is_file():
            raise _refused(500, f"{path} doesn't contain tensors", "InternalServerError")
        self.loaded[name] = folder
        return f"Success: LoRA adapter '{name}' added successfully."

    def unload(self, body: dict[str, Any]) -> str:
        name = _text(body, "lora_name")
        if name not in self.loaded:
            raise _refused(404, f"The lora adapter '{name}' cannot be found.", "NotFoundError")
        if self.faults.keeps_adapters:
            raise _refused(500, f"Failed to remove lora adapter '{name}' from the engine.", "InternalServerError")
        del self.loaded[name]
        return f"Success: LoRA adapter '{name}' removed successfully."

    def chat(self, body: dict[str, Any]) -> Iterator[str]:
        messages = _messages(body)
        model = body.get("model")
        if model != BACKBONE and model not in self.loaded:
            raise _refused(404, f"The model `{model}` does not exist.", "NotFoundError", param="model")
        if body.get("stream_options") and not body.get("stream"):
            raise _refused(400, "Stream options can only be defined when `stream=True`.", "BadRequestError")
        if (wanted := body.get("max_tokens", 16)) < 1:
            raise _refused(400, f"max_tokens must be at least 1, got {wanted}.", "BadRequestError", param="max_tokens")
        if not 0 < (top_p := body.get("top_p", 1.0)) <= 1:
            raise _refused(400, f"top_p must be in (0, 1], got {top_p}.", "BadRequestError", param="top_p")
        stop = [given] if isinstance(given := body.get("stop") or [], str) else given
        if not isinstance(stop, list) or not all(isinstance(one, str) for one in stop):
            raise _refused(400, "Input should be a valid list of strings", "Bad Request", param="stop")
        if not all(stop):
            raise _refused(400, "stop cannot contain an empty string.", "BadRequestError", param="stop")
        self._check_alive()
        prompt = read_gguf(smollm2()).render(messages)
        if self.answer is not None:
            return iter(self.answer(prompt, body))
        llama = self._model(str(model))
        tokens = llama.tokens(prompt)
        if len(tokens) + wanted > self._max_model_len:
            raise _refused(400, self._too_long(wanted, len(tokens)), "BadRequestError", param="input_tokens")
        form = body.get("response_format", {})
        return llama.answer(
            tokens,
            max_tokens=wanted,
            temperature=float(body.get("temperature", 0.7)),
            repeat_penalty=float(body.get("repetition_penalty", 1.0)),
            top_p=float(top_p),
            stop=["<|im_end|>", *stop],
            schema=form["json_schema"]["schema"] if form.get("type") == "json_schema" else None,
        )

    def events(self, body: dict[str, Any], pieces: Iterator[str]) -> Iterator[bytes | None]:
        yield _event(body, [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        count = 0
        for count, piece in enumerate(pieces, start=1):
            if count - 1 == self.faults.chat_fails_after:
                error = {"message": "EngineCore is gone", "type": "InternalServerError", "param": None, "code": 500}
                yield b"data: " + json.dumps({"error": error}).encode() + b"\n\n"
                yield b"data: [DONE]\n\n"
                return
            if count - 1 == self.faults.chat_drops_after:
                yield None
            yield b": keep-alive\n\n"
            yield _event(body, [{"index": 0, "delta": {"content": piece}, "finish_reason": None}])
        why = "length" if count >= body.get("max_tokens", 16) else "stop"
        yield _event(body, [{"index": 0, "delta": {"content": ""}, "finish_reason": why}])
        if body.get("stream_options", {}).get("include_usage"):
            yield _event(body, [], usage={"prompt_tokens": 7, "completion_tokens": count, "total_tokens": 7 + count})
        yield b"data: [DONE]\n\n"

    def _model(self, name: str) -> Model:
        folder = self.loaded.get(name)
        adapter = _as_gguf(folder, Path(self._ggufs.name)) if folder else None
        return self._llama.open(smollm2(), adapter, context_tokens=self._max_model_len)

    def _check_alive(self) -> None:
        if self.faults.is_dead:
            said = "EngineCore encountered an issue. See stack trace (above) for the root cause."
            raise _refused(500, said, "InternalServerError")

    def _too_long(self, wanted: int, have: int) -> str:
        return (
            f"This model's maximum context length is {self._max_model_len} tokens. However, you requested {wanted} "
            f"output tokens and your prompt contains at least {have} input tokens, for a total of at least "
            f"{wanted + have} tokens. Please reduce the length of the input prompt or the number of requested "
            "output tokens."
        )


def _refused(status: int, message: str, kind: str, *, param: str | None = None) -> Refusal:
    return Refusal(status, {"message": message, "type": kind, "param": param, "code": status})


def _text(body: dict[str, Any], name: str) -> str:
    if not isinstance(body.get(name), str):
        raise _refused(400, f"1 validation error: '{name}' Input should be a valid string", "Bad Request", param=name)
    return str(body[name])


def _messages(body: dict[str, Any]) -> list[Message]:
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise _refused(400, "Input should be a valid list", "Bad Request", param="messages")
    if any(one.get("role") not in _ROLES or not isinstance(one.get("content"), str) for one in messages):
        raise _refused(400, "Unknown role or content", "BadRequestError", param="messages")
    return [Message(role=one["role"], content=one["content"]) for one in messages]


def _event(body: dict[str, Any], choices: list[dict[str, Any]], **more: Any) -> bytes:
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": body["model"]}
    return b"data: " + json.dumps(head | {"choices": choices} | more, ensure_ascii=False).encode() + b"\n\n"


def _as_gguf(folder: Path, into: Path) -> Path:
    """The peft adapter as llama.cpp reads it."""
    config = json.loads((folder / "adapter_config.json").read_text())
    file = into / f"{abs(hash(folder))}-{(folder / 'adapter_model.safetensors').stat().st_mtime_ns}.gguf"
    if file.exists():
        return file
    writer = GGUFWriter(file, "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", float(config["lora_alpha"]))
    for name, weights in load_file(folder / "adapter_model.safetensors").items():
        layer, _, place = name.removeprefix("base_model.model.model.layers.").partition(".")
        module, _, half = place.removesuffix(".weight").rpartition(".")
        writer.add_tensor(f"blk.{layer}.{_TENSORS[module]}.weight.{half.lower()}", weights)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file
