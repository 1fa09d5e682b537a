"""Weights on disk, from the LoRA adapter to the GGUF. `folder` is where the files lie; it is not part of the value."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

Storage = Literal["merged", "adapter"]  #: an elder's own weights whole, or what they differ by from the base's
STORAGES = get_args(Storage)
MERGED, ADAPTER = STORAGES


@dataclass(frozen=True, kw_only=True, slots=True)
class Adapter:
    """A peft LoRA adapter: `adapter_model.safetensors`, `adapter_config.json`."""

    base: str  #: name in the registry of base models
    method: str  #: "sft" or "dpo"
    steps: int
    loss: float  #: of the last logged step
    folder: Path = field(compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class MergedWeights:
    """A transformers model folder: the base with the adapter merged in, and its tokenizer."""

    base: str
    folder: Path = field(compare=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Gguf:
    """`model.gguf` in `folder`; as an adapter `adapter.gguf`, for the base model's own GGUF."""

    base: str
    quantisation: str  #: "q8_0", "q4_k_m" or "f16"; of an adapter, its base's
    same_answers: int  #: greedy answers equal to the merged weights' ...
    asked: int  #: ... of so many fixed prompts
    storage: Storage = MERGED
    folder: Path = field(compare=False)

    @property
    def path(self) -> Path:
        return self.folder / ("adapter.gguf" if self.storage == ADAPTER else "model.gguf")

    def on(self, base: Path) -> tuple[Path, Path | None]:
        """(weights, adapter): what an engine that serves it loads. `base`: the base model's GGUF."""
        return (base, self.path) if self.storage == ADAPTER else (self.path, None)
