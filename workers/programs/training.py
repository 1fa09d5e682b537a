"""What both kinds of training share: how a base is loaded, how progress is told, what a run cost."""

import resource
import time
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    PreTrainedModel,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from adapters.hardware import has_fast_bf16
from adapters.program import Say


def is_bf16() -> bool:
    """bf16 where the machine multiplies it itself; elsewhere it is slower than fp32."""
    return torch.cuda.is_bf16_supported() if torch.cuda.is_available() else has_fast_bf16()


def load_base(folder: str) -> PreTrainedModel:
    """Frozen weights: bf16 on a GPU. On a CPU fp32, multiplied in bf16 by autocast where it can: what lies
    between the multiplications is slower in bf16 (290 against 200 tokens a CPU second, SmolLM2-135M)."""
    is_gpu = torch.cuda.is_available()
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=torch.bfloat16 if is_gpu and is_bf16() else torch.float32,
        attn_implementation="sdpa" if is_gpu else "eager",  # sdpa's backward is slow on a CPU
    )
    return model.to("cuda") if is_gpu else model


def load_base_to_train(folder: str) -> PreTrainedModel:
    """The frozen weights under an adapter. A CPU that multiplies bf16 has its matrices in bf16: autocast would make
    them so again at every step.

    A head that is tied to the embedding gets a copy of its own: what is added up between the layers stays fp32.
    """
    model = load_base(folder)
    if is_bf16() and not torch.cuda.is_available():
        for module in model.modules():
            if isinstance(module, torch.nn.Linear):
                module.weight = torch.nn.Parameter(module.weight.to(torch.bfloat16), requires_grad=False)
    return model


def common_arguments(request: dict[str, Any], section: str) -> dict[str, Any]:
    """Arguments that SFTConfig and DPOConfig take alike."""
    return {
        "output_dir": request["checkpoints"],
        "num_train_epochs": request[section]["epochs"],
        "per_device_train_batch_size": request[section]["batch_size"],
        "learning_rate": request[section]["learning_rate"],
        "max_length": request["sft"]["max_seq_length"],
        "bf16": is_bf16(),
        "use_cpu": not torch.cuda.is_available(),
        "activation_checkpointing": request["is_recomputing"],
        "seed": request["seed"],
        "weight_decay": 0.0,
        "include_num_input_tokens_seen": "non_padding",
        "logging_steps": 1,
        "report_to": [],
        "disable_tqdm": True,
    }


class TellProgress(TrainerCallback):
    """One line of progress a step."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._loss = 0.0
        self._started = time.monotonic()
        self._first_step = 0
        self._first_tokens = 0
        self._checkpoints: dict[str, int] = {}  # "checkpoint": the last whole one's step; "resumed_from"

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **facts: Any
    ) -> None:
        """A resumed run begins at its checkpoint's step; its speed is measured from there."""
        self._started = time.monotonic()
        self._first_step, self._first_tokens = state.global_step, int(state.num_input_tokens_seen)
        if state.global_step:
            self._checkpoints["resumed_from"] = state.global_step

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **facts: Any) -> None:
        self._checkpoints["checkpoint"] = state.global_step
        self._tell(args, state)

    def on_log(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **facts: Any) -> None:
        self._loss = float((facts.get("logs") or {}).get("loss", self._loss))
        self._tell(args, state)

    def _tell(self, args: TrainingArguments, state: TrainerState) -> None:
        seconds = max(time.monotonic() - self._started, 1e-3)
        steps = state.global_step - self._first_step
        left = state.max_steps - state.global_step
        self._say(
            state.global_step / max(state.max_steps, 1),
            epoch=min(int(state.epoch or 0) + 1, int(args.num_train_epochs)),
            epochs=int(args.num_train_epochs),
            step=state.global_step,
            steps=state.max_steps,
            loss=round(self._loss, 4),
            tokens_per_second=round((int(state.num_input_tokens_seen) - self._first_tokens) / seconds, 1),
            eta_seconds=round(seconds / steps * left, 1) if steps else 0.0,
            **self._checkpoints,
        )


def last_loss(state: TrainerState) -> float:
    """Of the last logged step."""
    losses = [row["loss"] for row in state.log_history if "loss" in row]
    return float(losses[-1]) if losses else 0.0


def cost(state: TrainerState, samples: int, seconds: float, crew_bytes: int = 0) -> dict[str, float | int]:
    """Of this attempt, for whoever watches: speed and peak memory, a crew's included."""
    return {
        "tokens_per_second": round(int(state.num_input_tokens_seen) / max(seconds, 1e-3), 1),
        "samples_per_second": round(samples / max(seconds, 1e-3), 2),
        "peak_memory_bytes": _peak_memory_bytes() + crew_bytes,
    }


def _peak_memory_bytes() -> int:
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
