"""Convert what was trained to a GGUF, and see that it still says the same as the merged weights.

Request: merged (folder), adapter (peft folder: convert that alone; or ""), base (its transformers folder), base_gguf
(that it will be served on), gguf (file to write), llama_cpp_dir, quantisation, prompts (message lists), dtype (to
compare in), threads. Result: {"same", "asked", "cosine", "agreed"}. Raises ConversionMismatch.

Three checks, one for each thing that can go wrong: every prompt must become the same tokens (chat template,
tokenizer); in f16 the logits must be the same (converter: of the merged weights, or of the base with the adapter on
it); and what will be served, quantised, reading each answer of the merged weights token by token, must want to say
the next one. Free-running answers are not compared: one flipped token changes all that follows. Measured on 8 prompts
each, untaught, least to most agreed: SmolLM2 f16 1.00, q8_0 0.91-1.00 (free-running: 2 of 8 the same), q4_k_m
0.78-0.94; Gemma 270M f16 1.00, q8_0 0.91-1.00, q4_k_m 0.78-1.00.
"""

from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from adapters.converter import convert, convert_adapter
from adapters.llama_cpp import quantise
from adapters.local_model import LocalModel
from adapters.program import Say, program_main
from adapters.seats import Seats
from kernel.errors import ConversionMismatch, StageFailed
from kernel.sample import Message

NEW_TOKENS = 32  #: of an answer
LEAST_COSINE = 0.999  #: between the logits after a prompt: f16 GGUF and transformers
LEAST_AGREED = 0.8  #: share of an answer's tokens, for it to count as the same
LEAST_SAME = 0.5  #: share of the answers

Tokens = list[int]


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    threads = request["threads"]
    torch.set_num_threads(threads)
    full, adapter = _convert(request)
    say(0.4)
    prompts, logits, answers = _ask(Path(request["merged"]), _messages(request), getattr(torch, request["dtype"]))
    say(0.6)
    with _Reader(full, adapter, prompts, threads) as reader:
        reader.check_tokens(_messages(request), prompts)
        cosine = min(_cosine(reader.logits(prompts[n]), logits[n]) for n in range(min(2, len(prompts))))
    served = Path(request["base_gguf"] if adapter else request["gguf"])
    if not adapter:
        quantise(full, served, request["quantisation"], threads=threads)
    full.unlink()
    say(0.8)
    with _Reader(served, adapter, prompts, threads) as reader:
        agreed = [reader.agreed(*pair) for pair in zip(prompts, answers, strict=True)]
    same, asked = sum(share >= LEAST_AGREED for share in agreed), len(prompts)
    if cosine < LEAST_COSINE or same < LEAST_SAME * asked:
        raise ConversionMismatch(stage="convert_gguf", same=same, asked=asked, cosine=round(cosine, 6))
    return {"same": same, "asked": asked, "cosine": cosine, "agreed": sum(agreed) / asked}


def _convert(request: dict[str, Any]) -> tuple[Path, Path | None]:
    """(weights in f16, adapter): the merged weights and none, or the base's and the adapter that is wanted."""
    converter, gguf, base = (Path(request[name]) for name in ("llama_cpp_dir", "gguf", "base"))
    full, log = gguf.with_name("full.gguf"), gguf.with_name("converter.log")
    convert(converter, base if request["adapter"] else Path(request["merged"]), full, outtype="f16", log=log)
    if not request["adapter"]:
        return full, None
    convert_adapter(converter, Path(request["adapter"]), gguf, base=base, log=log)
    return full, gguf


def _messages(request: dict[str, Any]) -> list[list[Message]]:
    return [[Message(**message) for message in prompt] for prompt in request["prompts"]]


@torch.inference_mode()
def _ask(
    merged: Path, prompts: Sequence[Sequence[Message]], dtype: torch.dtype
) -> tuple[list[Tokens], np.ndarray, list[Tokens]]:
    """The merged weights: each prompt's tokens, the logits after it, and the greedy answer's tokens."""
    tokenizer = AutoTokenizer.from_pretrained(merged, padding_side="left")
    model = AutoModelForCausalLM.from_pretrained(merged, dtype=dtype).eval()
    rows = [_tokens(tokenizer, prompt) for prompt in prompts]
    made = [_answer(model, row) for row in rows]
    logits = np.stack([first for first, _ in made])
    return rows, logits, [answer for _, answer in made]


def _tokens(tokenizer: PreTrainedTokenizerBase, prompt: Sequence[Message]) -> Tokens:
    messages = [{"role": message.role, "content": message.content} for message in prompt]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def _answer(model: PreTrainedModel, prompt: Tokens) -> tuple[np.ndarray, Tokens]:
    ids = torch.tensor([prompt])
    made = model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
    )
    return made.logits[0][0].float().numpy(), made.sequences[0, len(prompt) :].tolist()


class _Reader:
    """A GGUF that reads given tokens, and says what it would have said next."""

    def __init__(self, gguf: Path, adapter: Path | None, prompts: Sequence[Tokens], threads: int) -> None:
        room = max(len(prompt) for prompt in prompts) + NEW_TOKENS
        with ExitStack() as kept:
            self._model = kept.enter_context(closing(LocalModel(gguf)))
            lora = self._model.adapter(adapter) if adapter else None
            seats = Seats(self._model, count=1, room=room, batch=room, threads=threads, adapter=lora)
            self._seats = kept.enter_context(closing(seats))
            self._close = kept.pop_all().close

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    def check_tokens(self, messages: Sequence[Sequence[Message]], prompts: Sequence[Tokens]) -> None:
        for prompt, tokens in zip(messages, prompts, strict=True):
            if self._model.prompt(prompt) != tokens:
                raise StageFailed(stage="convert_gguf", reason="the GGUF splits a prompt into other tokens")

    def logits(self, prompt: Tokens) -> np.ndarray:
        return self._read(prompt, [])[0]

    def agreed(self, prompt: Tokens, answer: Tokens) -> float:
        """Share of the answer's tokens that it would have said itself."""
        said = self._read(prompt, answer[:-1])
        return sum(int(logits.argmax()) == token for logits, token in zip(said, answer, strict=True)) / len(answer)

    def _read(self, prompt: Tokens, answer: Tokens) -> list[np.ndarray]:
        """The logits after the prompt and after each token of the answer."""
        self._seats.forget(0)
        text = [*prompt, *answer]
        rows = [(0, at, token, at >= len(prompt) - 1) for at, token in enumerate(text)]
        return [logits.copy() for logits in self._seats.compute(rows)]


def _cosine(one: np.ndarray, other: np.ndarray) -> float:
    return float(one @ other / (np.linalg.norm(one) * np.linalg.norm(other)))


if __name__ == "__main__":
    program_main(run)
