"""What every engine promises; a real SmolLM2 answers behind each of them."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.llama_cpp import LlamaCppEngine
from adapters.ollama import OllamaEngine
from adapters.vllm import VllmEngine
from kernel.errors import ContextTooLong, EngineUnavailable, StageFailed
from kernel.ports import ChatOptions, Engine
from tests.engine_fixtures import BASES, a_version, ask, peft_adapter, smollm2
from tests.ollama_double import OllamaDouble
from tests.vllm_double import KEY, VllmDouble

GREEDY = ChatOptions(temperature=0.0, max_tokens=12)
TALE = ChatOptions(temperature=0.0, max_tokens=400)
CONTEXT_TOKENS = 512


@pytest.fixture(scope="module", params=["llama_cpp", "ollama", "vllm"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """One for the module: what a test leaves behind is under an elder of its own."""
    folder = tmp_path_factory.mktemp(request.param)
    if request.param == "llama_cpp":
        with closing(LlamaCppEngine(folder, threads=1, context_tokens=CONTEXT_TOKENS)) as embedded:
            yield embedded
    elif request.param == "ollama":
        with (
            OllamaDouble() as double,
            closing(OllamaEngine(double.url, bases=BASES, context_tokens=CONTEXT_TOKENS)) as served,
        ):
            yield served
    else:
        with (
            VllmDouble(max_model_len=CONTEXT_TOKENS) as vllm,
            closing(VllmEngine(vllm.url, key=KEY, folder=folder)) as served_by_vllm,
        ):
            yield served_by_vllm


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of no strength: an engine that serves the adapter answers as one that serves the GGUF."""
    return peft_adapter(tmp_path_factory.mktemp("peft") / "adapter", strength=0.0)


@pytest.fixture(scope="module", autouse=True)
def registered(engine: Engine, adapter: Path) -> None:
    for number in (1, 2):
        engine.register(a_version(number), smollm2(), adapter=adapter)


def test_it_says_that_it_is_well(engine: Engine) -> None:
    engine.check()


def test_registering_again_is_harmless(engine: Engine, adapter: Path) -> None:
    engine.register(a_version(1), smollm2(), adapter=adapter)

    assert engine.has(a_version(1))
    assert "".join(engine.chat(a_version(1), ask("Where were you born?"), GREEDY))


def test_the_pieces_come_one_by_one_and_join_to_the_same_answer_each_time(engine: Engine) -> None:
    first = list(engine.chat(a_version(1), ask("Where were you born?"), GREEDY))
    other = "".join(engine.chat(a_version(1), ask("What did you cook on Sundays?"), GREEDY))
    again = list(engine.chat(a_version(1), ask("Where were you born?"), GREEDY))

    assert len(first) > 1
    assert "".join(first) == "".join(again) != other


def test_chinese_comes_whole(engine: Engine) -> None:
    text = "我出生在苏州，妈妈星期天煮鳝鱼面。"
    repeat = ask(f"Repeat this exactly, and say nothing else: {text}")

    pieces = list(engine.chat(a_version(1), repeat, ChatOptions(temperature=0.0, max_tokens=60)))

    assert text[1:] in "".join(pieces)
    assert not any("\ufffd" in piece for piece in pieces)
    assert any(len(piece.encode()) > len(piece) for piece in pieces)


def test_an_answer_ends_before_the_first_of_its_stops_within_a_piece_and_across_them(engine: Engine) -> None:
    pieces = list(engine.chat(a_version(1), ask("Where were you born?"), GREEDY))
    whole = "".join(pieces)
    across = pieces[3][-1] + pieces[4][:2]
    for stops in ((across,), ("never said", whole[-4:], across), (pieces[2],), (pieces[5], pieces[5][:1])):
        said = "".join(engine.chat(a_version(1), ask("Where were you born?"), replace(GREEDY, stop=stops)))
        assert said == whole[: min(at for stop in stops if (at := whole.find(stop)) >= 0)], stops


def test_what_only_begins_a_stop_is_said(engine: Engine) -> None:
    whole = "".join(engine.chat(a_version(1), ask("Where were you born?"), GREEDY))
    for stops in (("never said",), (whole[4:9] + "…",), (whole[-3:] + "…",)):
        options = replace(GREEDY, stop=stops)
        assert "".join(engine.chat(a_version(1), ask("Where were you born?"), options)) == whole


def test_of_a_small_share_of_what_is_likely_the_likeliest_is_left(engine: Engine) -> None:
    lively = replace(GREEDY, temperature=2.0, max_tokens=24)
    said = [
        "".join(engine.chat(a_version(1), ask("Tell me a story."), options))
        for options in (replace(lively, temperature=0.0), replace(lively, top_p=0.001), replace(lively, top_p=1.0))
    ]
    assert said[0] == said[1] != said[2]


def test_an_answer_that_nobody_wants_any_more_frees_the_model_at_once(engine: Engine) -> None:
    long = engine.chat(a_version(1), ask("Tell me the whole story of your life."), TALE)
    next(long)
    started = time.monotonic()
    next(long)
    per_piece = time.monotonic() - started

    long.close()  # type: ignore[attr-defined]
    started = time.monotonic()
    next(iter(engine.chat(a_version(1), ask("Tell me the whole story of your life."), GREEDY)))

    assert time.monotonic() - started < max(1.0, 20 * per_piece)


def test_a_version_that_was_never_registered_is_not_answered(engine: Engine) -> None:
    stranger = a_version(elder="STRANGER")

    assert not engine.has(stranger)
    with pytest.raises(EngineUnavailable, match="train again"):
        next(iter(engine.chat(stranger, ask("Hello"), GREEDY)))


def test_the_version_in_use_may_be_said_again(engine: Engine) -> None:
    engine.activate(a_version(1))
    engine.activate(a_version(2))

    assert engine.has(a_version(1)) and engine.has(a_version(2))


def test_deleting_twice_is_harmless(engine: Engine, adapter: Path) -> None:
    goner = a_version(elder="GONER")
    engine.register(goner, smollm2(), adapter=adapter)

    engine.delete(goner)
    engine.delete(goner)

    assert not engine.has(goner)
    with pytest.raises(EngineUnavailable):
        next(iter(engine.chat(goner, ask("Hello"), GREEDY)))


def test_deleting_a_version_leaves_the_others(engine: Engine, adapter: Path) -> None:
    engine.register(a_version(3), smollm2(), adapter=adapter)

    engine.delete(a_version(3))

    assert engine.has(a_version(1))


def test_what_is_no_model_is_not_registered(engine: Engine, tmp_path: Path) -> None:
    impostor = tmp_path / "model.gguf"
    impostor.write_bytes(b"MZ" + b"\0" * 4096)

    with pytest.raises(StageFailed, match="publish"):
        engine.register(a_version(elder="IMPOSTOR"), impostor, adapter=tmp_path)

    assert not engine.has(a_version(elder="IMPOSTOR"))


def test_half_a_model_is_not_registered(engine: Engine, tmp_path: Path) -> None:
    half = tmp_path / "model.gguf"
    half.write_bytes(smollm2().read_bytes()[:100_000])
    (tmp_path / "adapter_config.json").write_text("{}")

    with pytest.raises(StageFailed, match="publish"):
        engine.register(a_version(elder="HALF"), half, adapter=tmp_path)


def test_a_conversation_beyond_the_context_is_refused_and_not_cut(engine: Engine) -> None:
    with pytest.raises(ContextTooLong, match="512 tokens"):
        next(iter(engine.chat(a_version(1), ask("Remember this. " * 600), GREEDY)))

    assert "".join(engine.chat(a_version(1), ask("Hello"), GREEDY))


def test_two_conversations_at_once_never_mix(engine: Engine) -> None:
    questions = {1: "Where were you born?", 2: "Count from one to ten."}
    alone = {
        number: "".join(engine.chat(a_version(number), ask(question), GREEDY)) for number, question in questions.items()
    }
    together: dict[int, str] = {}

    def talk(number: int) -> None:
        together[number] = "".join(engine.chat(a_version(number), ask(questions[number]), GREEDY))

    threads = [threading.Thread(target=talk, args=(number,)) for number in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert together == alone


def test_two_conversations_with_one_version_wait_for_each_other(engine: Engine) -> None:
    questions = ["Where were you born?", "Count from one to ten.", "What is your name?"]
    alone = {question: "".join(engine.chat(a_version(1), ask(question), GREEDY)) for question in questions}
    together: dict[str, str] = {}

    def talk(question: str) -> None:
        together[question] = "".join(engine.chat(a_version(1), ask(question), GREEDY))

    threads = [threading.Thread(target=talk, args=(question,)) for question in questions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert together == alone
