"""Many elders on one base: adapters that share its weights, in a budget, and never in each other's answers.

A tiny model whose adapters each say one word (tests/tiny_gguf.py), so that a crossed answer is a wrong word.
"""

import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters import llama_cpp
from adapters.context import Context
from adapters.llama_cpp import LlamaCppEngine
from adapters.local_model import library
from kernel.errors import ContextTooLong, EngineUnavailable, StageFailed
from kernel.ports import ChatOptions
from kernel.sample import Message
from kernel.version import ModelVersion
from tests.engine_fixtures import a_version, ask
from tests.tiny_gguf import make_tiny_gguf, make_word_adapter, plain_words

FEW = ChatOptions(temperature=0.0, max_tokens=3)
LONG = ChatOptions(temperature=0.0, max_tokens=300)
WORDS = plain_words(4)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    make_tiny_gguf(folder / "base.gguf")
    for number, (token, _) in enumerate(WORDS):
        make_word_adapter(folder / f"{number}.gguf", token)
    return folder


class House:
    """Elders 0 to 3, each with a word."""

    def __init__(self, files: Path, folder: Path, **limits: float) -> None:
        self.files = files
        settings = {"threads": 1, "context_tokens": 512, "bases": {"tiny": files / "base.gguf"}, "wait_seconds": 30.0}
        self.engine = LlamaCppEngine(folder / "gguf", **(settings | limits))
        for elder in range(len(WORDS)):
            self.engine.register(version(elder), files / f"{elder}.gguf")

    def ask(self, elder: int, messages: list[Message] | None = None) -> set[str]:
        """The words of the answer."""
        return set("".join(self.engine.chat(version(elder), messages or ask("Who are you?"), FEW)).split())

    def bytes_of(self, elders: int) -> int:
        """Reckoned with so many elders loaded."""
        self.engine.close()
        for elder in range(elders):
            self.ask(elder)
        return self.engine.voices.size_bytes


@pytest.fixture
def house(files: Path, tmp_path: Path) -> Iterator[House]:
    house = House(files, tmp_path)
    with closing(house.engine):
        yield house


def version(elder: int) -> ModelVersion:
    return replace(a_version(elder=f"elder{elder}"), base="tiny", storage="adapter")


def test_each_elder_answers_with_their_own_adapter_on_the_one_base(house: House) -> None:
    for elder in (0, 1, 0, 2, 3, 1):
        assert house.ask(elder) == {WORDS[elder][1]}

    bases = {(house.files / "base.gguf").stat().st_ino}
    linked = {file.stat().st_ino for file in house.engine._folder.glob("*/v1.base.gguf")}
    assert len(linked) == 1 and linked == bases
    assert len(house.engine.voices._bases) == 1


def test_a_further_elder_costs_an_adapter_and_no_weights(house: House) -> None:
    adapter, base = (house.files / name for name in ("1.gguf", "base.gguf"))

    further = house.bytes_of(2) - house.bytes_of(1)

    assert adapter.stat().st_size < further < adapter.stat().st_size + 100_000 < base.stat().st_size


def test_who_rested_longest_makes_room_and_comes_back_when_asked(files: Path, tmp_path: Path, house: House) -> None:
    small = House(files, tmp_path / "small", memory_bytes=house.bytes_of(2) + 1000)
    with closing(small.engine):
        for elder in (0, 1, 0, 2):
            assert small.ask(elder) == {WORDS[elder][1]}

        assert small.engine.voices.loaded == [version(0).tag, version(2).tag]
        assert small.ask(1) == {WORDS[1][1]}
        assert small.engine.voices.size_bytes <= house.bytes_of(2) + 1000


def test_a_model_beyond_the_budget_is_refused_with_the_setting_to_change(files: Path, tmp_path: Path) -> None:
    tight = House(files, tmp_path, memory_bytes=1_000_000)

    with closing(tight.engine), pytest.raises(EngineUnavailable, match="HEIRLOOM_MODEL_MEMORY_BYTES allows 1 MB"):
        tight.ask(0)

    assert tight.engine.voices.size_bytes == 0


def test_two_answers_that_take_turns_piece_by_piece_keep_apart(house: House) -> None:
    one, other = (house.engine.chat(version(elder), ask("Go on."), LONG) for elder in (0, 1))
    with closing(one), closing(other):
        said = [(next(one), next(other)) for _ in range(20)]

    assert {pair[0].strip() for pair in said} == {WORDS[0][1]}
    assert {pair[1].strip() for pair in said} == {WORDS[1][1]}


@pytest.mark.parametrize("seats", [1, 2])
def test_many_families_at_once_wait_in_line_and_get_their_own_words(files: Path, tmp_path: Path, seats: int) -> None:
    """Room for two adapters and one seat: every answer swaps, and most load."""
    house = House(files, tmp_path)
    budget = house.bytes_of(2) + (seats - 1) * 60_000_000
    house.engine.close()
    tight = House(files, tmp_path / "tight", seats=seats, memory_bytes=budget)
    wrong: list[object] = []

    def talk(elder: int) -> None:
        for _ in range(5):
            try:
                if (said := tight.ask(elder)) != {WORDS[elder][1]}:
                    wrong.append(said)
            except EngineUnavailable as error:
                wrong.append(error)

    families = [threading.Thread(target=talk, args=(number % len(WORDS),)) for number in range(8)]
    with closing(tight.engine):
        for family in families:
            family.start()
        for family in families:
            family.join()

    assert wrong == []
    assert tight.engine.voices.size_bytes == 0


def test_what_every_prompt_begins_with_is_read_once_whoever_spoke_in_between(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[int] = []
    compute = Context._compute
    monkeypatch.setattr(Context, "_compute", lambda self, tokens: (computed.append(len(tokens)), compute(self, tokens)))
    persona = "You speak as one who was born in Suzhou, by the canal. " * 5
    messages = [Message(role="system", content=persona), Message(role="user", content="Who are you?")]

    def tokens_read(elder: int) -> int:
        computed.clear()
        house.ask(elder, messages)
        return sum(computed)

    whole = tokens_read(0)
    assert tokens_read(1) == whole
    assert tokens_read(0) < whole / 3


def test_the_same_question_has_the_same_answer_whether_its_beginning_was_kept_or_not(house: House) -> None:
    bare = replace(a_version(elder="bare"), base="tiny")
    house.engine.register(bare, house.files / "base.gguf")

    def said() -> str:
        return "".join(house.engine.chat(bare, ask("Where were you born?"), ChatOptions(temperature=0, max_tokens=24)))

    first = said()
    house.ask(0)
    assert said() == first
    house.engine.close()
    assert said() == first


def test_an_adapter_that_does_not_fit_its_base_is_said_to_be_so_and_blocks_nothing(house: House) -> None:
    broken = house.files.parent / "broken.gguf"
    broken.write_bytes((house.files / "0.gguf").read_bytes()[:-100_000])
    house.engine.register(version(0), broken)

    for _ in range(2):
        with pytest.raises(EngineUnavailable, match="cannot be loaded"):
            house.ask(0)

    assert house.ask(1) == {WORDS[1][1]}
    assert version(0).tag not in house.engine.voices.loaded


def test_what_another_process_registers_anew_is_what_is_answered(files: Path, tmp_path: Path, house: House) -> None:
    """The worker publishes, the API answers: only the files are shared."""
    assert house.ask(0) == {WORDS[0][1]}
    worker = LlamaCppEngine(tmp_path / "gguf", threads=1, context_tokens=512, bases={"tiny": files / "base.gguf"})

    worker.register(version(0), files / "3.gguf")

    assert house.ask(0) == {WORDS[3][1]}


def test_a_whole_model_is_not_taken_for_an_adapter(house: House) -> None:
    with pytest.raises(StageFailed, match="not an adapter"):
        house.engine.register(version(0), house.files / "base.gguf")

    assert house.ask(0) == {WORDS[0][1]}


def test_a_version_is_answered_on_the_base_it_was_checked_on_whatever_becomes_of_the_base(
    files: Path, tmp_path: Path
) -> None:
    base = tmp_path / "base.gguf"
    base.write_bytes((files / "base.gguf").read_bytes())
    house = House(files, tmp_path, bases={"tiny": base})
    base.unlink()

    with closing(house.engine):
        assert house.engine.has(version(2))
        assert house.ask(2) == {WORDS[2][1]}


def test_where_no_link_can_be_made_there_is_one_copy_of_the_base_until_the_last_elder_goes(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = llama_cpp.os.link
    here = tmp_path / "gguf"

    def within_one_file_system(source: Path, target: Path) -> None:
        if here not in source.parents:
            raise OSError(18, "Invalid cross-device link")
        link(source, target)

    monkeypatch.setattr(llama_cpp.os, "link", within_one_file_system)
    house = House(files, tmp_path)

    with closing(house.engine):
        assert len({file.stat().st_ino for file in here.glob("*/v1.base.gguf")}) == 1
        assert [house.ask(elder) for elder in (0, 1)] == [{WORDS[0][1]}, {WORDS[1][1]}]
        for elder in range(len(WORDS)):
            assert list(here.glob("bases/*.gguf"))
            house.engine.delete(version(elder))
    assert not list(here.rglob("*.gguf"))


def test_a_version_that_is_retired_ends_its_answer_and_one_that_is_deleted_does_not(house: House) -> None:
    retired, deleted = (house.engine.chat(version(elder), ask("Go on."), LONG) for elder in (0, 1))
    next(retired), next(deleted)

    house.engine.delete(version(0), at_once=False)
    house.engine.delete(version(1))

    assert set("".join(retired).split()) == {WORDS[0][1]}
    with pytest.raises(EngineUnavailable, match="gone"):
        list(deleted)
    assert house.engine.voices.loaded == []
    assert house.engine.voices.size_bytes == 0


@pytest.mark.parametrize("left", ["closed", "never begun", "too long"])
def test_an_answer_that_ends_early_leaves_its_seat_free_within_a_second(files: Path, tmp_path: Path, left: str) -> None:
    house = House(files, tmp_path, seats=1, wait_seconds=1.0)
    with closing(house.engine):
        house.ask(1)  # loaded
        gone = house.engine.chat(version(0), ask("Go on. " * (900 if left == "too long" else 1)), LONG)
        if left == "too long":
            with pytest.raises(ContextTooLong):
                next(gone)
        elif left == "closed":
            next(gone)
            gone.close()

        assert house.ask(1) == {WORDS[1][1]}
        assert not any(seat.is_taken for base in house.engine.voices._bases.values() for seat in base.seats)


def test_who_goes_away_in_line_is_in_line_no_more(files: Path, tmp_path: Path) -> None:
    house = House(files, tmp_path, seats=1)
    with closing(house.engine):
        holder = house.engine.chat(version(0), ask("Go on."), LONG)
        next(holder)
        gone = house.engine.chat(version(1), ask("Go on."), LONG)
        waiting, pieces = _taking(gone)
        (mark,) = house.engine.voices._bases
        while not house.engine.voices._lines.get(mark):
            threading.Event().wait(0.01)
        gone.close()
        waiting.join(1)

        assert not waiting.is_alive() and pieces == []
        assert not house.engine.voices._lines and house.engine.voices.loaded == [version(0).tag]
        assert set("".join(holder).split()) == {WORDS[0][1]}


def test_who_goes_away_while_their_prompt_is_read_frees_the_seat_after_the_batch(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(files, tmp_path, seats=1, wait_seconds=1.0)
    with closing(house.engine):
        house.ask(0)  # loaded
        reading, go_on, batches = threading.Event(), threading.Event(), list[int]()
        decode = library().llama_decode

        def slow(context: object, batch: Any) -> int:
            batches.append(batch.n_tokens)
            reading.set()
            go_on.wait(5)
            return int(decode(context, batch))

        monkeypatch.setattr(library(), "llama_decode", slow)
        gone = house.engine.chat(version(0), ask("Who are you, and where were you born? " * 30), LONG)
        waiting, pieces = _taking(gone)
        assert reading.wait(5)
        gone.close()
        go_on.set()
        waiting.join(1)

        assert not waiting.is_alive() and pieces == []
        assert batches == [256]  # of a longer prompt
        assert house.ask(0) == {WORDS[0][1]}


def _taking(answer: Iterator[str]) -> tuple[threading.Thread, list[str]]:
    """A thread that takes the pieces."""
    pieces: list[str] = []
    thread = threading.Thread(target=pieces.extend, args=(answer,))
    thread.start()
    return thread, pieces


def test_those_who_wait_are_served_in_the_order_they_came(files: Path, tmp_path: Path) -> None:
    house = House(files, tmp_path, seats=1)
    with closing(house.engine):
        holder = house.engine.chat(version(0), ask("Go on."), LONG)
        next(holder)
        (mark,) = house.engine.voices._bases
        waiting = []
        for elder in (3, 1, 2):
            waiting.append(threading.Thread(target=house.ask, args=(elder,)))
            waiting[-1].start()
            while len(house.engine.voices._lines.get(mark, ())) < len(waiting):
                threading.Event().wait(0.01)
        holder.close()
        for one in waiting:
            one.join()

        assert house.engine.voices.loaded == [version(elder).tag for elder in (0, 3, 1, 2)]
