"""Chat against llama.cpp called directly: `python -m bench.chat [MODEL.gguf]`.

The same GGUF, prompts and greedy decoding; each prompt asked of both in turn, in an order that alternates.
First token: seconds until the first piece. Tokens a second: of the whole answer.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import llama_cpp

from adapters.llama_cpp import LlamaCppEngine
from config.config_loader import ConfigLoader
from config.settings import ROOT, read_settings
from kernel.ids import ElderId, JobId, ModelName, TenantId
from kernel.memory import Memory, memory_id
from kernel.ports import ChatOptions
from kernel.prompt import chat_prompt
from kernel.sample import Message
from kernel.version import ModelVersion

TOKENS = 48
CONTEXT = 4096
ROUNDS = 24


def main() -> None:
    settings = read_settings()
    config = ConfigLoader(settings.config_file, model_dir=settings.model_dir)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf", nargs="?", type=Path, default=config.get_current_model("en").gguf_path)
    gguf = parser.parse_args().gguf
    prompts = _prompts(config)
    folder = settings.data_dir / "bench"
    engine = LlamaCppEngine(folder, threads=settings.threads, context_tokens=CONTEXT)
    version = _version()
    engine.register(version, gguf)
    direct = llama_cpp.Llama(
        str(gguf), n_ctx=CONTEXT, n_threads=settings.threads, n_threads_batch=settings.threads, verbose=False
    )
    options = ChatOptions(temperature=0.0, max_tokens=TOKENS)
    asks: dict[str, Callable[[tuple[Message, ...]], Iterator[str]]] = {
        "chat": lambda prompt: engine.chat(version, prompt, options),
        "llama.cpp": lambda prompt: _direct(direct, prompt),
    }
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in asks}
    for turn in range(ROUNDS + 2):
        names = list(asks) if turn % 2 else list(asks)[::-1]
        for name in names:
            first, rate = _timed(asks[name](prompts[turn % len(prompts)]))
            if turn >= 2:
                times[name].append((first, rate))
    engine.delete(version)
    _print(gguf, times)


def _timed(pieces: Iterator[str]) -> tuple[float, float]:
    began = time.perf_counter()
    next(pieces, "")
    first = time.perf_counter() - began
    count = 1 + sum(1 for _ in pieces)
    return first, count / (time.perf_counter() - began)


def _direct(model: llama_cpp.Llama, prompt: tuple[Message, ...]) -> Iterator[str]:
    messages = [{"role": message.role, "content": message.content} for message in prompt]
    chunks = model.create_chat_completion(messages, temperature=0.0, max_tokens=TOKENS, stream=True)  # type: ignore[arg-type]
    for chunk in chunks:
        text = chunk["choices"][0]["delta"].get("content")  # type: ignore[index,union-attr]
        if text:
            yield text


def _prompts(config: ConfigLoader) -> list[tuple[Message, ...]]:
    """The sample elder's questions, each with three memories, as chat builds them."""
    rows = (ROOT / "config" / "sample_elders" / "en" / "memories.jsonl").read_text(encoding="utf-8").splitlines()
    memories = [
        Memory(
            id=memory_id(row["question"], row["answer"]),
            question=row["question"],
            answer=row["answer"],
            language="en",
            personal_data=(),
        )
        for row in map(json.loads, rows)
    ]
    words = config.get_prompts()["en"]
    return [
        chat_prompt(words, system="You are Margaret.", question=one.question, memories=memories[at : at + 3])
        for at, one in enumerate(memories[:12])
    ]


def _version() -> ModelVersion:
    blank = ModelVersion(
        tenant=TenantId("bench"),
        elder=ElderId("bench"),
        number=1,
        name=ModelName("afs_elder_bench"),
        key="",
        job=JobId(""),
        engine="llama_cpp",
        base="",
        quantisation="",
        size_bytes=0,
        gguf_sha256="",
        system_prompt="",
        language="en",
        memories_digest="",
        arms=(),
        created_at=datetime.now(UTC),
        is_active=False,
    )
    return replace(blank, is_active=True)


def _print(gguf: Path, times: dict[str, list[tuple[float, float]]]) -> None:
    first = {name: statistics.median(one for one, _ in rows) for name, rows in times.items()}
    rate = {name: statistics.median(one for _, one in rows) for name, rows in times.items()}
    print(f"chat, {gguf.name}, {ROUNDS} questions each, greedy, {TOKENS} tokens at most, medians")
    print(f"{'':12}{'first token':>14}{'tokens/s':>12}")
    for name in times:
        print(f"{name:12}{1000 * first[name]:>11.1f} ms{rate[name]:>12.1f}")
    ratio = f"{first['llama.cpp'] / first['chat']:>12.2f}x {rate['chat'] / rate['llama.cpp']:>11.2f}x"
    print(f"{'ratio':12}{ratio}   (1 is as fast; more is faster)")


if __name__ == "__main__":
    main()
