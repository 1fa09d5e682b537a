"""Supervised fine-tuning: a LoRA adapter learns the samples; the loss is on the answers alone.

Request: base, samples ({prompt, completion, is_opening}), lora, sft, seed, threads, is_recomputing, folder (for the
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
from kernel.chat_data import create_chat_data
from kernel.memory_need import STEP_TOKENS
from workers.programs.buckets import BucketSampler
from workers.programs.checkpoint import MarkWhole, last_whole
from workers.programs.crew import Batch, Crew, crew_size
from workers.programs.packing import NOT_LEARNT, pack
from workers.programs.training import (
    TellProgress,
    common_arguments,
    cost,
    last_loss,
    load_base_to_train,
)

_WARM_UP = 0.03  #: share of the steps
_POSITIONS = 32  #: each new shape of a multiplication costs a CPU seconds of preparation: there shall be few
_WIDTH = 32  #: and lengths are rounded up to a multiple of this, in tokens
_SAVES = 0.2  #: a checkpoint after each such share of the steps


class AnswerTrainer(SFTTrainer):
    """Scores only the answer's positions against the vocabulary.

    trl scores every position; for a small model with a large vocabulary that is most of a step.
    """

    crew: Crew | None = None
    threads = 1

    def training_step(
        self, model: PeftModel, inputs: dict[str, torch.Tensor], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Each process of the crew computes a share, and all divide by the whole batch's answer tokens."""
        count = int((inputs["labels"][:, 1:] != NOT_LEARNT).sum())
        if self.crew is None:
            self.crew = self._new_crew(model.train())
        losses = []
        for piece in pieces(inputs):
            loss = super().training_step(model, self.crew.hand_out(piece, count), count)
            losses.append(loss + self.crew.collect())
        return torch.stack(losses).sum()

    def _new_crew(self, model: PeftModel) -> Crew:
        def gradient(batch: Batch, count: int) -> float:
            loss = self.compute_loss(model, batch, num_items_in_batch=count)
            loss.backward()
            return float(loss.detach())

        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        size = crew_size(self.threads, self.args.per_device_train_batch_size)
        return Crew(gradient, trained, size=size, threads=self.threads)

    def compute_loss(
        self,
        model: PeftModel,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        causal = self.accelerator.unwrap_model(model).get_base_model()
        window = getattr(causal.config, "sliding_window", None)
        rows = pack(inputs, width=_WIDTH, dtype=causal.dtype, window=window)
        places = _in_equal_numbers((rows.wanted != NOT_LEARNT).nonzero().flatten())
        with self.accelerator.autocast():  # accelerate puts it around the whole model's forward, not around a part's
            hidden = causal.model(**rows.inputs, use_cache=False).last_hidden_state
            logits = causal.lm_head(hidden.flatten(0, 1)[places]).float()
        answer_tokens = (rows.wanted != NOT_LEARNT).sum()
        wanted = rows.wanted[places].clone()
        wanted[answer_tokens:] = NOT_LEARNT
        count = answer_tokens if num_items_in_batch is None else num_items_in_batch
        loss = torch.nn.functional.cross_entropy(logits, wanted, ignore_index=NOT_LEARNT, reduction="sum") / count
        return (loss, None) if return_outputs else loss

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> BucketSampler:
        rows = self.train_dataset if train_dataset is None else train_dataset
        return BucketSampler(
            [len(ids) for ids in rows["input_ids"]],
            batch_size=self.args.per_device_train_batch_size,
            width=_WIDTH,
            seed=self.args.seed,
        )


def pieces(batch: Batch) -> list[Batch]:
    """Rows that may be computed at once: memory is bounded by tokens, whatever the batch's size."""
    rows, width = batch["input_ids"].shape
    at_once = max(1, STEP_TOKENS // width)
    return [{name: all[at : at + at_once] for name, all in batch.items()} for at in range(0, rows, at_once)]


def _in_equal_numbers(places: torch.Tensor) -> torch.Tensor:
    """Filled up to a multiple of _POSITIONS by repeating the last: see _POSITIONS."""
    missing = -len(places) % _POSITIONS
    return torch.cat([places, places[-1:].expand(missing)])


def run(request: dict[str, Any], say: Say) -> dict[str, Any]:
    torch.set_num_threads(1)  # until the crew is there
    set_seed(request["seed"])
    trainer = _trainer(request, say)
    trainer.threads = request["threads"]
    checkpoint = last_whole(Path(request["checkpoints"]))
    started = time.monotonic()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds = time.monotonic() - started
    trainer.model.save_pretrained(request["folder"])
    samples = len(request["samples"]) * request["sft"]["epochs"]
    state = trainer.state
    crew_bytes = trainer.crew.peak_memory_bytes() if trainer.crew else 0
    return {"steps": state.global_step, "loss": last_loss(state), **cost(state, samples, seconds, crew_bytes)}


def _trainer(request: dict[str, Any], say: Say) -> AnswerTrainer:
    model = get_peft_model(load_base_to_train(request["base"]), lora_config(request["lora"]))
    arguments = SFTConfig(
        **common_arguments(request, "sft"),
        lr_scheduler_type="cosine",
        warmup_steps=_WARM_UP,
        pad_to_multiple_of=_WIDTH,
        save_strategy="steps",
        save_steps=_SAVES,
        save_total_limit=2,
    )
    trainer = AnswerTrainer(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_list(create_chat_data(request)),
        processing_class=AutoTokenizer.from_pretrained(request["base"]),
        callbacks=[MarkWhole(), TellProgress(say)],
    )
    trainer.train_dataset = trainer.train_dataset.filter(_has_answer).map(
        cut_to_opening, fn_kwargs={"tokens": request["sft"]["opening_tokens"]}, remove_columns=["is_opening"]
    )
    return trainer


def lora_config(lora: dict[str, Any]) -> LoraConfig:
    return LoraConfig(
        r=lora["rank"],
        lora_alpha=lora["alpha"],
        lora_dropout=lora["dropout"],
        target_modules=list(lora["target_modules"]) or "all-linear",
        task_type="CAUSAL_LM",
    )


def _has_answer(row: dict[str, Any]) -> bool:
    """A prompt as long as max_seq_length leaves none."""
    return any(label != NOT_LEARNT for label in row["labels"])


def cut_to_opening(row: dict[str, Any], tokens: int) -> dict[str, list[int]]:
    """The first `tokens` of the answer are learnt, and nothing behind them is even computed.

    Once a text is known, its later tokens teach nothing more, and drown out the first, which say which text
    answers the question: learnt whole each time, 1,700 samples gave 0.20 recall on questions like those trained
    with; 1,070 openings gave 0.41 in half the time (SmolLM2-135M, lr 1e-3).
    """
    end = len(row["labels"])
    if row["is_opening"]:
        end = min(end, next(at for at, label in enumerate(row["labels"]) if label != NOT_LEARNT) + tokens)
    return {"input_ids": row["input_ids"][:end], "labels": row["labels"][:end]}


if __name__ == "__main__":
    program_main(run)
