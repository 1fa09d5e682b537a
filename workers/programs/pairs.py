"""Candidates for preference pairs: greedy answers of the SFT model, and of the base without the adapter.

Request: base, adapter, sft and base_only (lists of prompts), max_new_tokens, threads.
Result: {"sft": [str], "base_only": [str]}, in the prompts' order.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from adapters.program import Say, program_main
from workers.programs.training import load_base

_BATCH = 8

Prompt = list[dict[str, str]]


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    torch.set_num_threads(request["threads"])
    tokenizer = AutoTokenizer.from_pretrained(request["base"], padding_side="left")
    model = PeftModel.from_pretrained(load_base(request["base"]), request["adapter"]).eval()
    asked = len(request["sft"]) + len(request["base_only"])
    done = 0
    answers: dict[str, list[str]] = {}
    for part in ("sft", "base_only"):
        prompts = request[part]
        answers[part] = [""] * len(prompts)
        with model.disable_adapter() if part == "base_only" else nullcontext():
            for numbers in _batches(prompts):
                batch = [prompts[number] for number in numbers]
                for number, text in zip(
                    numbers, _answer(model, tokenizer, batch, request["max_new_tokens"]), strict=True
                ):
                    answers[part][number] = text
                done += len(batch)
                say(done / asked, answered=done, asked=asked)
    return dict(answers)


def _batches(prompts: list[Prompt]) -> Iterator[list[int]]:
    """Numbers of prompts that are about equally long, so that little is padding."""
    by_length = sorted(range(len(prompts)), key=lambda number: sum(len(part["content"]) for part in prompts[number]))
    for start in range(0, len(by_length), _BATCH):
        yield by_length[start : start + _BATCH]


@torch.inference_mode()
def _answer(model: PeftModel, tokenizer: PreTrainedTokenizerBase, prompts: list[Prompt], limit: int) -> list[str]:
    batch = tokenizer.apply_chat_template(
        prompts, add_generation_prompt=True, padding=True, return_tensors="pt", return_dict=True
    ).to(model.device)
    made = model.generate(**batch, max_new_tokens=limit, do_sample=False, pad_token_id=tokenizer.pad_token_id)
    answers = made[:, batch["input_ids"].shape[1] :]
    return [str(text).strip() for text in tokenizer.batch_decode(answers, skip_special_tokens=True)]


if __name__ == "__main__":
    program_main(run)
