"""Which engine serves: Ollama when a host is configured, the embedded llama.cpp otherwise."""

from pathlib import Path

from adapters.llama_cpp import LlamaCppEngine
from adapters.ollama import OllamaEngine
from kernel.ports import Engine


def open_engine(*, ollama_host: str, gguf_dir: Path, threads: int, context_tokens: int, max_loaded: int) -> Engine:
    if ollama_host:
        return OllamaEngine(ollama_host, context_tokens=context_tokens)
    return LlamaCppEngine(gguf_dir, threads=threads, context_tokens=context_tokens, max_loaded=max_loaded)
