"""What only the vLLM engine promises, the two brains on its backbone, and that its double refuses what vLLM refuses."""

import json
import queue
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.llm_factory import LLMFactory, open_llm_factory
from adapters.vllm import FILES, VllmEngine
from config.settings import Settings
from kernel.errors import BadId, ContextTooLong, EngineUnavailable, StageFailed
from kernel.language_model import Schema, Task
from kernel.ports import ChatOptions, Ending
from kernel.sample import Message
from kernel.version import ModelVersion
from tests.engine_fixtures import SYSTEM, a_version, ask, peft_adapter
from tests.vllm_double import BACKBONE, KEY, VllmDouble

OPTIONS = ChatOptions(temperature=0.5, max_tokens=32)
GREEDY = ChatOptions(temperature=0.0, max_tokens=12)
PIECES = ["我", "生在", "苏州", "。"]
SECRET = "the words that a person said"
NO_GGUF = Path("no such file")


@pytest.fixture
def vllm() -> Iterator[VllmDouble]:
    with VllmDouble(answer=lambda prompt, body: iter(PIECES)) as double:
        yield double


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "shared"


@pytest.fixture
def engine(vllm: VllmDouble, folder: Path) -> Iterator[VllmEngine]:
    with closing(VllmEngine(vllm.url, key=KEY, folder=folder, timeout_seconds=10)) as engine:
        yield engine


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return peft_adapter(tmp_path_factory.mktemp("peft") / "adapter")


def test_each_version_is_an_adapter_on_the_one_backbone(
    engine: VllmEngine, vllm: VllmDouble, folder: Path, adapter: Path
) -> None:
    said: list[str] = []
    for version in (a_version(1), a_version(2), a_version(1, elder="ANOTHER")):
        engine.register(version, NO_GGUF, adapter=adapter, say=said.append)

    assert vllm.loaded == {
        version.tag: folder / version.name / f"v{version.number}"
        for version in (a_version(1), a_version(2), a_version(1, elder="ANOTHER"))
    }
    assert said[:2] == ["copying the adapter", "loading the adapter"]


def test_only_what_vllm_reads_lies_in_the_shared_folder(engine: VllmEngine, folder: Path, adapter: Path) -> None:
    engine.register(a_version(1), NO_GGUF, adapter=adapter)

    assert sorted(file.name for file in folder.rglob("*") if file.is_file()) == sorted(FILES)


def test_the_shared_folder_may_have_another_path_for_vllm(vllm: VllmDouble, tmp_path: Path, adapter: Path) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.symlink_to(ours)
    with closing(VllmEngine(vllm.url, key=KEY, folder=ours, seen_as=str(theirs))) as engine:
        engine.register(a_version(1), NO_GGUF, adapter=adapter)

    assert vllm.loaded[a_version(1).tag] == theirs / a_version(1).name / "v1"


def test_the_same_adapter_again_disturbs_nobody(engine: VllmEngine, vllm: VllmDouble, adapter: Path) -> None:
    engine.register(a_version(1), NO_GGUF, adapter=adapter)
    asked = len(vllm.requests)

    engine.register(a_version(1), NO_GGUF, adapter=adapter)

    assert [path for _, path, _ in vllm.requests[asked:]] == ["/v1/models"]


def test_another_adapter_takes_the_place_of_the_one_before(
    engine: VllmEngine, vllm: VllmDouble, folder: Path, adapter: Path, tmp_path: Path
) -> None:
    other = peft_adapter(tmp_path / "other", seed=2)
    engine.register(a_version(1), NO_GGUF, adapter=adapter)

    engine.register(a_version(1), NO_GGUF, adapter=other)

    kept = folder / a_version(1).name / "v1" / FILES[1]
    assert kept.read_bytes() == (other / FILES[1]).read_bytes()
    assert [path for _, path, _ in vllm.requests][-3:] == [
        "/v1/load_lora_adapter",
        "/v1/unload_lora_adapter",
        "/v1/load_lora_adapter",
    ]


def test_what_vllm_forgot_at_a_restart_answers_again(engine: VllmEngine, vllm: VllmDouble, adapter: Path) -> None:
    engine.register(a_version(1), NO_GGUF, adapter=adapter)

    vllm.restart()
    assert list(engine.chat(a_version(1), ask("你好"), OPTIONS)) == PIECES
    vllm.restart()
    assert engine.has(a_version(1))
    assert set(vllm.loaded) == {a_version(1).tag}


def test_an_adapter_that_vllm_takes_no_more_says_so(
    engine: VllmEngine, vllm: VllmDouble, folder: Path, adapter: Path
) -> None:
    engine.register(a_version(1), NO_GGUF, adapter=adapter)
    vllm.restart()
    (folder / a_version(1).name / "v1" / FILES[1]).unlink()

    with pytest.raises(EngineUnavailable, match="does not take the adapter"):
        next(engine.chat(a_version(1), ask("你好"), OPTIONS))


def test_a_chat_is_routed_by_its_model_and_says_how_it_ended(
    engine: VllmEngine, vllm: VllmDouble, adapter: Path
) -> None:
    engine.register(a_version(1), NO_GGUF, adapter=adapter)
    pieces = engine.chat(a_version(1), ask("你好"), OPTIONS)

    assert [next(pieces) for _ in PIECES] == PIECES
    with pytest.raises(StopIteration) as end:
        next(pieces)

    asked = vllm.requests[-1][2]
    assert asked["model"] == a_version(1).tag
    assert asked["messages"][0] == {"role": "system", "content": SYSTEM}
    assert (asked["temperature"], asked["max_tokens"], asked["stream"]) == (0.5, 32, True)
    assert end.value.value == Ending(tokens_read=7, tokens_written=4, is_cut=False)


def test_an_answer_that_is_cut_says_so(engine: VllmEngine, adapter: Path) -> None:
    engine.register(a_version(1), NO_GGUF, adapter=adapter)
    pieces = engine.chat(a_version(1), ask("你好"), ChatOptions(temperature=0.0, max_tokens=4))

    with pytest.raises(StopIteration) as end:
        while True:
            next(pieces)

    assert end.value.value.is_cut


def test_a_name_that_is_no_name_of_ours_becomes_no_path(engine: VllmEngine, vllm: VllmDouble, adapter: Path) -> None:
    with pytest.raises(BadId):
        engine.register(_named("../../etc"), NO_GGUF, adapter=adapter)

    assert vllm.requests == []


def test_deleting_leaves_neither_the_adapter_nor_its_folder(
    engine: VllmEngine, vllm: VllmDouble, folder: Path, adapter: Path
) -> None:
    engine.register(a_version(1), NO_GGUF, adapter=adapter)

    engine.delete(a_version(1))

    assert vllm.loaded == {}
    assert list(folder.iterdir()) == []
    assert not engine.has(a_version(1))


def test_an_adapter_that_is_not_let_go_stays_known(
    engine: VllmEngine, vllm: VllmDouble, folder: Path, adapter: Path
) -> None:
    engine.register(a_version(1), NO_GGUF, adapter=adapter)
    vllm.faults.keeps_adapters = True

    with pytest.raises(EngineUnavailable, match="did not let"):
        engine.delete(a_version(1))

    assert (folder / a_version(1).name / "v1").is_dir()


# ---- what may go wrong --------------------------------------------------------------------------------


def test_an_adapter_of_too_high_a_rank_is_not_kept(
    engine: VllmEngine, vllm: VllmDouble, folder: Path, tmp_path: Path
) -> None:
    wide = peft_adapter(tmp_path / "wide", rank=64)

    with pytest.raises(StageFailed, match="LoRA rank 64 is greater than max_lora_rank 16"):
        engine.register(a_version(1), NO_GGUF, adapter=wide)

    assert vllm.loaded == {} and list(folder.iterdir()) == []


def test_a_folder_that_vllm_does_not_see_is_said_so(vllm: VllmDouble, tmp_path: Path, adapter: Path) -> None:
    with closing(VllmEngine(vllm.url, key=KEY, folder=tmp_path / "ours", seen_as="/elsewhere")) as engine:
        with pytest.raises(StageFailed, match=r"sees no adapter at /elsewhere/.*HEIRLOOM_VLLM_ADAPTERS_PATH"):
            engine.register(a_version(1), NO_GGUF, adapter=adapter)


def test_without_an_adapter_there_is_nothing_to_serve(engine: VllmEngine) -> None:
    with pytest.raises(StageFailed, match="LoRA adapters"):
        engine.register(a_version(1), NO_GGUF)


@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_wrong_key_is_told_from_a_server_that_is_down(
    vllm: VllmDouble, folder: Path, adapter: Path, key: str
) -> None:
    with closing(VllmEngine(vllm.url, key=key, folder=folder)) as engine:
        for action in (
            engine.check,
            lambda: engine.register(a_version(1), NO_GGUF, adapter=adapter),
            lambda: engine.delete(a_version(1)),
            lambda: next(engine.chat(a_version(1), ask("你好"), OPTIONS)),
        ):
            with pytest.raises(EngineUnavailable, match="HEIRLOOM_VLLM_KEY"):
                action()


def test_a_server_that_loads_no_adapters_says_what_to_do(folder: Path, adapter: Path) -> None:
    with (
        VllmDouble(answer=lambda prompt, body: iter(PIECES), allows_updating=False) as vllm,
        closing(VllmEngine(vllm.url, key=KEY, folder=folder)) as engine,
        pytest.raises(EngineUnavailable, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"),
    ):
        engine.register(a_version(1), NO_GGUF, adapter=adapter)


def test_a_server_whose_engine_died_is_said_to_have_broken_down(
    engine: VllmEngine, vllm: VllmDouble, adapter: Path
) -> None:
    vllm.faults.is_dead = True

    for action in (engine.check, lambda: engine.register(a_version(1), NO_GGUF, adapter=adapter)):
        with pytest.raises(EngineUnavailable, match="start its server again"):
            action()


def test_a_server_that_is_down_is_said_to_be_down_and_is_found_again(
    engine: VllmEngine, vllm: VllmDouble, adapter: Path
) -> None:
    engine.register(a_version(1), NO_GGUF, adapter=adapter)
    vllm.stop()

    for action in (
        engine.check,
        lambda: engine.has(a_version(1)),
        lambda: engine.register(a_version(1), NO_GGUF, adapter=adapter),
        lambda: engine.delete(a_version(1)),
        lambda: next(engine.chat(a_version(1), ask("你好"), OPTIONS)),
    ):
        with pytest.raises(EngineUnavailable, match="no connection to its server"):
            action()

    vllm.start()
    assert list(engine.chat(a_version(1), ask("你好"), OPTIONS)) == PIECES


@pytest.mark.parametrize(
    ("fault", "said"),
    [("chat_fails_after", "ended the answer with an error"), ("chat_drops_after", "no connection")],
)
def test_an_answer_that_breaks_off_does_not_pass_for_one(
    engine: VllmEngine, vllm: VllmDouble, adapter: Path, fault: str, said: str
) -> None:
    engine.register(a_version(1), NO_GGUF, adapter=adapter)
    setattr(vllm.faults, fault, 2)
    pieces = engine.chat(a_version(1), ask(SECRET), OPTIONS)

    assert [next(pieces), next(pieces)] == PIECES[:2]
    with pytest.raises(EngineUnavailable, match=said) as caught:
        next(pieces)
    assert list(pieces) == []

    assert SECRET not in f"{caught.value} {caught.value.details} {caught.value.__cause__!r}"


@pytest.mark.parametrize("pieces_before", [0, 1])
def test_a_client_that_goes_away_while_a_piece_is_waited_for_ends_the_generation_within_a_second(
    folder: Path, adapter: Path, pieces_before: int
) -> None:
    begun, got = threading.Event(), queue.Queue[str]()

    def answer(prompt: str, body: dict[str, Any]) -> Iterator[str]:
        yield from ["x"] * pieces_before
        begun.set()
        vllm.cut.wait(10)

    with VllmDouble(answer=answer) as vllm, closing(VllmEngine(vllm.url, key=KEY, folder=folder)) as engine:
        engine.register(a_version(1), NO_GGUF, adapter=adapter)
        pieces = engine.chat(a_version(1), ask("你好"), OPTIONS)
        waiter = threading.Thread(target=lambda: [got.put(piece) for piece in pieces])
        waiter.start()
        assert [got.get(timeout=5) for _ in range(pieces_before)] == ["x"] * pieces_before
        assert begun.wait(5)

        started = time.monotonic()
        pieces.close()

        assert vllm.cut.wait(1)
        waiter.join(1)
        assert not waiter.is_alive()
        assert time.monotonic() - started < 1
        assert got.empty() and list(pieces) == []


# ---- the two brains -----------------------------------------------------------------------------------


@pytest.fixture
def factory(vllm: VllmDouble, tmp_path: Path, folder: Path, adapter: Path) -> LLMFactory:
    folder.symlink_to(tmp_path / "adapters")
    for name in ("left_brain", "right_brain"):
        shutil.copytree(adapter, tmp_path / "adapters" / name)
    return open_llm_factory(Settings(vllm_url=f"{vllm.url}/v1", vllm_key=KEY, model_dir=tmp_path))


def test_the_left_brain_gives_json_at_temperature_0_and_is_short(factory: LLMFactory, vllm: VllmDouble) -> None:
    vllm.answer = lambda prompt, body: iter(['{"city": ', '"Suzhou"}'])
    schema = Schema(name="place", properties={"city": {"type": "string"}})
    messages = (Message(role="user", content="Where was she born?"),)

    left = factory.get_left_brain_llm()
    reply = left.reply(Task(purpose="place", messages=messages, schema=schema, max_tokens=4_000), pause=lambda _: None)

    asked = vllm.requests[-1][2]
    assert reply.value == {"city": "Suzhou"}
    assert (asked["model"], asked["temperature"], asked["max_tokens"]) == ("left_brain", 0, 512)
    assert asked["response_format"]["type"] == "json_schema"


def test_the_right_brain_talks_warmly_and_streams(factory: LLMFactory, vllm: VllmDouble) -> None:
    assert list(factory.get_right_brain_llm().chat(ask("你好"))) == PIECES

    asked = vllm.requests[-1][2]
    assert (asked["model"], asked["temperature"], asked["stream"]) == ("right_brain", 0.8, True)


def test_both_brains_and_the_elders_share_one_backbone(
    factory: LLMFactory, engine: VllmEngine, vllm: VllmDouble, adapter: Path
) -> None:
    engine.register(a_version(1), NO_GGUF, adapter=adapter)
    factory.get_left_brain_llm()
    factory.get_right_brain_llm()

    assert {card["parent"] for card in vllm.models()["data"][1:]} == {BACKBONE}
    assert set(vllm.loaded) == {a_version(1).tag, "left_brain", "right_brain"}


def test_a_brain_that_is_not_there_is_said_so(engine: VllmEngine, vllm: VllmDouble) -> None:
    factory = LLMFactory(engine, url=vllm.url, key=KEY, left="left_brain", right="right_brain")

    for get in (factory.get_left_brain_llm, factory.get_right_brain_llm):
        with pytest.raises(EngineUnavailable, match="put its folder beside"):
            get()


def test_two_elders_answer_each_in_their_own_way(folder: Path, tmp_path: Path) -> None:
    """Real weights: SmolLM2 with two adapters."""
    versions = [a_version(1), a_version(1, elder="ANOTHER")]
    with VllmDouble() as vllm, closing(VllmEngine(vllm.url, key=KEY, folder=folder)) as engine:
        for seed, version in enumerate(versions):
            engine.register(version, NO_GGUF, adapter=peft_adapter(tmp_path / f"{seed}", seed=seed))
        one, other = (list(engine.chat(version, ask("Where were you born?"), GREEDY)) for version in versions)

        assert one and other and one != other
        with pytest.raises(ContextTooLong, match="512 tokens"):
            next(engine.chat(versions[0], ask("Remember this. " * 600), GREEDY))


# ---- the double refuses what vLLM refuses -------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("load_lora_adapter", {"lora_name": "a"}, 400, "Bad Request"),
        ("load_lora_adapter", {"lora_name": "", "lora_path": ""}, 400, "InvalidUserInput"),
        ("load_lora_adapter", {"lora_name": "a", "lora_path": "/nowhere"}, 404, "NotFoundError"),
        ("load_lora_adapter", {"lora_name": "here", "lora_path": "ADAPTER"}, 400, "InvalidUserInput"),
        ("unload_lora_adapter", {"lora_name": "never"}, 404, "NotFoundError"),
        ("chat/completions", {"model": "never", "messages": [{"role": "user", "content": "x"}]}, 404, "NotFoundError"),
        ("chat/completions", {"model": "here", "messages": []}, 400, "Bad Request"),
        ("chat/completions", {"model": "here", "messages": [{"role": "x", "content": "x"}]}, 400, "BadRequestError"),
        (
            "chat/completions",
            {"model": "here", "messages": [{"role": "user", "content": "x"}], "max_tokens": 0},
            400,
            "BadRequestError",
        ),
        (
            "chat/completions",
            {"model": "here", "messages": [{"role": "user", "content": "x"}], "stream_options": {}},
            200,
            None,
        ),
        (
            "chat/completions",
            {"model": "here", "messages": [{"role": "user", "content": "x"}], "top_p": 0},
            400,
            "BadRequestError",
        ),
        (
            "chat/completions",
            {"model": "here", "messages": [{"role": "user", "content": "x"}], "stop": ["a", ""]},
            400,
            "BadRequestError",
        ),
        ("nothing", {}, 404, "Not Found"),
    ],
)
def test_a_request_that_vllm_would_refuse(
    vllm: VllmDouble, adapter: Path, path: str, body: dict[str, Any], status: int, kind: str | None
) -> None:
    vllm.loaded["here"] = adapter
    asked = json.loads(json.dumps(body).replace("ADAPTER", str(adapter)))

    response = httpx.post(f"{vllm.url}/v1/{path}", json=asked, headers={"Authorization": f"Bearer {KEY}"})

    assert response.status_code == status
    assert response.json().get("error", {}).get("type") == kind


def test_a_load_in_another_form_than_json_is_refused(vllm: VllmDouble) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "text/plain"}

    assert httpx.post(f"{vllm.url}/v1/load_lora_adapter", content="{}", headers=headers).status_code == 415


def _named(name: str) -> ModelVersion:
    return replace(a_version(1), name=name)  # type: ignore[arg-type]
