"""What a training asks a teacher model: `python -m bench teacher [--lang en zh]`.

Calls and tokens by stage, of a first training, of a second with nothing changed, and of a third after one memory was
taken back and told a little longer. The stages, the runner, the keeping of replies and GraphRAG are the real ones; the
model that is judged is a stand-in that gives another question's answer. The teacher is the strict double of OpenAI's
API, whose replies are shaped as a large model's, and which counts tokens by a rule of its own.
"""

import argparse
import logging
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import structlog

from adapters.graphrag import GraphRagIndexer
from kernel.job import Job, JobStatus
from kernel.memory import collect_memories
from kernel.progress_tracker import ProgressTracker
from kernel.quote import Quote, quote_training
from modelserver.cli.demo import SAMPLES, Sample
from tests.fakes import MemoryIndex
from tests.memory_store import MemoryReplies
from tests.offline import EMBEDDER
from tests.openai_double import OpenAiDouble
from tests.teaching import ASKED_BY, US, Household, say

RULE = """The teacher is a double: no model was asked. It counts tokens by a rule of its own: four Latin letters are
one, five other characters are four; what is read includes the schema. A real model may write more or less."""
RUNS = ("first", "nothing changed", "one memory changed")
MORE = {"en": " We laughed about it for years.", "zh": "后来我们笑了好多年。"}

Spent = Counter[tuple[str, str]]  #: by stage, and "calls", "read" or "written"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench teacher", description=__doc__)
    parser.add_argument("--lang", nargs="+", default=["en", "zh"], choices=["en", "zh"])
    wanted = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    print(RULE)
    for language in wanted.lang:
        with tempfile.TemporaryDirectory(prefix="heirloom-bench-") as folder, OpenAiDouble(say) as server:
            _measure(Sample(SAMPLES / language), Path(folder), server)


def _measure(sample: Sample, folder: Path, server: OpenAiDouble) -> None:
    family = Household(
        sample,
        folder,
        server,
        replies=MemoryReplies(),
        embedder=EMBEDDER,
        index=MemoryIndex(EMBEDDER),
        indexer=GraphRagIndexer(),
    )
    language, memories = sample.elder["language"], len(sample.memories)
    with closing(family.model):
        quoted = _quote(family)
        spent = [_spent(family, family.train(), server), _spent(family, family.train(), server)]
        family.change(memories // 2, MORE[language])
        requoted = _quote(family)
        spent.append(_spent(family, family.train(), server))
    print(f"\n{sample.elder['name']} ({language}), {memories} memories\n")
    print(f"| {'':12} |" + "|".join(f" {run}: calls | read | written " for run in RUNS) + "|")
    print("| --- |" + " ---: |" * 9)
    for stage in ASKED_BY.values():
        _print_row(stage, [[one[stage, kind] for kind in ("calls", "read", "written")] for one in spent])
    whole = [
        [sum(one[stage, kind] for stage in ASKED_BY.values()) for kind in ("calls", "read", "written")] for one in spent
    ]
    _print_row("all", whole)
    _print_row("a memory", [[value / memories for value in one] for one in whole])
    print(f"\nQuoted before the first: {quoted.calls} calls, {quoted.tokens} tokens; before the third:", end=" ")
    print(f"{requoted.calls} calls, {requoted.tokens} tokens.")


def _print_row(name: str, values: Sequence[Sequence[float]]) -> None:
    cells = (
        f"{value:,.0f}" if value >= 20 or value == int(value) else f"{value:.1f}" for one in values for value in one
    )
    print(f"| {name:12} | " + " | ".join(cells) + " |", flush=True)


def _spent(family: Household, job: Job, server: OpenAiDouble) -> Spent:
    """Of one training: what was kept of it, which is all that was asked."""
    assert job.status is JobStatus.COMPLETED, job.error_code
    spent: Spent = Counter()
    for call in family.replies.calls(US, family.elder):
        if call.job == job.id:
            stage = ASKED_BY[call.task.schema.name]
            told = {"calls": 1, "read": call.reply.tokens_read, "written": call.reply.tokens_written}
            spent += Counter({(stage, kind): count for kind, count in told.items()})
    assert sum(count for (_, kind), count in spent.items() if kind == "calls") == len(server.requests)
    server.requests.clear()
    return spent


def _quote(family: Household) -> Quote:
    """What `heirloom train` says before it starts."""
    elder = family.elders.get(US, family.elder)
    base = family.config.get_current_model(elder.language, wanted="")
    return quote_training(
        collect_memories(family.elders.answers(US, elder.id), elder_name=elder.name, language=elder.language),
        model=family.model.name,
        prompts=family.config.get_teacher_prompts(),
        replies=family.replies,
        tenant=US,
        elder=elder.id,
        tracker=ProgressTracker(),
        max_pairs=family.config.get_recipe(base, threads=1).dpo.max_pairs,
    )


if __name__ == "__main__":
    main()
