"""What reading promises, with a real small model: the memory that answers a question makes it likelier."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from adapters.reranker import QueryLikelihoodReranker
from adapters.seats import Row, Seats
from kernel.ids import ElderId, TenantId
from kernel.retrieval import Retriever
from tests.elders import held_out, sample_memories
from tests.engine_fixtures import smollm2
from tests.fakes import MemoryIndex, Reads
from tests.offline import EMBEDDER

TEXTS = ["Our dog Bramble could open the pantry door.", "I worked in a bakery, up at four each morning.", "It rained."]


@pytest.fixture(scope="module")
def reranker() -> Iterator[QueryLikelihoodReranker]:
    with closing(QueryLikelihoodReranker({"en": [smollm2()]}, threads=1)) as reranker:
        yield reranker


def test_the_text_that_answers_makes_the_question_likeliest(reranker: QueryLikelihoodReranker) -> None:
    for question, answer in (("What was your dog's name?", 0), ("What time did you start your job?", 1)):
        found = reranker.likelihoods(question, TEXTS, language="en")
        assert max(range(3), key=found.__getitem__) == answer
        assert found[answer] > 0


def test_each_text_is_read_by_itself(reranker: QueryLikelihoodReranker) -> None:
    together = reranker.likelihoods("Did you have a dog?", TEXTS * 2, language="en")
    alone = [reranker.likelihoods("Did you have a dog?", [text], language="en")[0] for text in TEXTS * 2]
    assert together == alone
    assert reranker.likelihoods("Did you have a dog?", [], language="en") == []


def test_a_short_question_does_not_wait_for_all_that_another_reads_and_neither_changes_the_other(
    reranker: QueryLikelihoodReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = [f"On day {day} of that winter it rained again." for day in range(50)]  # more than the seats
    begun, compute = Event(), Seats.compute

    def told(seats: Seats, rows: Sequence[Row]) -> object:
        begun.set()
        return compute(seats, rows)

    alone = reranker.likelihoods("Did it rain?", long, language="en")
    short = reranker.likelihoods("Did you have a dog?", TEXTS, language="en")
    monkeypatch.setattr(Seats, "compute", told)
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(reranker.likelihoods, "Did it rain?", long, language="en")
        assert begun.wait(60)
        assert reranker.likelihoods("Did you have a dog?", TEXTS, language="en") == short
        assert not under_way.done()
        assert under_way.result() == alone


def test_a_long_memory_and_a_long_question_are_cut(reranker: QueryLikelihoodReranker) -> None:
    found = reranker.likelihoods("And then? " * 500, ["We sailed on. " * 500, ""], language="en")
    assert len(found) == 2


def test_without_a_model_for_the_language_nothing_is_read(tmp_path: Path) -> None:
    reranker = QueryLikelihoodReranker({"en": [tmp_path / "not-made-yet.gguf"]}, threads=1)
    assert reranker.likelihoods("Did you have a dog?", TEXTS, language="en") == []
    assert reranker.likelihoods("你养过狗吗？", TEXTS, language="zh") == []
    assert reranker.model("zh") == ""


@pytest.mark.slow
def test_reading_finds_more_of_the_right_memories_first(reranker: QueryLikelihoodReranker) -> None:
    memories, asked, index = sample_memories("en"), held_out("en"), MemoryIndex(EMBEDDER)

    def right(using: QueryLikelihoodReranker | Reads) -> int:
        retriever = Retriever(memories, index=index, reranker=using, tenant=TenantId("t"), elder=ElderId("e"))
        return sum(retriever.find(one.question, 3)[0].id == one.memory for one in asked)

    assert right(reranker) > right(Reads())
