"""The trainer: every heavy step as a program of its own, whose exit frees its memory.

Programs for training work in the stage's scratch folder, which keeps their checkpoints when a worker dies.
The others work in a temporary folder beside what they write: no request or log gets into the artefact.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from adapters.program import run_program
from kernel.adapter import ADAPTER, MERGED, Adapter, Gguf, MergedWeights, Storage
from kernel.memory_need import recomputes
from kernel.pair import Ask, Candidate, Pairs
from kernel.ports import Report
from kernel.recipe import Recipe
from kernel.sample import Message, Sample, Samples

_MAX_COMPARED_IN_FP32 = 2_000_000_000  #: parameters


class SubprocessTrainer:
    """Implements kernel.ports.Trainer over workers.programs."""

    def __init__(self, *, llama_cpp_dir: Path) -> None:
        self._llama_cpp_dir = llama_cpp_dir  #: llama.cpp's converter, there after `BaseModels.prepare`

    def train_sft(self, samples: Samples, *, recipe: Recipe, folder: Path, scratch: Path, report: Report) -> Adapter:
        request = training_request(recipe, folder, scratch)
        request["samples"] = [sft_row(sample) for sample in samples.items]
        result = _run("sft", request, scratch, report)
        return _adapter(result, recipe, folder, method="sft")

    def propose(
        self, adapter: Adapter, asks: Sequence[Ask], *, recipe: Recipe, scratch: Path, report: Report
    ) -> list[Candidate]:
        request = {
            "base": str(recipe.base.hf_path),
            "adapter": str(adapter.folder),
            "sft": [_messages(ask.prompt) for ask in asks if ask.source == "sft"],
            "base_only": [_messages(ask.prompt) for ask in asks if ask.source != "sft"],
            "max_new_tokens": recipe.max_new_tokens,
            "threads": recipe.threads,
        }
        result = _run("pairs", request, scratch, report)
        sft, base_only = iter(result["sft"]), iter(result["base_only"])
        return [
            Candidate(sample=ask.sample, source=ask.source, text=next(sft if ask.source == "sft" else base_only))
            for ask in asks
        ]

    def train_dpo(
        self, adapter: Adapter, pairs: Pairs, *, recipe: Recipe, folder: Path, scratch: Path, report: Report
    ) -> Adapter:
        request = training_request(recipe, folder, scratch)
        request["adapter"] = str(adapter.folder)
        request["pairs"] = [row(pair.prompt, chosen=pair.chosen, rejected=pair.rejected) for pair in pairs.items]
        result = _run("dpo", request, scratch, report)
        return _adapter(result, recipe, folder, method="dpo")

    def merge(self, adapter: Adapter, *, recipe: Recipe, folder: Path, report: Report) -> MergedWeights:
        request = {
            "base": str(recipe.base.hf_path),
            "adapter": str(adapter.folder),
            "folder": str(folder),
            "dtype": recipe.base.dtype,
            "threads": recipe.threads,
        }
        with _workplace(folder) as work:
            _run("merge", request, work, report)
        return MergedWeights(base=recipe.base.key, folder=folder)

    def convert(
        self,
        merged: MergedWeights,
        *,
        recipe: Recipe,
        prompts: Sequence[Sequence[Message]],
        folder: Path,
        report: Report,
        adapter: Adapter | None = None,
    ) -> Gguf:
        storage: Storage = ADAPTER if adapter else MERGED
        gguf = Gguf(
            base=recipe.base.key,
            quantisation=recipe.base.quantisation,
            same_answers=0,
            asked=0,
            storage=storage,
            folder=folder,
        )
        is_small = recipe.base.parameters <= _MAX_COMPARED_IN_FP32
        with _workplace(folder) as work:
            request = {
                "merged": str(merged.folder),
                "adapter": str(adapter.folder) if adapter else "",
                "base": str(recipe.base.hf_path),
                "base_gguf": str(recipe.base.gguf_path),
                "gguf": str(work / gguf.path.name),
                "llama_cpp_dir": str(self._llama_cpp_dir.resolve()),
                "quantisation": recipe.base.quantisation,
                "prompts": [_messages(prompt) for prompt in prompts],
                "dtype": "float32" if is_small else recipe.base.dtype,
                "threads": recipe.threads,
            }
            result = _run("convert", request, work, report)
            (work / gguf.path.name).rename(gguf.path)
        return replace(gguf, same_answers=result["same"], asked=result["asked"])

    def answer(
        self,
        gguf: Path,
        prompts: Sequence[Sequence[Message]],
        *,
        recipe: Recipe,
        report: Report,
        adapter: Path | None = None,
        schema: Mapping[str, object] | None = None,
    ) -> list[str]:
        request = {
            "gguf": str(gguf.resolve()),
            "adapter": str(adapter.resolve()) if adapter else "",
            "prompts": [_messages(prompt) for prompt in prompts],
            "threads": recipe.threads,
            "max_tokens": recipe.max_new_tokens,
            "schema": schema,
        }
        with tempfile.TemporaryDirectory(prefix="heirloom-") as work:
            result = _run("answer", request, Path(work), report)
        answers: list[str] = result["answers"]
        return answers


def _run(program: str, request: dict[str, Any], folder: Path, report: Report) -> dict[str, Any]:
    return run_program(f"workers.programs.{program}", request, folder=folder, report=report)


def training_request(recipe: Recipe, folder: Path, scratch: Path) -> dict[str, Any]:
    return {
        "base": str(recipe.base.hf_path),
        "is_recomputing": recomputes(recipe.base),
        "lora": asdict(recipe.lora),
        "sft": asdict(recipe.sft),
        "dpo": asdict(recipe.dpo),
        "seed": recipe.seed,
        "threads": recipe.threads,
        "folder": str(folder.resolve()),
        "checkpoints": str(scratch.resolve() / "checkpoints"),
    }


def _adapter(result: dict[str, Any], recipe: Recipe, folder: Path, *, method: str) -> Adapter:
    return Adapter(base=recipe.base.key, method=method, steps=result["steps"], loss=result["loss"], folder=folder)


def sft_row(sample: Sample) -> dict[str, Any]:
    return row(sample.prompt, completion=sample.completion, is_opening=sample.is_opening)


def row(prompt: Sequence[Message], **texts: str | bool) -> dict[str, Any]:
    return {"prompt": _messages(prompt), **texts}


def _messages(prompt: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in prompt]


@contextmanager
def _workplace(folder: Path) -> Iterator[Path]:
    """Inside `folder`, so that a rename is enough; gone afterwards."""
    work = folder.resolve() / ".work"
    work.mkdir(parents=True)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)
