"""The companion's model against the memory's limit and against plain `generate` with a streamer, in one run.

    python -m bench companion                          on a GPU Qwen2.5-14B's shape, on a CPU SmolLM2's, random weights
    python -m bench companion --random qwen2.5-14b --contexts 1000 6000 14000 --static
    python -m bench companion --model smollm2-135m-instruct

The limit of a token: the bytes of the weights and of the cache, each read once, at the speed at which this device was
just seen to read. First token: from the question to the first token, the prompt computed anew; "reused" is a further
question of the same conversation. Speed does not ask what the weights are, so random ones will do.
"""

import argparse
import asyncio
import logging
import statistics
import threading
import time
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaConfig,
    Qwen2Config,
    TextIteratorStreamer,
    TextStreamer,
)
from transformers.utils import logging as transformers_logging

from adapters.qwen_llm import QwenLLMService
from config.companion_config import read_companion, read_companion_words
from config.config_loader import ConfigLoader
from config.settings import read_settings
from kernel.companion import CompanionSettings, Profile
from kernel.sample import Message

TOKENS, ROUNDS = 32, 3
_SHAPES: dict[str, Any] = {
    "qwen2.5-14b": Qwen2Config(
        vocab_size=152_064,
        hidden_size=5120,
        intermediate_size=13_824,
        num_hidden_layers=48,
        num_attention_heads=40,
        num_key_value_heads=8,
        max_position_embeddings=32_768,
        rope_parameters={"rope_type": "default", "rope_theta": 1_000_000.0},
    ),
    "smollm2-135m": LlamaConfig(
        vocab_size=49_152,
        hidden_size=576,
        intermediate_size=1536,
        num_hidden_layers=30,
        num_attention_heads=9,
        num_key_value_heads=3,
        max_position_embeddings=8192,
        tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": 100_000.0},
    ),
}


def main(arguments: list[str] | None = None) -> None:
    is_gpu = torch.cuda.is_available()
    parser = argparse.ArgumentParser(prog="python -m bench companion")
    parser.add_argument("--model", default="", help="a base model's key instead of random weights")
    parser.add_argument("--random", default="qwen2.5-14b" if is_gpu else "smollm2-135m", choices=sorted(_SHAPES))
    parser.add_argument("--contexts", type=int, nargs="+", default=[1000, 6000, 14_000] if is_gpu else [256, 1000])
    parser.add_argument("--static", action="store_true", help="static caches: on a GPU the steps are compiled")
    wanted = parser.parse_args(arguments)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    settings = read_settings()
    config = ConfigLoader(settings.config_file, model_dir=settings.model_dir)
    _Random.shape = wanted.random
    kind = QwenLLMService if wanted.model else _Random
    folder = config.find_folder(wanted.model) if wanted.model else config.get_current_model("en").hf_path
    service = _service(kind, folder, max(wanted.contexts), is_gpu=is_gpu, is_static=wanted.static)
    _print_head(wanted.model or f"{wanted.random}, random weights", is_gpu, wanted.static)
    for context in wanted.contexts:
        asyncio.run(_measure(service, context))
    service.close()


class _Random(QwenLLMService):
    """A model of that shape with random weights, made where it will run; the tokens are those of the folder's model."""

    shape = ""

    def _load_model(self, name: str) -> bool:
        with torch.device(self._device):
            dtype = torch.bfloat16 if self._device.startswith("cuda") else torch.float32
            model = AutoModelForCausalLM.from_config(_SHAPES[self.shape], dtype=dtype)
        tokenizer = AutoTokenizer.from_pretrained(self._folders[name], local_files_only=True)
        self._use(self.shape, model.eval(), tokenizer)
        return True


async def _measure(service: QwenLLMService, context: int) -> None:
    limit = _limit(service, context)
    rows: dict[str, list[tuple[float, float]]] = {"anew": [], "reused": [], "plain": []}
    for turn in range(ROUNDS + 1):
        ours, plain = f"{context}/{turn}", _prompt(service, context, turn)
        measured = {
            "plain": _plainly(service, plain),
            "anew": await _streamed(service, plain, ours),
            "reused": await _streamed(service, (*plain[:-1], Message(role="user", content="And then, what?")), ours),
        }
        if turn:
            for name, row in measured.items():
                rows[name].append(row)
    for name, label in (("plain", "plain generate"), ("anew", "companion, anew"), ("reused", "companion, reused")):
        first, each = (statistics.median(column) for column in zip(*rows[name], strict=True))
        figures = f"{1000 * first:>11.1f} ms{1000 * each:>11.2f} ms{1000 * limit:>11.2f} ms{each / limit:>9.2f}x"
        print(f"{context:>7}  {label:18}{figures}", flush=True)


async def _streamed(service: QwenLLMService, prompt: tuple[Message, ...], conversation: str) -> tuple[float, float]:
    """Seconds to the first token, and of each that follows."""
    first, watch = _watch()
    began = time.perf_counter()
    async with aclosing(service.generate_stream(prompt, profile="bench", conversation=conversation)) as pieces:
        async for _ in pieces:
            pass
    watch()
    return first[0] - began, (first[-1] - first[0]) / (len(first) - 1)


def _plainly(service: QwenLLMService, prompt: tuple[Message, ...]) -> tuple[float, float]:
    model, tokenizer = service._model, service._tokenizer
    first, watch = _watch()
    began = time.perf_counter()
    ids = tokenizer(service.render(prompt), add_special_tokens=False, return_tensors="pt").input_ids.to(model.device)
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True)
    asked = {"attention_mask": torch.ones_like(ids), "max_new_tokens": TOKENS, "do_sample": False, "streamer": streamer}
    thread = threading.Thread(target=model.generate, args=(ids,), kwargs=asked)
    thread.start()
    for _ in streamer:
        pass
    thread.join()
    watch()
    return first[0] - began, (first[-1] - first[0]) / (len(first) - 1)


def _watch() -> tuple[list[float], Callable[[], None]]:
    """When each token was chosen: the model's own pieces of text wait for whole words."""
    times: list[float] = []
    put = TextStreamer.put

    def noted(self: Any, value: Any) -> None:
        if not self.next_tokens_are_prompt:
            times.append(time.perf_counter())
        put(self, value)

    TextStreamer.put = noted  # type: ignore[method-assign]
    return times, lambda: setattr(TextStreamer, "put", put)


def _limit(service: QwenLLMService, context: int) -> float:
    """Seconds in which the weights and the cache of `context` tokens can be read once."""
    model, config = service._model, service._model.config
    weights = sum(one.numel() * one.element_size() for one in model.parameters())
    if not config.tie_word_embeddings:
        weights -= model.get_input_embeddings().weight.numel() * model.dtype.itemsize  # one row of it is read
    head = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    cache = 2 * config.num_hidden_layers * config.num_key_value_heads * head * model.dtype.itemsize * context
    return (weights + cache) / _bandwidth(model.device)


def _bandwidth(device: torch.device) -> float:
    """Bytes a second, the best of some readings of 1 GB (CPU: 0.25 GB)."""
    size = 1 << (30 if device.type == "cuda" else 28)
    data, best = torch.zeros(size // 4, dtype=torch.float32, device=device), 0.0
    for _ in range(6):
        began = time.perf_counter()
        data.sum().item()
        best = max(best, size / (time.perf_counter() - began))
    return best


def _prompt(service: QwenLLMService, context: int, turn: int) -> tuple[Message, ...]:
    """Of `context` tokens; every turn begins in another way."""
    system, asked = (
        Message(role="system", content=f"Conversation {turn}."),
        Message(role="user", content="Tell me more."),
    )
    words = "the river rose in the night and we carried the lamps up the hill "
    told = words * (context // 8)
    while (
        service.count((system, Message(role="user", content=told), Message(role="assistant", content="Yes."), asked))
        > context
    ):
        told = told[: -len(words)]
    return system, Message(role="user", content=told), Message(role="assistant", content="Yes."), asked


def _service(
    kind: type[QwenLLMService], folder: Path, longest: int, *, is_gpu: bool, is_static: bool
) -> QwenLLMService:
    profile = Profile(max_new_tokens=TOKENS, temperature=0.0, top_p=1.0, top_k=50)
    settings: CompanionSettings = replace(
        read_companion(),
        model="bench",
        fallback_model="bench",
        dtype="bfloat16" if is_gpu else "float32",
        profiles={"bench": profile},
        default_profile="bench",
        max_context_tokens=longest + 256,
        kept_conversations=1,
        static_cache=is_static,
        generation_timeout_seconds=600,
    )
    service = kind(settings, read_companion_words(), folders={"bench": folder})
    service._model.generation_config.eos_token_id = None  # every answer is as long
    return service


def _print_head(model: str, is_gpu: bool, is_static: bool) -> None:
    where = torch.cuda.get_device_name(0) if is_gpu else f"CPU, {torch.get_num_threads()} threads"
    print(f"companion, {model}, {where}, {'static' if is_static else 'dynamic'} cache, medians of {ROUNDS}")
    print(f"{'context':>7}  {'':18}{'first token':>14}{'a token':>14}{'limit':>14}{'of limit':>10}")


if __name__ == "__main__":
    main()
