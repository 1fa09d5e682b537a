"""Direct preference optimisation on top of the SFT adapter.

The adapter is loaded trainable and no peft_config is given: trl then takes the SFT model for its reference,
not the raw base. It is minutes at most, so it keeps no checkpoints; a killed one begins again.

Request: base, adapter, pairs ({prompt, chosen, rejected}), dpo, sft, seed, threads, is_recomputing, folder,
checkpoints. Result: steps, loss, tokens_per_second, samples_per_second, peak_memory_bytes.
"""

import shutil
import time
from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from transformers import AutoTokenizer, set_seed
from trl import DPOConfig, DPOTrainer

from adapters.program import Say, program_main
from workers.programs.training import TellProgress, common_arguments, cost, last_loss, load_base_to_train


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    if not request["pairs"]:
        shutil.copytree(request["adapter"], request["folder"], dirs_exist_ok=True, ignore=_our_files)
        return {"steps": 0, "loss": 0.0}
    torch.set_num_threads(request["threads"])
    set_seed(request["seed"])
    trainer = _trainer(request, say)
    started = time.monotonic()
    trainer.train()
    seconds = time.monotonic() - started
    trainer.model.save_pretrained(request["folder"], selected_adapters=["default"])
    pairs = len(request["pairs"]) * request["dpo"]["epochs"]
    state = trainer.state
    return {"steps": state.global_step, "loss": last_loss(state), **cost(state, pairs, seconds)}


def _trainer(request: dict[str, Any], say: Say) -> DPOTrainer:
    model = PeftModel.from_pretrained(load_base_to_train(request["base"]), request["adapter"], is_trainable=True)
    arguments = DPOConfig(
        **common_arguments(request, "dpo"),
        beta=request["dpo"]["beta"],
        loss_type=["sigmoid", "sft"],  # the second keeps the chosen answer likely, not only likelier
        loss_weights=[1.0, 1.0],
        lr_scheduler_type="linear",
        precompute_ref_log_probs=True,
        save_strategy="no",
    )
    return DPOTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list([_row(pair) for pair in request["pairs"]]),
        processing_class=AutoTokenizer.from_pretrained(request["base"]),
        callbacks=[TellProgress(say)],
    )


def _row(pair: dict[str, Any]) -> dict[str, Any]:
    return {
        "prompt": pair["prompt"],
        "chosen": [{"role": "assistant", "content": pair["chosen"]}],
        "rejected": [{"role": "assistant", "content": pair["rejected"]}],
    }


def _our_files(folder: str, names: list[str]) -> list[str]:
    """All but the adapter's own: the artefact's manifest stays behind."""
    return [name for name in names if not name.startswith("adapter_")]


if __name__ == "__main__":
    program_main(run)
