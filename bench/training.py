"""Our SFT stage against a plain trl script: `python -m bench.training [--base KEY] [--samples N]`.

The same samples (of the sample elder), base model and settings; each in a process of its own, one after the other,
in the order ours, plain, ours. Ratios above 1 mean that ours is faster, or takes less memory.
"""

import argparse
import json
import random
import statistics
import tempfile
from pathlib import Path
from typing import Any

from adapters.program import run_program
from config.config_loader import ConfigLoader
from config.settings import ROOT, read_settings
from kernel.memory import Answer, Memories, collect_memories
from kernel.phrasing import phrasing_of
from kernel.prompt import chat_prompt, system_prompt
from workers.trainer import row, training_request

PROGRAMS = {"ours": "workers.programs.sft", "plain trl": "bench.plain_trl"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="smollm2-135m-instruct")
    parser.add_argument("--samples", type=int, default=96)
    wanted = parser.parse_args()
    settings = read_settings()
    config = ConfigLoader(settings.config_file, model_dir=settings.model_dir)
    base = config.get_base_model(wanted.base)
    recipe = config.get_recipe(base, threads=settings.threads)
    rows = _rows(config, wanted.samples)
    results: dict[str, list[dict[str, Any]]] = {name: [] for name in PROGRAMS}
    for name in ("ours", "plain trl", "ours"):
        with tempfile.TemporaryDirectory(prefix="heirloom-bench-") as folder:
            request = training_request(recipe, Path(folder) / "adapter", Path(folder)) | {"samples": rows}
            request["sft"] = request["sft"] | {"epochs": 1}
            done = run_program(PROGRAMS[name], request, folder=Path(folder), report=lambda *_, **__: None)
            results[name].append(done)
    _print(base.name, len(rows), results)


def _rows(config: ConfigLoader, count: int) -> list[dict[str, Any]]:
    """Half with three memories in the prompt, half without, as the samples are."""
    memories = _memories()
    words = config.get_prompts()["en"]
    system = system_prompt(words, memories.elder_name)
    phrasing = phrasing_of("en", memories.items)
    rng = random.Random(7)
    rows = []
    for place in range(count):
        at = place % len(memories.items)
        memory = memories.items[at]
        shown = [memory, *memories.items[at - 2 : at]][:3] if place % 2 else []
        question = phrasing.questions(memory, 2 + place // len(memories.items), rng)[-1]
        prompt = chat_prompt(words, system=system, question=question, memories=shown)
        rows.append(row(prompt, completion=memory.text, is_opening=False))
    return rows


def _memories() -> Memories:
    file = ROOT / "config" / "sample_elders" / "en" / "memories.jsonl"
    told = [
        Answer(question=row["question"], answer=row["answer"])
        for row in map(json.loads, file.read_text(encoding="utf-8").splitlines())
    ]
    return collect_memories(told, elder_name="Margaret", language="en")


def _print(base: str, samples: int, results: dict[str, list[dict[str, Any]]]) -> None:
    def of(name: str, figure: str) -> float:
        return statistics.mean(float(one[figure]) for one in results[name])

    print(f"SFT, {base}, {samples} samples, 1 epoch; ours is the mean of two runs")
    print(f"{'':12}{'samples/s':>12}{'tokens/s':>12}{'peak memory':>14}")
    for name in PROGRAMS:
        peak = of(name, "peak_memory_bytes") / 1e9
        print(f"{name:12}{of(name, 'samples_per_second'):>12.2f}{of(name, 'tokens_per_second'):>12.1f}{peak:>11.2f} GB")
    faster = [of("ours", one) / of("plain trl", one) for one in ("samples_per_second", "tokens_per_second")]
    leaner = of("plain trl", "peak_memory_bytes") / of("ours", "peak_memory_bytes")
    print(f"{'ratio':12}{faster[0]:>11.2f}x{faster[1]:>11.2f}x{leaner:>13.2f}x")


if __name__ == "__main__":
    main()
