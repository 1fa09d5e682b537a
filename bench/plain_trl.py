"""The plain way: what one writes after reading trl's documentation.

    python -m bench.plain_trl REQUEST.json RESULT.json

The same data, base model, LoRA, batch size, learning rate, epochs and precision as workers/programs/sft.py; the
rest is trl's default, but for gradient checkpointing, which is off in both.
"""

import time
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoTokenizer
from trl import SFTConfig, SFTTrainer

from adapters.program import Say, program_main
from workers.programs.sft import lora_config
from workers.programs.training import TellProgress, common_arguments, cost


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    torch.set_num_threads(request["threads"])
    trainer = SFTTrainer(
        model=request["base"],
        args=SFTConfig(**common_arguments(request, "sft"), save_strategy="no"),
        train_dataset=Dataset.from_list(
            [
                {"prompt": one["prompt"], "completion": [{"role": "assistant", "content": one["completion"]}]}
                for one in request["samples"]
            ]
        ),
        processing_class=AutoTokenizer.from_pretrained(request["base"]),
        peft_config=lora_config(request["lora"]),
        callbacks=[TellProgress(say)],
    )
    started = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - started
    samples = len(request["samples"]) * request["sft"]["epochs"]
    return {"seconds": round(seconds, 1), **cost(trainer.state, samples, seconds)}


if __name__ == "__main__":
    program_main(run)
