"""Which language model teaches, if any: the settings' words, as an adapter."""

from pathlib import Path

from adapters.llama_cpp_model import LlamaCppModel
from adapters.openai_model import OpenAiModel
from kernel.ports import LanguageModel


def open_teacher(
    *, gguf: str, url: str, key: str, model: str, calls_a_minute: int, threads: int, context_tokens: int
) -> LanguageModel | None:
    """A GGUF in this process, else an endpoint, else None: the built-in teacher. Nothing is asked or loaded yet."""
    if gguf:
        return LlamaCppModel(Path(gguf), threads=threads, context_tokens=context_tokens)
    if url:
        return OpenAiModel(url, api_key=key, model=model, calls_a_minute=calls_a_minute)
    return None
