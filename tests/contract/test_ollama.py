"""What only the Ollama engine promises, and that its double refuses what Ollama refuses."""

import hashlib
import json
import queue
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from adapters.ollama import OllamaEngine
from kernel.errors import EngineUnavailable, StageFailed
from kernel.ports import ChatOptions
from kernel.sample import Message
from tests.engine_fixtures import BASES, SYSTEM, a_version, ask, header_only, lora_gguf, smollm2
from tests.ollama_double import OllamaDouble

OPTIONS = ChatOptions(temperature=0.5, max_tokens=32)
PIECES = ["我", "生在", "苏州", "。"]
DIGEST = f"sha256:{hashlib.sha256(b'GGUF but not really').hexdigest()}"
SECRET = "the words that a person said"


@pytest.fixture
def ollama() -> Iterator[OllamaDouble]:
    with OllamaDouble(answer=lambda prompt, options: PIECES) as double:
        yield double


@pytest.fixture
def engine(ollama: OllamaDouble) -> Iterator[OllamaEngine]:
    engine = OllamaEngine(ollama.url, bases=BASES, timeout_seconds=10)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return header_only(tmp_path_factory.mktemp("gguf") / "model.gguf")


@pytest.fixture(scope="module")
def lora(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return lora_gguf(tmp_path_factory.mktemp("lora") / "adapter.gguf")


def test_a_blob_is_sent_once(engine: OllamaEngine, ollama: OllamaDouble, gguf: Path) -> None:
    engine.register(a_version(1), gguf)
    engine.register(a_version(1), gguf)
    engine.register(a_version(2), gguf)

    assert ollama.uploads == 1
    assert [method for method, path, _ in ollama.requests if "blobs" in path] == [
        "HEAD",
        "POST",
        "HEAD",
        "HEAD",
    ]


def test_the_model_is_made_from_the_blob_and_never_from_a_name(
    engine: OllamaEngine, ollama: OllamaDouble, gguf: Path
) -> None:
    engine.register(a_version(1), gguf)

    (made,) = _bodies(ollama, "/api/create")
    assert made["model"] == a_version(1).tag
    assert list(made["files"]) == ["model.gguf"]
    assert made["system"] == SYSTEM
    assert made["parameters"] == {"temperature": 0.3, "num_ctx": 4096, "stop": ["<|im_end|>"]}
    assert not {"from", "template", "adapters"} & set(made)


def test_a_chat_says_all_that_keeps_it_from_being_cut(engine: OllamaEngine, ollama: OllamaDouble, gguf: Path) -> None:
    engine.register(a_version(1), gguf)

    answer = list(engine.chat(a_version(1), [Message(role="user", content="你好")], OPTIONS))

    asked = _bodies(ollama, "/api/chat")[-1]
    assert answer == PIECES
    assert asked["messages"][0] == {"role": "system", "content": SYSTEM}
    assert asked["truncate"] is asked["shift"] is False
    assert asked["options"] == {"temperature": 0.5, "num_predict": 32, "repeat_penalty": 1.0}
    assert asked["keep_alive"] == "30m"


def test_stops_take_the_place_of_the_models_own_so_those_are_sent_too(
    engine: OllamaEngine, ollama: OllamaDouble, gguf: Path
) -> None:
    engine.register(a_version(1), gguf)

    list(engine.chat(a_version(1), ask("你好"), replace(OPTIONS, stop=("\n", "。"), top_p=0.5)))

    asked = _bodies(ollama, "/api/chat")[-1]["options"]
    assert (asked["stop"], asked["top_p"]) == (["<|im_end|>", "\n", "。"], 0.5)


def test_a_model_that_would_be_prompted_otherwise_is_not_left_behind(
    engine: OllamaEngine, ollama: OllamaDouble, gguf: Path
) -> None:
    ollama.state.faults.renders_otherwise = True

    with pytest.raises(EngineUnavailable, match="OLLAMA_GO_TEMPLATE=0"):
        engine.register(a_version(1), gguf)

    assert ollama.state.models == {}


def test_an_error_in_the_middle_of_making_a_model_is_an_error(
    engine: OllamaEngine, ollama: OllamaDouble, gguf: Path
) -> None:
    ollama.state.faults.create_fails_midway = True

    with pytest.raises(EngineUnavailable, match="no space left on device"):
        engine.register(a_version(1), gguf)

    assert not engine.has(a_version(1))


def test_an_error_in_the_middle_of_an_answer_is_an_error(
    engine: OllamaEngine, ollama: OllamaDouble, gguf: Path
) -> None:
    engine.register(a_version(1), gguf)
    ollama.state.faults.chat_fails_after = 2
    pieces = engine.chat(a_version(1), ask("你好"), OPTIONS)

    assert [next(pieces), next(pieces)] == PIECES[:2]
    with pytest.raises(EngineUnavailable, match="ended the answer with an error"):
        next(pieces)


def test_a_connection_that_breaks_does_not_pass_for_an_answer(
    engine: OllamaEngine, ollama: OllamaDouble, gguf: Path
) -> None:
    engine.register(a_version(1), gguf)
    ollama.state.faults.chat_drops_after = 2

    with pytest.raises(EngineUnavailable, match="no connection"):
        list(engine.chat(a_version(1), ask("你好"), OPTIONS))


def test_a_server_that_is_down_is_said_to_be_down_and_is_found_again(
    engine: OllamaEngine, ollama: OllamaDouble, gguf: Path
) -> None:
    engine.register(a_version(1), gguf)
    ollama.stop()

    for action in (
        engine.check,
        lambda: engine.has(a_version(1)),
        lambda: engine.register(a_version(1), gguf),
        lambda: engine.delete(a_version(1)),
        lambda: list(engine.chat(a_version(1), ask("你好"), OPTIONS)),
    ):
        with pytest.raises(EngineUnavailable, match="no connection to its server"):
            action()

    ollama.start()
    assert list(engine.chat(a_version(1), ask("你好"), OPTIONS)) == PIECES


def test_a_server_that_hangs_is_given_up(ollama: OllamaDouble, gguf: Path) -> None:
    patient, hasty = (OllamaEngine(ollama.url, bases=BASES, timeout_seconds=seconds) for seconds in (10, 0.1))
    patient.register(a_version(1), gguf)
    released = threading.Event()
    ollama.state.answer = lambda prompt, options: iter([str(released.wait(5))])

    with pytest.raises(EngineUnavailable, match="in time"):
        list(hasty.chat(a_version(1), ask("你好"), OPTIONS))

    released.set()
    patient.close()
    hasty.close()


def test_no_error_holds_what_a_person_said(engine: OllamaEngine, ollama: OllamaDouble, gguf: Path) -> None:
    engine.register(a_version(1), gguf)
    said: list[str] = []
    for status in ("chat_fails_after", "chat_drops_after"):
        setattr(ollama.state.faults, status, 1)
        with pytest.raises(EngineUnavailable) as caught:
            list(engine.chat(a_version(1), ask(SECRET), OPTIONS))
        said.append(f"{caught.value} {caught.value.details} {caught.value.__cause__!r}")

    assert SECRET not in " ".join(said)


def test_a_deleted_model_leaves_the_memory_too(engine: OllamaEngine, ollama: OllamaDouble, gguf: Path) -> None:
    engine.register(a_version(1), gguf)
    list(engine.chat(a_version(1), ask("你好"), OPTIONS))
    assert ollama.state.loaded

    engine.delete(a_version(1))

    assert not ollama.state.loaded
    assert not ollama.state.models


@pytest.mark.parametrize("pieces_before", [0, 1])
def test_a_client_that_goes_away_while_a_piece_is_waited_for_ends_the_generation_within_a_second(
    engine: OllamaEngine, ollama: OllamaDouble, gguf: Path, pieces_before: int
) -> None:
    engine.register(a_version(1), gguf)
    begun, got = threading.Event(), queue.Queue[str]()
    ollama.state.answer = lambda prompt, options: _then_waits(pieces_before, begun, ollama.cut)
    pieces = engine.chat(a_version(1), ask("你好"), OPTIONS)
    waiter = threading.Thread(target=lambda: [got.put(piece) for piece in pieces])
    waiter.start()
    assert [got.get(timeout=5) for _ in range(pieces_before)] == ["x"] * pieces_before
    assert begun.wait(5)

    started = time.monotonic()
    pieces.close()  # type: ignore[attr-defined]

    assert ollama.cut.wait(1)
    waiter.join(1)
    assert not waiter.is_alive()
    assert time.monotonic() - started < 1
    assert got.empty()
    assert list(pieces) == []


def test_what_a_client_did_not_wait_for_is_not_generated(
    engine: OllamaEngine, ollama: OllamaDouble, gguf: Path
) -> None:
    engine.register(a_version(1), gguf)
    ollama.state.answer = lambda prompt, options: ("x" * 4096 for _ in range(100_000))
    pieces = engine.chat(a_version(1), ask("你好"), OPTIONS)
    next(pieces)

    pieces.close()  # type: ignore[attr-defined]

    assert ollama.cut.wait(1)
    pieces.close()  # type: ignore[attr-defined]


def test_a_closed_chat_that_was_never_begun_asks_nothing(
    engine: OllamaEngine, ollama: OllamaDouble, gguf: Path
) -> None:
    engine.register(a_version(1), gguf)
    asked = len(ollama.requests)

    pieces = engine.chat(a_version(1), ask("你好"), OPTIONS)
    pieces.close()  # type: ignore[attr-defined]

    assert list(pieces) == []
    assert len(ollama.requests) == asked


def test_an_answer_may_hold_every_line_separator(engine: OllamaEngine, ollama: OllamaDouble, gguf: Path) -> None:
    engine.register(a_version(1), gguf)
    odd = "a\u2028b\u0085c\u000bd\r\ne"
    ollama.state.answer = lambda prompt, options: [odd]

    assert list(engine.chat(a_version(1), ask("你好"), OPTIONS)) == [odd]


def test_the_status_of_making_a_model_is_told(engine: OllamaEngine, ollama: OllamaDouble, gguf: Path) -> None:
    said: list[str] = []

    engine.register(a_version(1), gguf, say=said.append)

    assert said[0] == "parsing GGUF"
    assert said[-2:] == ["writing manifest", "success"]


def test_a_model_that_ollama_stops_making_is_no_model(engine: OllamaEngine, ollama: OllamaDouble, gguf: Path) -> None:
    ollama.state.faults.create_stops_midway = True

    with pytest.raises(EngineUnavailable, match="did not finish making"):
        engine.register(a_version(1), gguf)


def test_a_model_without_its_system_prompt_is_not_left_behind(
    engine: OllamaEngine, ollama: OllamaDouble, gguf: Path
) -> None:
    ollama.state.faults.forgets_system = True

    with pytest.raises(EngineUnavailable, match="did not keep the model"):
        engine.register(a_version(1), gguf)

    assert ollama.state.models == {}


def test_the_bare_name_is_the_version_in_use_and_goes_with_it(
    engine: OllamaEngine, ollama: OllamaDouble, gguf: Path
) -> None:
    first, second = a_version(1), replace(a_version(2), system_prompt="You are another.")
    engine.register(first, gguf)
    engine.activate(first)
    engine.register(second, gguf)
    engine.activate(second)

    engine.delete(first)
    assert set(ollama.state.models) == {second.tag, f"{second.name}:latest"}

    engine.delete(second)
    assert ollama.state.models == {}


def test_a_bare_name_that_a_broken_deletion_left_goes_the_next_time(
    engine: OllamaEngine, ollama: OllamaDouble, gguf: Path
) -> None:
    engine.register(a_version(1), gguf)
    engine.activate(a_version(1))
    del ollama.state.models[a_version(1).tag]

    engine.delete(a_version(1))

    assert ollama.state.models == {}


def test_another_elders_models_stay(engine: OllamaEngine, ollama: OllamaDouble, gguf: Path) -> None:
    mine, other = a_version(1), a_version(1, elder="LXM19380312F2")
    for version in (mine, other):
        engine.register(version, gguf)
        engine.activate(version)

    engine.delete(mine)

    assert set(ollama.state.models) == {other.tag, f"{other.name}:latest"}


# ---- a base and an adapter ----------------------------------------------------------------------------


def test_an_adapter_goes_with_its_base_which_is_sent_once_for_all(ollama: OllamaDouble, gguf: Path, lora: Path) -> None:
    with closing(OllamaEngine(ollama.url, bases={a_version().base: gguf})) as engine:
        engine.register(a_version(1), lora)
        engine.register(a_version(1, elder="ANOTHER"), lora)
        assert engine.serves_adapters

    made = _bodies(ollama, "/api/create")
    assert [set(one["files"]) | set(one["adapters"]) for one in made] == [{"model.gguf", "adapter.gguf"}] * 2
    assert made[0]["parameters"]["stop"] == ["<|im_end|>"]
    assert "from" not in made[0]
    assert ollama.uploads == 2


def test_an_ollama_that_takes_no_adapters_is_told_apart(gguf: Path, lora: Path) -> None:
    with (
        OllamaDouble(answer=lambda prompt, options: PIECES, version="0.34.2") as ollama,
        closing(OllamaEngine(ollama.url, bases={a_version().base: gguf})) as engine,
    ):
        with pytest.raises(StageFailed, match="keep merged weights instead"):
            engine.register(a_version(1), lora)
        engine.register(a_version(1), gguf)

        assert not engine.serves_adapters
        assert len(ollama.state.models) == 1


def test_an_elder_in_adapter_mode_answers_otherwise_than_the_base(lora: Path) -> None:
    greedy = ChatOptions(temperature=0.0, max_tokens=12)
    with OllamaDouble() as ollama, closing(OllamaEngine(ollama.url, bases=BASES)) as engine:
        engine.register(a_version(1), smollm2())
        engine.register(a_version(2), lora)

        plain, tuned = (list(engine.chat(a_version(one), ask("Where were you born?"), greedy)) for one in (1, 2))

    assert tuned and tuned != plain


def test_the_environments_proxy_never_sees_an_elders_words(
    ollama: OllamaDouble, monkeypatch: pytest.MonkeyPatch, gguf: Path
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    engine = OllamaEngine(ollama.url, bases=BASES)

    engine.register(a_version(1), gguf)

    assert engine.has(a_version(1))
    engine.close()


# ---- the double refuses what Ollama refuses -----------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"model": "x"}, 400, "neither 'from' or 'files' was specified"),
        ({"model": "x", "files": {}}, 400, "unknown type"),
        ({"model": "a b", "files": {"m.gguf": DIGEST}}, 400, "invalid model name"),
        ({"model": "x" * 81, "files": {"m.gguf": DIGEST}}, 400, "invalid model name"),
        ({"model": "x", "files": {"../m.gguf": DIGEST}}, 400, "file path must be relative"),
        ({"model": "x", "files": {"m.gguf": "sha256:123"}}, 400, "invalid digest format"),
        ({"model": "x", "files": {"m.txt": DIGEST}}, 400, "unknown type"),
        ({"model": "x", "files": {"m.bin": f"sha256:{'0' * 64}"}}, 400, "blob not found"),
        (
            {"model": "x", "files": {"m.gguf": DIGEST, "m.safetensors": DIGEST}},
            400,
            "mixed model file types",
        ),
        ({"model": "x", "files": {"m.gguf": DIGEST}, "quantize": "q8_0"}, 400, "create-time quantization"),
        ({"model": "x", "files": {"m.gguf": DIGEST}, "parameters": "hot"}, 400, "cannot unmarshal"),
        ({"model": "x", "files": {"m.gguf": f"sha256:{'0' * 64}"}}, 200, "no such file or directory"),
        ({"model": "x", "files": {"m.gguf": DIGEST}}, 200, "invalid file magic"),
    ],
)
def test_a_model_that_ollama_would_not_make(
    ollama: OllamaDouble, body: dict[str, Any], status: int, error: str
) -> None:
    httpx.post(f"{ollama.url}/api/blobs/{_digest(b'not a gguf')}", content=b"not a gguf")
    named = json.loads(json.dumps(body).replace(DIGEST, _digest(b"not a gguf")))

    response = httpx.post(f"{ollama.url}/api/create", json=named)

    assert response.status_code == status
    assert error in json.loads(response.text.splitlines()[-1])["error"]
    assert ollama.state.models == {}


def test_a_blob_whose_name_is_not_its_digest(ollama: OllamaDouble) -> None:
    response = httpx.post(f"{ollama.url}/api/blobs/{DIGEST}", content=b"something else")

    assert response.status_code == 400
    assert response.json()["error"].startswith("digest mismatch")
    assert httpx.head(f"{ollama.url}/api/blobs/{DIGEST}").status_code == 404


def test_two_adapters_are_refused(ollama: OllamaDouble, gguf: Path, lora: Path) -> None:
    base, adapter = (_send(ollama, file) for file in (gguf, lora))
    body = {"model": "x", "files": {"m.gguf": base}, "adapters": {"a.gguf": adapter, "b.gguf": adapter}}

    response = httpx.post(f"{ollama.url}/api/create", json=body)

    assert json.loads(response.text.splitlines()[-1])["error"] == "only one adapter is currently supported"
    assert ollama.state.models == {}


@pytest.mark.parametrize(("version", "ends"), [("0.33.3", "success"), ("0.34.2", None)])
def test_a_model_made_from_a_name_that_is_missing_is_an_error_under_200(version: str, ends: str | None) -> None:
    with OllamaDouble(answer=lambda prompt, options: PIECES, version=version) as ollama:
        response = httpx.post(f"{ollama.url}/api/create", json={"model": "x", "from": "llama3"})

    lines = [json.loads(line) for line in response.text.splitlines()]
    assert response.status_code == 200
    assert {"error": "pull model manifest: file does not exist"} in lines
    assert lines[-1].get("status") == ends


def test_a_keep_alive_that_is_no_duration_is_refused(ollama: OllamaDouble, gguf: Path) -> None:
    engine = OllamaEngine(ollama.url, bases=BASES, keep_alive="30")
    engine.register(a_version(1), gguf)

    with pytest.raises(EngineUnavailable, match="HTTP 400"):
        next(engine.chat(a_version(1), ask("你好"), OPTIONS))
    engine.close()


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "error"),
    [
        ("POST", "/api/chat", {"model": "x", "messages": []}, 404, "model 'x' not found"),
        ("POST", "/api/show", {"model": "x"}, 404, "model 'x' not found"),
        ("DELETE", "/api/delete", {"model": "x"}, 404, "model 'x' not found"),
        ("POST", "/api/copy", {"source": "x", "destination": "y"}, 404, 'model "x" not found'),
        ("POST", "/api/show", {}, 400, "model is required"),
        ("DELETE", "/api/delete", {"model": "a b"}, 400, 'name "a b" is invalid'),
        ("POST", "/api/chat", {"model": "x", "messages": "hello"}, 400, "cannot unmarshal"),
    ],
)
def test_a_request_that_ollama_would_refuse(
    ollama: OllamaDouble, method: str, path: str, body: dict[str, Any], status: int, error: str
) -> None:
    response = httpx.request(method, f"{ollama.url}{path}", json=body)

    assert response.status_code == status
    assert error in response.json()["error"]


def test_the_rest_of_the_api_is_there(engine: OllamaEngine, ollama: OllamaDouble, gguf: Path) -> None:
    engine.register(a_version(1), gguf)
    httpx.post(f"{ollama.url}/api/copy", json={"source": a_version(1).tag, "destination": "latest"})
    chat = {"model": "LATEST", "messages": [{"role": "user", "content": "你好"}], "stream": False}

    assert httpx.post(f"{ollama.url}/api/chat", json=chat).json()["message"]["content"] == "".join(PIECES)
    assert len(httpx.get(f"{ollama.url}/api/tags").json()["models"]) == 2
    assert httpx.get(f"{ollama.url}/api/ps").json()["models"][-1]["details"]["format"] == "gguf"
    embedded = httpx.post(f"{ollama.url}/api/embed", json={"model": "latest", "input": ["a", "b"]}).json()
    assert len(embedded["embeddings"]) == 2
    assert httpx.get(f"{ollama.url}/api/version").json()["version"] >= "0.30"


def _bodies(ollama: OllamaDouble, path: str) -> list[dict[str, Any]]:
    return [body for _, asked, body in ollama.requests if asked == path]


def _send(ollama: OllamaDouble, file: Path) -> str:
    digest = _digest(file.read_bytes())
    httpx.post(f"{ollama.url}/api/blobs/{digest}", content=file.read_bytes()).raise_for_status()
    return digest


def _then_waits(pieces: int, begun: threading.Event, cut: threading.Event) -> Iterator[str]:
    yield from ["x"] * pieces
    begun.set()
    cut.wait(10)


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
