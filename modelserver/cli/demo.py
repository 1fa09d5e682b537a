"""The demo: a sample elder from nothing to a conversation, all of it through the REST API.

A second run finds the memories and the artefacts there, and takes as long as the questions do.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from config.settings import ROOT
from modelserver.cli.chat import Talk
from modelserver.cli.client import Client
from modelserver.cli.tables import arms_table, stages_table
from modelserver.cli.training import check_outcome, outcome, start_or_join, watch
from modelserver.cli.words import CliError, Words

Json = dict[str, Any]

SAMPLES = ROOT / "config" / "sample_elders"


class Sample:
    """The files of one sample elder."""

    def __init__(self, folder: Path) -> None:
        if not (folder / "elder.json").is_file():
            raise CliError("demo.sample_missing", folder=folder)
        self.elder: Json = json.loads((folder / "elder.json").read_text(encoding="utf-8"))
        self.memories = list(read_rows(folder / "memories.jsonl"))
        self.held_out = list(read_rows(folder / "held_out.jsonl"))
        self.unanswerable = list(read_rows(folder / "unanswerable.jsonl"))

    @property
    def id(self) -> str:
        return str(self.elder["elder_id"])

    def answers(self) -> bytes:
        return _ndjson({"question": row["question"], "answer": row["answer"]} for row in self.memories)

    def questions(self) -> bytes:
        """What the evaluation asks; a question that expects nothing is one that no memory answers."""
        rows = [{"question": row["question"], "expects": row["expects"]} for row in self.held_out]
        return _ndjson([*rows, *({"question": row["question"], "expects": []} for row in self.unanswerable)])

    def to_ask(self) -> list[str]:
        """Five spread over the life, and one that no memory answers."""
        step = max(1, len(self.held_out) // 5)
        return [row["question"] for row in [*self.held_out[::step][:5], *self.unanswerable[:1]]]


def run_demo(client: Client, sample: Sample, *, console: Console, words: Words) -> None:
    """Load, train, measure, ask."""
    load(client, sample, console=console, words=words)
    job, _ = start_or_join(client, sample.id, force=False)
    progress = watch(client, job, console=console, words=words)
    console.print(stages_table(progress["stages"], words))
    check_outcome(progress)
    console.print(outcome(progress, words), markup=False)
    active = client.model(sample.id)["active"]
    console.print(arms_table(sample.elder["name"], active["arms"], words))
    console.print(words("demo.questions"), style="bold")
    for question in sample.to_ask():
        console.print(f"\n> {question}", style="bold", markup=False, highlight=False)
        Talk(client, sample.id, console, words).ask(question)
    console.print()


def load(client: Client, sample: Sample, *, console: Console, words: Words) -> None:
    """Adding what is there already changes nothing."""
    elder = sample.elder
    try:
        client.add_elder(sample.id, elder["name"], elder["language"])
    except CliError as error:
        if error.values.get("code") != "elder_exists":
            raise
    client.add_answers(sample.id, sample.answers())
    client.set_questions(sample.id, sample.questions())
    counts = {
        "memories": len(sample.memories),
        "questions": len(sample.held_out),
        "unanswerable": len(sample.unanswerable),
    }
    console.print(words("demo.loading", name=elder["name"], **counts), markup=False, soft_wrap=True)


def read_rows(path: Path) -> Iterator[Json]:
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip():
            yield json.loads(line)


def _ndjson(rows: Any) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
