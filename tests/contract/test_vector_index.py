"""One contract, two indexes: the in-memory one, and a real Chroma server."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from adapters.chroma import ChromaIndex
from kernel.errors import EngineUnavailable
from kernel.ids import ElderId, TenantId
from modelserver.cli.port import free_port
from tests.fakes import MemoryIndex

US, THEM, ELDER = TenantId("us"), TenantId("them"), ElderId("e")
TEXTS = {"m1": "boat", "m2": "bread", "m3": "school"}


class Spelling:
    """Texts as vectors of letters: the same word is the nearest."""

    def embed(self, texts: Sequence[str], *, is_query: bool) -> list[list[float]]:
        return [_unit([float(text.count(letter)) + 0.01 for letter in "abcdefghijklmnopqrst"]) for text in texts]


def _unit(vector: list[float]) -> list[float]:
    length = sum(one * one for one in vector) ** 0.5
    return [one / length for one in vector]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    run = "from chromadb.cli.cli import app; app()"
    folder: Path = tmp_path_factory.mktemp("chroma")
    process = subprocess.Popen(
        [sys.executable, "-c", run, "run", "--path", str(folder), "--host", "127.0.0.1", "--port", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            ChromaIndex("127.0.0.1", port, Spelling()).check()
            break
        except EngineUnavailable:
            assert time.monotonic() < deadline, "chroma did not answer within 60 s"
            time.sleep(0.1)
    yield port
    process.kill()
    process.wait()


@pytest.fixture(params=["memory", "chroma"])
def index(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryIndex(Spelling())
        return
    index = ChromaIndex("127.0.0.1", request.getfixturevalue("server"), Spelling())
    yield index
    for tenant in (US, THEM):
        index.delete(tenant, ELDER)


def test_the_nearest_text_comes_first_with_its_cosine(index: Any) -> None:
    index.sync(US, ELDER, digest="1", texts=TEXTS)
    found = index.nearest(US, ELDER, "bread", limit=2)
    assert found[0][0] == "m2" and len(found) == 2
    assert found[0][1] == pytest.approx(1.0, abs=1e-4)


def test_a_sync_makes_the_index_hold_exactly_the_texts(index: Any) -> None:
    index.sync(US, ELDER, digest="1", texts=TEXTS)
    index.sync(US, ELDER, digest="2", texts={"m2": "bread", "m4": "clock"})
    assert {one for one, _ in index.nearest(US, ELDER, "bread", limit=9)} == {"m2", "m4"}


def test_the_same_digest_again_changes_nothing(index: Any) -> None:
    index.sync(US, ELDER, digest="1", texts=TEXTS)
    index.sync(US, ELDER, digest="1", texts={})
    assert len(index.nearest(US, ELDER, "bread", limit=9)) == 3


def test_another_tenants_elder_of_the_same_id_is_never_found(index: Any) -> None:
    index.sync(US, ELDER, digest="1", texts=TEXTS)
    index.sync(THEM, ELDER, digest="1", texts={"x1": "bread"})
    assert [one for one, _ in index.nearest(THEM, ELDER, "bread", limit=9)] == ["x1"]


def test_a_deleted_index_is_empty_and_deleting_twice_is_harmless(index: Any) -> None:
    index.sync(US, ELDER, digest="1", texts=TEXTS)
    index.delete(US, ELDER)
    index.delete(US, ELDER)
    assert index.nearest(US, ELDER, "bread", limit=9) == []


def test_a_server_that_is_down_is_named_so() -> None:
    with pytest.raises(EngineUnavailable):
        ChromaIndex("127.0.0.1", free_port(), Spelling()).check()
