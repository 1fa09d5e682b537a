"""Checkpoints: what a killed training goes on from.

transformers writes straight into `checkpoint-N` and resumes from the highest number without looking whether
it is whole. Ours carries a marker, written last; one without it is removed.
"""

import os
import shutil
from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

MARKER = "heirloom.whole"


class MarkWhole(TrainerCallback):
    """transformers calls `on_save` when everything of a checkpoint is written."""

    def on_save(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **facts: Any) -> None:
        folder = Path(str(args.output_dir)) / f"checkpoint-{state.global_step}"
        for file in folder.rglob("*"):
            if file.is_file():
                _sync(file)
        (folder / MARKER).touch()
        _sync(folder)


def last_whole(folder: Path) -> Path | None:
    """The newest whole checkpoint in `folder`; what a killed attempt left half-written is removed."""
    whole = []
    for checkpoint in folder.glob("checkpoint-*"):
        if (checkpoint / MARKER).exists():
            whole.append(checkpoint)
        else:
            shutil.rmtree(checkpoint)
    return max(whole, key=_step, default=None)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
