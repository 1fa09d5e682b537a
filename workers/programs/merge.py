"""Merge a LoRA adapter into its base: the same adapter and base give the same bytes.

Request: base (folder), adapter (folder), folder (to write), dtype, threads. Result: {}.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

from adapters.program import Say, program_main


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    torch.set_num_threads(request["threads"])
    base, folder = Path(request["base"]), Path(request["folder"])
    model = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, request["dtype"]))
    say(0.3)
    model = PeftModel.from_pretrained(model, request["adapter"]).merge_and_unload(safe_merge=True)
    say(0.5)
    model.save_pretrained(folder)
    _copy_tokenizer(base, folder)
    say(1.0)
    return {}


def _copy_tokenizer(base: Path, folder: Path) -> None:
    """Everything but the weights: tokenizer, chat template, generation settings, licence, as they are."""
    for path in base.rglob("*"):
        name = path.relative_to(base)
        is_weights = ".safetensors" in path.name or path.name == "config.json"
        if path.is_file() and not is_weights and not any(part.startswith(".") for part in name.parts):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, folder / name)


if __name__ == "__main__":
    program_main(run)
