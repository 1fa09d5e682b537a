"""The vLLM engine: one backbone in memory, each version a LoRA adapter on it, told apart by `model`.

    vllm serve /models/base/qwen2.5-7b-instruct --served-model-name qwen2.5-7b-instruct --enable-lora
        --max-loras 8 --max-cpu-loras 64 --max-lora-rank 64 --tensor-parallel-size 2 --generation-config vllm

with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True, which lets anybody who reaches its port load what they like: only this
service may reach it (docker-compose.yml, network `vllm`), and the names that go there are our own.

What a reader would get wrong: vLLM forgets at a restart what was loaded while it ran. The adapters lie in a folder that
both sides see, and one that it has forgotten is loaded again when it is next asked for.
"""

import filecmp
import json
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import httpx

from adapters.engine_server import Answer, EngineServer, Line, as_json
from kernel.errors import BadId, ContextTooLong, EngineUnavailable, HeirloomError, StageFailed
from kernel.ports import ChatOptions, Ending
from kernel.sample import Message
from kernel.version import ModelVersion

FILES = ("adapter_config.json", "adapter_model.safetensors")  #: what vLLM reads of a peft adapter
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,127}")
_TOO_LONG = re.compile(r"maximum context length is (\d+)")
_IS_LOADED = "has already been loaded"
_UNSEEN = "No adapter found"
_IS_DEAD = re.compile("EngineCore|EngineDead")


class VllmEngine:
    """`folder`: where the adapters lie; `seen_as`: that folder as vLLM sees it, when it has another path there."""

    name = "vllm"
    serves_adapters = True
    continues = False

    def __init__(self, url: str, *, key: str, folder: Path, seen_as: str = "", timeout_seconds: float = 120.0) -> None:
        root = url.rstrip("/").removesuffix("/v1")
        self._server = EngineServer("vllm", root, api="vLLM", key=key, timeout_seconds=timeout_seconds)
        self._folder = folder
        self._seen_as = PurePosixPath(seen_as or folder.resolve())

    def check(self) -> None:
        self._models()

    def register(
        self,
        version: ModelVersion,
        gguf: Path,
        *,
        adapter: Path | None = None,
        say: Callable[[str], None] = lambda status: None,
    ) -> None:
        """`adapter`: the peft adapter's folder; the GGUF is of no use here. Raises StageFailed for one that is not
        whole, or that vLLM does not take."""
        if adapter is None or not all((adapter / name).is_file() for name in FILES):
            raise StageFailed(stage="publish", reason="vLLM serves LoRA adapters, and there is none of this model")
        folder = self._place(version)
        is_kept = all(_is_same(folder / name, adapter / name) for name in FILES)
        if is_kept and version.tag in self._models():
            return
        say("copying the adapter")
        _copy(adapter, folder)
        say("loading the adapter")
        if wrong := self._load(version.tag, folder, is_new=True):
            self._remove(folder)
            reason = f"vLLM did not take the adapter: {wrong}"
            if _UNSEEN in wrong:
                reason = f"vLLM sees no adapter at {self._seen(folder)}; check HEIRLOOM_VLLM_ADAPTERS_PATH"
            raise StageFailed(stage="publish", reason=reason)

    def hold(self, name: str) -> bool:
        """Whether `name` is answerable: it is loaded, or lies in the shared folder under that name and is now."""
        return name in self._models() or self._load_again(name, self._folder / name)

    def has(self, version: ModelVersion) -> bool:
        """What vLLM has forgotten is loaded again."""
        return version.tag in self._models() or self._load_again(version.tag, self._place(version))

    def chat(self, version: ModelVersion, messages: Sequence[Message], options: ChatOptions) -> Iterator[str]:
        """Nothing is sent before the first piece is asked for. `close`, from any thread, ends the connection, and with
        it the generation. Raises ContextTooLong."""
        return self.stream(
            version.tag, messages, options, missing=lambda: self._load_again(version.tag, self._place(version))
        )

    def stream(
        self,
        model: str,
        messages: Sequence[Message],
        options: ChatOptions,
        *,
        missing: Callable[[], bool],
    ) -> Answer:
        """`missing`: told when vLLM has no such model; True when it has one now."""
        asked = {
            "model": model,
            "messages": [{"role": message.role, "content": message.content} for message in messages],
            "stream": True,
            "stream_options": {"include_usage": True},
            "temperature": options.temperature,
            "max_tokens": options.max_tokens,
            "stop": list(options.stop),
            **({} if options.top_p is None else {"top_p": options.top_p}),
            "repetition_penalty": 1.0,  # as the embedded engine, whatever the model's own settings say
        }

        def refused(status: int, said: str) -> HeirloomError | None:
            if status == httpx.codes.NOT_FOUND and missing():
                return None
            return self._refusal(model, status, said)

        read = _Events(lambda status, said: self._refusal(model, status, said))
        return self._server.answer("/v1/chat/completions", asked, read=read, refused=refused)

    def activate(self, version: ModelVersion) -> None:
        """A version is asked for by its tag, and there is no other name."""

    def delete(self, version: ModelVersion, *, at_once: bool = True) -> None:
        self._unload(version.tag)
        self._remove(self._place(version))

    def close(self) -> None:
        self._server.close()

    def _place(self, version: ModelVersion) -> Path:
        if not _NAME.fullmatch(version.name):
            raise BadId(field="name")
        return self._folder / version.name / f"v{version.number:d}"

    def _seen(self, folder: Path) -> str:
        return str(self._seen_as / folder.relative_to(self._folder).as_posix())

    def _remove(self, folder: Path) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            raise self._server.unavailable(f"{folder} cannot be removed")
        if folder.parent.is_dir() and not any(folder.parent.iterdir()):
            folder.parent.rmdir()

    def _load_again(self, name: str, folder: Path) -> bool:
        if not folder.is_dir():
            return False
        if wrong := self._load(name, folder):
            raise self._server.unavailable(f"it does not take the adapter of {name} any more: {wrong}")
        return True

    def _load(self, name: str, folder: Path, *, is_new: bool = False) -> str:
        """Why vLLM does not take it; "" when it did. `is_new`: it takes the place of what had that name."""
        wanted = {"lora_name": name, "lora_path": self._seen(folder)}
        response = self._post("/v1/load_lora_adapter", wanted)
        if _IS_LOADED in response.text and is_new:
            self._unload(name)
            response = self._post("/v1/load_lora_adapter", wanted)
        if response.status_code == httpx.codes.OK or _IS_LOADED in response.text:
            return ""
        return _said(response.text)

    def _models(self) -> set[str]:
        with self._server.translated():
            response = self._checked(self._server.ask("GET", "/v1/models")).raise_for_status()
            return {str(model["id"]) for model in response.json()["data"]}

    def _unload(self, name: str) -> None:
        response = self._post("/v1/unload_lora_adapter", {"lora_name": name})
        if response.status_code != httpx.codes.OK and "cannot be found" not in response.text:
            raise self._server.unavailable(f"it did not let {name} go: {_said(response.text)}")

    def _post(self, path: str, body: Mapping[str, object]) -> httpx.Response:
        return self._checked(self._server.ask("POST", path, body))

    def _checked(self, response: httpx.Response) -> httpx.Response:
        """What is wrong with the server and not with what was asked is said here."""
        if response.status_code == httpx.codes.UNAUTHORIZED:
            raise self._server.unavailable("its key is not accepted; check HEIRLOOM_VLLM_KEY")
        if response.status_code == httpx.codes.NOT_FOUND and '"Not Found"' in response.text:
            reason = "it loads no adapters; start its server with VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"
            raise self._server.unavailable(reason)
        if _IS_DEAD.search(response.text):
            raise self._server.unavailable("it broke down; start its server again")
        return response

    def _refusal(self, model: str, status: int, said: str) -> EngineUnavailable | ContextTooLong:
        if found := _TOO_LONG.search(said):
            return ContextTooLong(limit=int(found[1]))
        if status == httpx.codes.UNAUTHORIZED:
            return self._server.unavailable("its key is not accepted; check HEIRLOOM_VLLM_KEY")
        if status == httpx.codes.NOT_FOUND:
            return self._server.unavailable(f"it has no model {model}; train again")
        return self._server.unavailable(f"it ended the answer with an error (HTTP {status})")


class _Events:
    """Reads the server-sent events of one answer; why it ends and what it counted come before its end."""

    def __init__(self, refusal: Callable[[int, str], HeirloomError]) -> None:
        self._refusal = refusal
        self._is_cut = False
        self._ending: Ending | None = None

    def __call__(self, line: bytes) -> Line:
        kind, _, data = line.strip().partition(b":")
        if kind != b"data":  # an empty line, or a comment that keeps the connection open
            return Line()
        if data.strip() == b"[DONE]":
            return Line(is_last=True, ending=self._ending)
        part = as_json(data)
        if "error" in part:
            raise self._refusal(int(part["error"]["code"]), str(part["error"]["message"]))
        self._is_cut |= any(choice.get("finish_reason") == "length" for choice in part["choices"])
        if usage := part.get("usage"):
            self._ending = Ending(
                tokens_read=usage["prompt_tokens"], tokens_written=usage["completion_tokens"], is_cut=self._is_cut
            )
        return Line("".join(choice["delta"].get("content") or "" for choice in part["choices"]))


def _said(text: str) -> str:
    """vLLM's sentence about an adapter: no person's words are in it."""
    try:
        return str(json.loads(text)["error"]["message"])[:200]
    except (ValueError, KeyError, TypeError):
        return "?"


def _is_same(one: Path, other: Path) -> bool:
    return one.is_file() and filecmp.cmp(one, other, shallow=False)


def _copy(source: Path, target: Path) -> None:
    """Whole or not at all; what training leaves besides the adapter stays behind."""
    aside = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        for name in FILES:
            shutil.copyfile(source / name, aside / name)
        shutil.rmtree(target, ignore_errors=True)
        aside.rename(target)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
