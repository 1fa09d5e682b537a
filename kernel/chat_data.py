"""Chat data: the samples as one file that people and other trainers read, and as what trl takes.

merged.json lies in the artefact of make_samples:
{"samples": [{"id", "generator", "kind", "language", "prompt": [{"role", "content"}], "completion", "memory_ids",
"is_shown", "is_reasoned", "is_refusal", "is_opening"}], "table": [...], "dropped": [...]}
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kernel.generators import GENERATOR_OF

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from kernel.ports import Report
    from kernel.sample import Sample, Samples

FILE = "merged.json"


def create_chat_data(merged: Mapping[str, Any]) -> list[dict[str, Any]]:
    """trl's conversational prompt/completion rows, and is_opening. `merged`: what merged.json holds.

    The training program applies the base model's own chat template (workers/programs/sft.py).
    """
    return [
        {
            "prompt": sample["prompt"],
            "completion": [{"role": "assistant", "content": sample["completion"]}],
            "is_opening": sample["is_opening"],
        }
        for sample in merged["samples"]
    ]


def merge(samples: Samples) -> dict[str, Any]:
    return {
        "samples": [_row(sample) for sample in samples.items],
        "table": sample_table(samples),
        "dropped": [
            {"fault": one.fault.value, "count": one.count, "examples": [_row(sample) for sample in one.examples]}
            for one in samples.dropped
        ],
    }


def write_merged(samples: Samples, folder: Path, *, report: Report) -> Samples:
    """The same samples, after they were written and their counts told."""
    text = json.dumps(merge(samples), ensure_ascii=False, indent=1, sort_keys=True)
    (folder / FILE).write_text(text, encoding="utf-8")
    report(1.0, **sample_facts(samples))
    return samples


def sample_table(samples: Samples) -> list[dict[str, str | int | bool]]:
    """What came from what: one row of equal samples, with how many they are."""
    names = ("generator", "kind", "language", "is_shown", "is_reasoned", "is_refusal")
    counted = Counter(tuple(_row(sample)[name] for name in names) for sample in samples.items)
    return [dict(zip(names, key, strict=True)) | {"samples": count} for key, count in sorted(counted.items())]


def sample_facts(samples: Samples) -> dict[str, int]:
    """The table in a few numbers, for whoever watches."""
    return {
        "samples": len(samples.items),
        "shown": sum(sample.is_shown for sample in samples.items),
        "refusals": sum(sample.is_refusal for sample in samples.items),
        "dropped": sum(one.count for one in samples.dropped),
    }


def _row(sample: Sample) -> dict[str, Any]:
    return {
        "id": sample.id,
        "generator": GENERATOR_OF.get(sample.kind, ""),
        "kind": sample.kind,
        "language": sample.language,
        "prompt": [asdict(message) for message in sample.prompt],
        "completion": sample.completion,
        "memory_ids": list(sample.memory_ids),
        "is_shown": sample.is_shown,
        "is_reasoned": sample.is_reasoned,
        "is_refusal": sample.is_refusal,
        "is_opening": sample.is_opening,
    }
