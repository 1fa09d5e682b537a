"""This machine: how much memory is free, what its processor can do, and whether a training fits.

The control plane and the workers must not import torch, so a GPU is seen through nvidia-smi.
"""

import json
import shutil
import subprocess
from pathlib import Path

import psutil

from kernel.errors import NotEnoughMemory
from kernel.memory_need import Shape, training_need
from kernel.recipe import BaseModel, Recipe

_GIGABYTE = 1_000_000_000
_BF16_FLAGS = {"avx512_bf16", "amx_bf16", "avx_ne_convert"}


def check_memory(recipe: Recipe) -> None:
    """Raise NotEnoughMemory, with numbers, when training would not fit into what is free now."""
    need = training_need(recipe.base, recipe, read_shape(recipe.base))
    vram_bytes = free_vram_bytes()
    kind, have = ("RAM", free_ram_bytes()) if vram_bytes is None else ("VRAM", vram_bytes)
    if need > have:
        raise NotEnoughMemory(
            model=recipe.base.name,
            kind=kind,
            need_gb=f"{need / _GIGABYTE:.1f}",
            have_gb=f"{have / _GIGABYTE:.1f}",
        )


def free_ram_bytes() -> int:
    """What can be had without swapping; within a container, no more than its limit leaves."""
    available = psutil.virtual_memory().available
    left = _cgroup_left()
    return available if left is None else min(available, left)


def free_vram_bytes() -> int | None:
    """Of the first CUDA device; None when there is none."""
    if shutil.which("nvidia-smi") is None:
        return None
    command = ["nvidia-smi", "--query-gpu=memory.free", "--format=csv,noheader,nounits", "--id=0"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
        return int(done.stdout.split()[0]) * 1024 * 1024
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return None


def has_fast_bf16() -> bool:
    """Whether the processor multiplies bf16 itself; without it bf16 on a CPU is slower than fp32."""
    return bool(cpu_flags() & _BF16_FLAGS)


def cpu_flags() -> frozenset[str]:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return frozenset(value.split())
    return frozenset()


def read_shape(base: BaseModel) -> Shape | None:
    """From config.json; None while the base model is not there."""
    try:
        config = json.loads((base.hf_path / "config.json").read_text(encoding="utf-8"))
        return Shape(
            hidden=config["hidden_size"],
            layers=config["num_hidden_layers"],
            intermediate=config["intermediate_size"],
            vocabulary=config["vocab_size"],
        )
    except (OSError, ValueError, KeyError):
        return None


def _cgroup_left() -> int | None:
    """Bytes that cgroup v2 still allows; pages of files do not count, since they can be dropped."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit = (folder / "memory.max").read_text(encoding="utf-8").strip()
        used = int((folder / "memory.current").read_text(encoding="utf-8"))
        pairs = (line.split() for line in (folder / "memory.stat").read_text(encoding="utf-8").splitlines())
        files = {name: int(value) for name, value in pairs}.get("inactive_file", 0)
    except (OSError, ValueError):
        return None
    return None if limit == "max" else int(limit) - used + files
