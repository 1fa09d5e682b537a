"""Supervised fine-tuning: a LoRA adapter learns the samples; the loss is on the answers alone.

Request: base, samples ({prompt, completion}), lora, sft, seed, threads, is_recomputing, folder (for the
adapter), checkpoints. Result: steps, loss, tokens_per_second, samples_per_second, peak_memory_bytes.
"""

import time
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoTokenizer, set_seed
from trl import SFTConfig, SFTTrainer

from adapters.program import Say, program_main
from workers.programs.checkpoint import MarkWhole, last_whole
from workers.programs.training import TellProgress, common_arguments, cost, last_loss, load_base

_WARM_UP = 0.03  #: share of the steps
_SAVES = 0.2  #: a checkpoint after each such share of the steps


class AnswerTrainer(SFTTrainer):
    """Scores only the answer's positions against the vocabulary.

    trl scores every position; for a small model with a large vocabulary that is most of a step.
    """

    def compute_loss(
        self,
        model: PeftModel,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        causal = self.accelerator.unwrap_model(model).get_base_model()
        labels = inputs["labels"][:, 1:]
        is_answer = labels != -100
        hidden = causal.model(
            input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
        ).last_hidden_state
        logits = causal.lm_head(hidden[:, :-1][is_answer]).float()
        loss = torch.nn.functional.cross_entropy(logits, labels[is_answer], reduction="sum")
        loss = loss / (is_answer.sum() if num_items_in_batch is None else num_items_in_batch)
        return (loss, None) if return_outputs else loss


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    torch.set_num_threads(request["threads"])
    set_seed(request["seed"])
    trainer = _trainer(request, say)
    checkpoint = last_whole(Path(request["checkpoints"]))
    started = time.monotonic()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds = time.monotonic() - started
    trainer.model.save_pretrained(request["folder"])
    samples = len(request["samples"]) * request["sft"]["epochs"]
    state = trainer.state
    return {"steps": state.global_step, "loss": last_loss(state), **cost(state, samples, seconds)}


def _trainer(request: dict[str, Any], say: Say) -> AnswerTrainer:
    lora = request["lora"]
    model = get_peft_model(
        load_base(request["base"]),
        LoraConfig(
            r=lora["rank"],
            lora_alpha=lora["alpha"],
            lora_dropout=lora["dropout"],
            target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )
    arguments = SFTConfig(
        **common_arguments(request, "sft"),
        lr_scheduler_type="cosine",
        warmup_steps=_WARM_UP,
        train_sampling_strategy="group_by_length",
        pad_to_multiple_of=8,
        save_strategy="steps",
        save_steps=_SAVES,
        save_total_limit=2,
    )
    return AnswerTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list([_row(sample) for sample in request["samples"]]),
        processing_class=AutoTokenizer.from_pretrained(request["base"]),
        callbacks=[TellProgress(say), MarkWhole()],
    )


def _row(sample: dict[str, Any]) -> dict[str, Any]:
    return {
        "prompt": sample["prompt"],
        "completion": [{"role": "assistant", "content": sample["completion"]}],
    }


if __name__ == "__main__":
    program_main(run)
