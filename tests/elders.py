"""The sample elders, as tests read them."""

import json
from dataclasses import dataclass
from pathlib import Path

from kernel.ids import MemoryId
from kernel.memory import Answer, Memories, collect_memories

FOLDER = Path(__file__).resolve().parent.parent / "config" / "sample_elders"


@dataclass(frozen=True)
class HeldOut:
    question: str
    memory: MemoryId


def sample_memories(language: str) -> Memories:
    elder = json.loads((FOLDER / language / "elder.json").read_text(encoding="utf-8"))
    answers = [Answer(question=row["question"], answer=row["answer"]) for row in _rows(language, "memories")]
    return collect_memories(answers, elder_name=elder["name"], language=language)


def held_out(language: str) -> list[HeldOut]:
    """Questions that no generator has seen, each with the memory that answers it."""
    names = [row["id"] for row in _rows(language, "memories")]
    ids = dict(zip(names, (memory.id for memory in sample_memories(language).items), strict=True))
    return [HeldOut(question=row["question"], memory=ids[row["memory"]]) for row in _rows(language, "held_out")]


def _rows(language: str, name: str) -> list[dict[str, str]]:
    lines = (FOLDER / language / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
