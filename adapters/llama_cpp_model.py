"""A language model in this process: a GGUF whose replies a grammar keeps to the task's JSON schema.

The elder's words go nowhere. A small model fits the form and may still write nonsense: whoever asks checks what it
says, as with any other.
"""

import hashlib
import json
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import jsonschema
from jinja2 import TemplateError

from adapters.context import Context, Voice
from adapters.local_model import LocalModel
from kernel.errors import ContextTooLong, EngineUnavailable, StageFailed, TeacherGarbled, TeacherMisconfigured
from kernel.language_model import Reply, Task
from kernel.ports import ChatOptions


class LlamaCppModel:
    """Implements kernel.ports.LanguageModel. Loaded at the first task, and kept; one task at a time."""

    def __init__(self, gguf: Path, *, threads: int, context_tokens: int, adapter: Path | None = None) -> None:
        """`adapter`: a LoRA adapter for it, as a GGUF."""
        self._gguf, self._adapter, self._threads, self._context_tokens = gguf, adapter, threads, context_tokens
        self._lock = threading.Lock()
        self._voice = Voice()
        self._loaded: tuple[LocalModel, Context] | None = None

    @property
    def name(self) -> str:
        """Another file under the same name is another model, and so is another room for its prompt."""
        with_adapter = f"+{_mark(self._adapter)}" if self._adapter else ""
        return f"llama.cpp/{self._gguf.name}/{_mark(self._gguf)}{with_adapter}/{self._context_tokens}"

    def reply(self, task: Task, *, pause: Callable[[float], None], begin: Callable[[], None] = lambda: None) -> Reply:
        """`pause(0)` is called after each piece of the reply."""
        with self._lock:
            begin()
            model, context = self._loaded = self._loaded or self._load()
            pieces: list[str] = []
            try:
                answer = context.answer(
                    task.messages,
                    voice=self._voice,
                    options=ChatOptions(temperature=0.0, max_tokens=task.max_tokens),
                    schema=task.schema.as_json(),
                )
                with closing(answer):
                    for piece in answer:
                        pieces.append(piece)
                        pause(0.0)
            except TemplateError:
                reason = f"{self._gguf} takes no instructions; check HEIRLOOM_TEACHER_GGUF"
                raise TeacherMisconfigured(reason=reason) from None
            except ContextTooLong:
                raise TeacherGarbled(reason="no reply, as the task is too long for it") from None
            text = "".join(pieces)
            try:
                value = json.loads(text)
                jsonschema.validate(value, task.schema.as_json())
            except (ValueError, jsonschema.ValidationError):
                raise TeacherGarbled(reason="a reply that was cut off") from None
            return Reply(value=value, tokens_read=len(model.prompt(task.messages)), tokens_written=len(pieces))

    def check(self) -> None:
        """Raises TeacherMisconfigured when it cannot be loaded."""
        with self._lock:
            self._loaded = self._loaded or self._load()

    def close(self) -> None:
        with self._lock:
            if self._loaded is not None:
                model, context = self._loaded
                context.close()
                if self._voice.adapter:
                    model.release(self._voice.adapter)
                model.close()
                self._loaded = None

    def _load(self) -> tuple[LocalModel, Context]:
        try:
            model = LocalModel(self._gguf)
            self._voice = Voice(adapter=model.adapter(self._adapter) if self._adapter else None)
            return model, Context(model, context_tokens=self._context_tokens, threads=self._threads)
        except (EngineUnavailable, StageFailed) as error:
            reason = f"{self._gguf} cannot be loaded; check HEIRLOOM_TEACHER_GGUF"
            raise TeacherMisconfigured(reason=reason) from error


def _mark(gguf: Path) -> str:
    """Of its size and of its last megabyte, where the weights are: gigabytes are not read for a name."""
    if not gguf.is_file():
        return "missing"
    size = gguf.stat().st_size
    with gguf.open("rb") as file:
        file.seek(max(0, size - (1 << 20)))
        return hashlib.sha256(str(size).encode() + file.read()).hexdigest()[:12]
