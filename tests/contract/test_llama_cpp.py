"""What only the embedded engine promises: files, memory, and the two programs' functions."""

import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from adapters import greedy, llama_cpp
from adapters.gguf_file import read_gguf
from adapters.greedy import greedy_answers
from adapters.llama_cpp import LlamaCppEngine, quantise
from kernel.errors import BadId, ContextTooLong, EngineUnavailable, NoDiskSpace, StageFailed
from kernel.ids import ModelName
from kernel.ports import ChatOptions
from kernel.sample import Message
from tests.engine_fixtures import SYSTEM, a_version, ask, smollm2

GREEDY = ChatOptions(temperature=0.0, max_tokens=4)
TALE = ChatOptions(temperature=0.0, max_tokens=400)


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[LlamaCppEngine]:
    """Room for one merged SmolLM2, and one answer at a time."""
    engine = LlamaCppEngine(
        tmp_path / "gguf", threads=1, context_tokens=512, memory_bytes=150_000_000, seats=1, wait_seconds=0.05
    )
    with closing(engine):
        for number in (1, 2):
            engine.register(a_version(number), smollm2())
        yield engine


def test_registering_costs_no_space_on_the_same_file_system(engine: LlamaCppEngine, tmp_path: Path) -> None:
    own = tmp_path / "model.gguf"
    own.write_bytes(smollm2().read_bytes())

    engine.register(a_version(3), own)

    assert own.stat().st_nlink == 2


def test_deleting_leaves_nothing_of_a_registration_that_was_killed(engine: LlamaCppEngine, tmp_path: Path) -> None:
    folder = tmp_path / "gguf" / a_version(1).name
    for number in (1, 2):
        (folder / f".v{number}.gguf.4711.1").write_bytes(b"half of the weights")

    engine.delete(a_version(1))
    assert [file.name for file in sorted(folder.iterdir())] == [".v2.gguf.4711.1", "v2.gguf"]
    engine.delete(a_version(2))

    assert not folder.exists()


def test_between_file_systems_it_is_a_whole_copy(
    engine: LlamaCppEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_cpp.os, "link", _cannot_link)

    engine.register(a_version(3), smollm2())

    (copy,) = (tmp_path / "gguf").glob("*/v3.gguf")
    assert copy.read_bytes() == smollm2().read_bytes()
    assert not list((tmp_path / "gguf").rglob(".*"))


def test_a_full_disk_is_seen_before_copying(
    engine: LlamaCppEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(llama_cpp.os, "link", _cannot_link)
    monkeypatch.setattr(llama_cpp.shutil, "disk_usage", lambda path: _Usage())

    with pytest.raises(NoDiskSpace, match="98 MB needed"):
        engine.register(a_version(3), smollm2())

    assert not engine.has(a_version(3))
    assert not list((tmp_path / "gguf").rglob(".*"))


def test_a_retrained_version_replaces_the_file_and_the_loaded_model(engine: LlamaCppEngine, tmp_path: Path) -> None:
    other = tmp_path / "other.gguf"
    other.write_bytes(smollm2().read_bytes() + b"\0")
    "".join(engine.chat(a_version(1), ask("Hello"), GREEDY))

    engine.register(a_version(1), other)

    (file,) = (tmp_path / "gguf").glob("*/v1.gguf")
    assert file.samefile(other)
    assert "".join(engine.chat(a_version(1), ask("Hello"), GREEDY))


def test_the_model_that_rested_longest_makes_room(engine: LlamaCppEngine, tmp_path: Path) -> None:
    own = tmp_path / "own.gguf"  # two names of the same file would be one model
    own.write_bytes(smollm2().read_bytes())
    engine.register(a_version(3), own)

    for number in (1, 3, 1):
        assert "".join(engine.chat(a_version(number), ask("Hello"), GREEDY))
        assert engine.voices.loaded == [a_version(number).tag]


def test_who_waits_too_long_for_a_taken_model_is_told_so(engine: LlamaCppEngine) -> None:
    taken = engine.chat(a_version(1), ask("Tell me everything."), TALE)
    next(taken)

    for number in (1, 2):
        with pytest.raises(EngineUnavailable, match="busy"):
            next(engine.chat(a_version(number), ask("Hello"), GREEDY))

    taken.close()
    assert "".join(engine.chat(a_version(2), ask("Hello"), GREEDY))


def test_deleting_breaks_off_the_answer_that_is_being_given(engine: LlamaCppEngine, tmp_path: Path) -> None:
    given = engine.chat(a_version(1), ask("Tell me everything."), TALE)
    next(given)

    engine.delete(a_version(1))

    with pytest.raises(EngineUnavailable, match="gone"):
        list(given)
    assert not list((tmp_path / "gguf").glob("*/v1.gguf"))
    assert (engine.voices.loaded, engine.voices.size_bytes) == ([], 0)


def test_a_damaged_file_is_said_to_be_so_and_blocks_nothing(engine: LlamaCppEngine, tmp_path: Path) -> None:
    half = tmp_path / "half.gguf"
    half.write_bytes(smollm2().read_bytes()[: 40 << 20])
    engine.register(a_version(3), half)

    for _ in range(2):
        with pytest.raises(EngineUnavailable, match="cannot be loaded"):
            next(engine.chat(a_version(3), ask("Hello"), GREEDY))

    assert "".join(engine.chat(a_version(1), ask("Hello"), GREEDY))


def test_a_name_is_never_a_path(engine: LlamaCppEngine) -> None:
    version = a_version()
    object.__setattr__(version, "name", ModelName("../../etc"))

    with pytest.raises(BadId):
        engine.delete(version)


def test_the_second_turn_computes_only_what_is_new(engine: LlamaCppEngine) -> None:
    first = ask("I was born in Suzhou, in the lane behind the silk market. " * 20 + "Where was I born?")
    second = [*first, Message(role="assistant", content="In Suzhou."), Message(role="user", content="Sure?")]
    "".join(engine.chat(a_version(1), ask("Hello"), GREEDY))  # loaded

    def seconds_to_first_piece(messages: list[Message]) -> float:
        started = time.monotonic()
        with closing(engine.chat(a_version(1), messages, GREEDY)) as pieces:
            next(pieces)
        return time.monotonic() - started

    cold = seconds_to_first_piece(first)
    assert seconds_to_first_piece(second) < cold / 2


def test_nothing_is_written_to_the_standard_streams(engine: LlamaCppEngine, capfd: pytest.CaptureFixture[str]) -> None:
    "".join(engine.chat(a_version(1), ask("Hello"), GREEDY))

    assert capfd.readouterr() == ("", "")


def test_greedy_answers_are_those_of_chat_in_the_prompts_order(
    engine: LlamaCppEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More prompts than are answered at once, and of different lengths. Where two tokens are all but equally likely
    an answer may differ: chat begins from what the turn before left in the cache. Measured: 5 of 5, and 19 of 19."""
    monkeypatch.setattr(greedy, "_SEATS", 2)
    prompts = [ask(f"{'Well, ' * (number % 5)}count from {number} to {number + 3}.") for number in range(5)]
    done: list[tuple[int, int]] = []

    answers = greedy_answers(
        smollm2(),
        prompts,
        threads=1,
        max_tokens=4,
        on_progress=lambda count, total: done.append((count, total)),
    )

    chatted = ["".join(engine.chat(a_version(1), prompt, GREEDY)) for prompt in prompts]
    assert sum(one == other for one, other in zip(answers, chatted, strict=True)) >= 4
    assert done == [(count, 5) for count in range(1, 6)]
    assert answers == greedy_answers(smollm2(), prompts, threads=1, max_tokens=4)


def test_a_long_prompt_costs_seats_not_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = [ask("Say: yes."), ask("Tell me. " * 20), ask("Say: no.")]
    together = greedy_answers(smollm2(), prompts, threads=1, max_tokens=4)
    monkeypatch.setattr(greedy, "_CACHED", 150)
    assert greedy_answers(smollm2(), prompts, threads=1, max_tokens=4) == together


def test_an_answer_ends_where_the_model_ends_it() -> None:
    short, cut = (greedy_answers(smollm2(), [ask("Say: yes.")], threads=1, max_tokens=most)[0] for most in (60, 2))

    assert short.startswith(cut) and len(cut) < len(short) and "<|" not in short


def test_a_prompt_that_leaves_no_room_for_an_answer_is_refused() -> None:
    with pytest.raises(ContextTooLong):
        greedy_answers(smollm2(), [ask("long " * 9000)], threads=1, max_tokens=4)


def test_what_cannot_be_quantised_leaves_no_file(tmp_path: Path) -> None:
    """SmolLM2 is quantised already, and llama.cpp does not quantise twice."""
    with pytest.raises(StageFailed, match="could not quantise"):
        quantise(smollm2(), tmp_path / "model.gguf", "q8_0", threads=1)

    assert list(tmp_path.iterdir()) == []


def test_the_prompt_is_what_the_files_own_template_makes() -> None:
    assert read_gguf(smollm2()).render(ask("你好")) == (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n你好<|im_end|>\n<|im_start|>assistant\n"
    )


def test_an_answer_that_is_begun_is_gone_on_with(engine: LlamaCppEngine) -> None:
    """In chat and in evaluation alike; what comes back is the rest of it."""
    begun = (*ask("Count from one to five."), Message(role="assistant", content="One, two, three,"))

    [rest] = greedy_answers(smollm2(), [begun], threads=1, max_tokens=4)

    assert rest.strip().casefold().startswith("four")
    assert "".join(engine.chat(a_version(1), begun, replace(GREEDY, max_tokens=4))) == rest


class _Usage:
    free = 1_000_000


def _cannot_link(*_: object) -> None:
    raise OSError(18, "Invalid cross-device link")
