"""Real answers for the doubles: llama.cpp with a GGUF and perhaps a LoRA adapter, one answer at a time a model."""

import json
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from adapters.local_model import library


class LlamaAnswers:
    """Each pair of a model and an adapter is loaded once."""

    def __init__(self) -> None:
        self._models: dict[tuple[Path | None, Path | None], Model] = {}
        self._opening = threading.Lock()

    def open(self, gguf: Path | None, adapter: Path | None, *, context_tokens: int) -> "Model":
        with self._opening:
            if (gguf, adapter) not in self._models:
                self._models[gguf, adapter] = Model(gguf, adapter, context_tokens)
            return self._models[gguf, adapter]


class Model:
    def __init__(self, gguf: Path | None, adapter: Path | None, context_tokens: int) -> None:
        self._llama = library().Llama(
            str(gguf),
            lora_path=str(adapter) if adapter else None,
            n_ctx=context_tokens,
            n_threads=1,
            n_threads_batch=1,
            verbose=False,
        )
        self._lock = threading.Lock()

    def tokens(self, prompt: str) -> list[int]:
        return list(self._llama.tokenize(prompt.encode(), add_bos=False, special=True))

    def answer(
        self, tokens: Sequence[int], *, stop: Sequence[str] = (), schema: object = None, **options: Any
    ) -> Iterator[str]:
        grammar = library().LlamaGrammar.from_json_schema(json.dumps(schema), verbose=False) if schema else None
        with self._lock, closing(self._parts(tokens, stop=list(stop), grammar=grammar, **options)) as parts:
            yield from parts

    def _parts(self, tokens: Sequence[int], **options: Any) -> Iterator[str]:
        for part in self._llama.create_completion(list(tokens), stream=True, **options):
            if text := part["choices"][0]["text"]:
                yield text
