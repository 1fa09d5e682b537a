"""One contract, two indexes: the in-memory one, and a real Chroma server."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from operator import mul
from pathlib import Path
from typing import Any

import pytest

from adapters.chroma import ChromaIndex
from kernel.errors import EngineUnavailable
from kernel.ids import ElderId, TenantId
from modelserver.cli.port import free_port
from tests.fakes import MemoryIndex

US, THEM, ELDER = TenantId("us"), TenantId("them"), ElderId("e")
TEXTS = ["boat", "bread", "school"]


class Spelling:
    """Texts as vectors of letters: the same word is the nearest. `texts`: what it was asked for, without questions."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.meanwhile: Callable[[], None] = lambda: None  #: happens while texts are embedded

    def embed(self, texts: Sequence[str], *, is_query: bool) -> list[list[float]]:
        if not is_query:
            self.texts += texts
            self.meanwhile()
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


@pytest.fixture
def embedder() -> Spelling:
    return Spelling()


@pytest.fixture(params=["memory", "chroma"])
def index(request: pytest.FixtureRequest, embedder: Spelling) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryIndex(embedder)
    else:
        yield request.getfixturevalue("chroma")()


@pytest.fixture
def chroma(server: int, embedder: Spelling) -> Iterator[Callable[..., ChromaIndex]]:
    """Each call is as another process."""

    def made(**options: Any) -> ChromaIndex:
        return ChromaIndex("127.0.0.1", server, embedder, **options)

    yield made
    for tenant in (US, THEM):
        made().delete(tenant, ELDER)


def asked(index: Any, texts: Sequence[str] = TEXTS, *, tenant: TenantId = US, question: str = "bread") -> list[float]:
    found = index.similarities(tenant, ELDER, question, digest=" ".join(texts), texts=texts)
    return [float(one) for one in found]


def cosines(texts: Sequence[str], question: str = "bread") -> Any:
    [wanted, *vectors] = Spelling().embed([question, *texts], is_query=True)
    return pytest.approx([sum(map(mul, wanted, vector)) for vector in vectors], abs=1e-4)


def test_each_text_has_its_cosine_in_the_order_of_the_texts(index: Any) -> None:
    assert asked(index) == cosines(TEXTS)
    assert asked(index)[1] == pytest.approx(1.0, abs=1e-4)


def test_only_what_is_new_is_embedded(index: Any, embedder: Spelling) -> None:
    asked(index)
    embedder.texts.clear()
    assert asked(index) == cosines(TEXTS)
    assert not embedder.texts
    assert asked(index, ["bread", "clock", "bread"]) == cosines(["bread", "clock", "bread"])
    assert embedder.texts == ["clock"]


def test_what_is_no_longer_told_is_forgotten(index: Any, embedder: Spelling) -> None:
    asked(index)
    asked(index, ["bread"])
    embedder.texts.clear()
    asked(index)
    assert sorted(embedder.texts) == ["boat", "school"]


def test_what_is_held_before_anyone_asks_is_not_embedded_again_nor_by_holding_it_twice(
    index: Any, embedder: Spelling
) -> None:
    assert index.hold(US, ELDER, TEXTS, most=9)
    assert sorted(embedder.texts) == TEXTS
    assert index.hold(US, ELDER, TEXTS, most=9)
    assert asked(index) == cosines(TEXTS)
    assert sorted(embedder.texts) == TEXTS


def test_so_many_are_held_at_a_time_and_it_says_when_all_are(index: Any, embedder: Spelling) -> None:
    assert not index.hold(US, ELDER, TEXTS, most=2)
    assert len(embedder.texts) == 2
    assert index.hold(US, ELDER, TEXTS, most=2)
    assert sorted(embedder.texts) == TEXTS


def test_holding_drops_what_is_no_longer_told_and_touches_no_other_family(index: Any, embedder: Spelling) -> None:
    for tenant in (US, THEM):
        index.hold(tenant, ELDER, TEXTS, most=9)
    index.hold(US, ELDER, ["bread"], most=9)
    embedder.texts.clear()
    index.hold(THEM, ELDER, TEXTS, most=9)
    assert not embedder.texts
    index.hold(US, ELDER, TEXTS, most=9)
    assert sorted(embedder.texts) == ["boat", "school"]


def test_what_is_deleted_while_it_is_made_is_not_made_again(index: Any, embedder: Spelling) -> None:
    def deleted() -> None:
        embedder.meanwhile = lambda: None
        index.delete(US, ELDER)

    for make in (lambda: index.hold(US, ELDER, TEXTS, most=9), lambda: asked(index)):
        embedder.meanwhile = deleted
        with suppress(EngineUnavailable):
            make()
        embedder.texts.clear()
        index.hold(US, ELDER, TEXTS, most=9)
        assert sorted(embedder.texts) == TEXTS  # none was there
        index.delete(US, ELDER)


def test_tenants_share_nothing_though_their_elders_ids_are_the_same(index: Any, embedder: Spelling) -> None:
    asked(index)
    embedder.texts.clear()
    assert asked(index, ["bread"], tenant=THEM) == cosines(["bread"])
    assert embedder.texts == ["bread"]
    assert asked(index) == cosines(TEXTS)


def test_a_deleted_index_is_empty_and_deleting_twice_is_harmless(index: Any, embedder: Spelling) -> None:
    asked(index)
    index.delete(US, ELDER)
    index.delete(US, ELDER)
    embedder.texts.clear()
    assert asked(index) == cosines(TEXTS)
    assert sorted(embedder.texts) == TEXTS


def test_another_process_reads_what_is_there(chroma: Any, embedder: Spelling) -> None:
    asked(chroma())
    embedder.texts.clear()
    assert asked(chroma()) == cosines(TEXTS)
    assert not embedder.texts


def test_what_another_process_changed_or_lost_is_right_all_the_same(chroma: Any, embedder: Spelling) -> None:
    one, other = chroma(), chroma()
    asked(one)
    asked(other, ["bread", "clock"])
    assert asked(one) == cosines(TEXTS)
    assert asked(one, ["clock", "boat"]) == cosines(["clock", "boat"])
    other.delete(US, ELDER)
    assert asked(one, ["clock", "boat"]) == cosines(["clock", "boat"])
    assert asked(one, ["bread", "boat"]) == cosines(["bread", "boat"])


def test_what_is_held_in_the_process_has_a_bound(chroma: Any) -> None:
    index = chroma(held_bytes=len(TEXTS) * 20 * 4)
    asked(index)
    assert len(index._held) == 1
    assert asked(index, tenant=THEM) == asked(index) == cosines(TEXTS)
    assert len(index._held) == 1


def test_many_threads_make_the_vectors_once(chroma: Any, embedder: Spelling) -> None:
    index = chroma()
    with ThreadPoolExecutor(8) as pool:
        assert all(found == cosines(TEXTS) for found in pool.map(lambda _: asked(index), range(16)))
    assert sorted(embedder.texts) == TEXTS


def test_a_server_that_is_down_is_named_so() -> None:
    with pytest.raises(EngineUnavailable):
        ChromaIndex("127.0.0.1", free_port(), Spelling()).check()
