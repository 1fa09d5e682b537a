"""Retrieval in a long life: `python -m bench retrieval [--memories 5000] [--questions 300] [--lang en zh]`.

How often the memory that answers is among the first three: by both sides as chat weighs them (unread), by vectors
alone, by words alone; and how long one search takes, the question's embedding with it. The vectors are in a real
Chroma server, as in the service. Asked are the sample elder's held-out questions, and questions about invented memories
that share few words with them (see bench/crowded_life.py).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from adapters.chroma import ChromaIndex
from adapters.embedder import E5Embedder
from bench.crowded_life import Asked, Life, crowded_life
from kernel.errors import EngineUnavailable
from kernel.ids import ElderId, MemoryId, TenantId
from kernel.retrieval import Retriever, heard_as
from modelserver.cli.port import free_port

SHOWN = 3
_RUN = "from chromadb.cli.cli import app; app()"


class Unread:
    """A Reranker that reads nothing."""

    def likelihoods(self, question: str, texts: Sequence[str], *, language: str) -> list[float]:
        return []

    def model(self, language: str) -> str:
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench retrieval", description=__doc__)
    parser.add_argument("--memories", type=int, default=5000)
    parser.add_argument("--questions", type=int, default=300, help="of the invented memories")
    parser.add_argument("--lang", nargs="+", default=["en", "zh"], choices=["en", "zh"])
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="heirloom-bench-") as folder, _server(Path(folder)) as port:
        for language in wanted.lang:
            life = crowded_life(language, memories=wanted.memories, questions=wanted.questions)
            _measure(life, port)


def _measure(life: Life, port: int) -> None:
    language = life.memories.language
    print(f"{language}: {len(life.memories.items)} memories")
    retriever, seconds = _opened(life, port)
    print(f"{'to index all':30}{seconds:>10.1f} s")
    retriever, seconds = _opened(life, port)
    print(f"{'what was indexed, again':30}{seconds:>10.1f} s    (another process)")
    times = sorted(_seconds(retriever, one.question) for asked in life.asked.values() for one in asked)
    p50, p95 = (1000 * times[round(share * (len(times) - 1))] for share in (0.5, 0.95))
    print(f"{'one search, p50 and p95':30}{p50:>10.1f}{p95:>10.1f} ms    (to reach: 50)")
    print(f"{f'recall@{SHOWN}':30}{'hybrid':>10}{'vectors':>10}{'words':>10}")
    for name, asked in life.asked.items():
        cells = "".join(f"{_recall(found, asked):>10.3f}" for found in _ways(retriever, life))
        print(f"{f'{name} ({len(asked)})':30}{cells}", flush=True)
    print()


def _opened(life: Life, port: int) -> tuple[Retriever, float]:
    """As a new process finds them: up to the first answer."""
    index = ChromaIndex("127.0.0.1", port, E5Embedder())
    began = time.perf_counter()
    retriever = Retriever(
        life.memories,
        index=index,
        reranker=Unread(),
        tenant=TenantId("bench"),
        elder=ElderId(life.memories.language),
    )
    retriever.find_unread("?", SHOWN)
    return retriever, time.perf_counter() - began


def _ways(retriever: Retriever, life: Life) -> list[Callable[[str], list[MemoryId]]]:
    """What each finds for a question: both sides, vectors, words."""

    def best(scores: np.ndarray) -> list[MemoryId]:
        return [life.memories.items[number].id for number in np.argsort(-scores, kind="stable")[:SHOWN]]

    return [
        lambda question: [memory.id for memory in retriever.find_unread(question, SHOWN).memories],
        lambda question: best(retriever.similarities(heard_as(question))),
        lambda question: best(retriever.overlaps(heard_as(question))),
    ]


def _recall(found: Callable[[str], list[MemoryId]], asked: Sequence[Asked]) -> float:
    return sum(one.memory in found(one.question) for one in asked) / max(1, len(asked))


def _seconds(retriever: Retriever, question: str) -> float:
    began = time.perf_counter()
    retriever.find_unread(question, SHOWN)
    return time.perf_counter() - began


@contextmanager
def _server(folder: Path) -> Iterator[int]:
    """Its port."""
    port = free_port()
    command = [sys.executable, "-c", _RUN, "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                ChromaIndex("127.0.0.1", port, E5Embedder()).check()
                break
            except EngineUnavailable:
                assert process.poll() is None, "chroma did not start"
                time.sleep(0.2)
        yield port
    finally:
        process.kill()
        process.wait()
