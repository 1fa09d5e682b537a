"""Engines: which one serves is configured, may be an elder's choice, and is a version's for good."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.engines import Engines, open_engines
from adapters.llama_cpp import LlamaCppEngine
from adapters.ollama import OllamaEngine
from adapters.vllm import VllmEngine
from config.config_loader import ConfigLoader
from config.settings import ROOT, Settings
from kernel.errors import EngineNotConfigured, EngineUnavailable, WrongBase
from kernel.ports import ChatOptions
from kernel.version import ModelVersion
from tests.engine_fixtures import a_version, ask
from tests.unit.test_api import ELDER, House

OPTIONS = ChatOptions(temperature=0.0, max_tokens=8)
CONFIG = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=ROOT, environ={})


class Named:
    """Says its name, and remembers what it was asked."""

    def __init__(self, name: str, *, is_down: bool = False) -> None:
        self.name, self.is_down = name, is_down
        self.serves_adapters = name != "ollama"
        self.done: list[tuple[str, str]] = []

    def check(self) -> None:
        if self.is_down:
            raise EngineUnavailable(engine=self.name, reason="no answer")

    def register(self, version: ModelVersion, gguf: Path, **more: object) -> None:
        self.done.append(("register", version.tag))

    def has(self, version: ModelVersion) -> bool:
        return True

    def chat(self, version: ModelVersion, messages: object, options: ChatOptions) -> Iterator[str]:
        yield self.name

    def activate(self, version: ModelVersion) -> None:
        self.done.append(("activate", version.tag))

    def delete(self, version: ModelVersion, *, at_once: bool = True) -> None:
        self.done.append(("delete", version.tag))


def engines(*named: Named, name: str = "llama_cpp") -> Engines:
    return Engines({one.name: one for one in named}, name=name, bases={"vllm": "qwen"})  # type: ignore[misc]


def settings(tmp_path: Path, **more: object) -> Settings:
    return Settings(_env_file=None, model_dir=tmp_path, data_dir=tmp_path, **more)  # type: ignore[arg-type]


def test_a_version_is_answered_by_the_engine_that_it_was_registered_with() -> None:
    both = engines(Named("llama_cpp"), Named("ollama"), name="ollama")

    said = {name: "".join(both.chat(a_version(engine=name), ask("x"), OPTIONS)) for name in ("llama_cpp", "ollama")}

    assert said == {"llama_cpp": "llama_cpp", "ollama": "ollama"}


def test_everything_that_is_done_to_a_version_goes_to_its_engine() -> None:
    here, there = Named("llama_cpp"), Named("ollama")
    both, version = engines(here, there), a_version(engine="ollama")

    both.register(version, Path("x"))
    both.activate(version)
    both.delete(version)

    assert there.done == [("register", version.tag), ("activate", version.tag), ("delete", version.tag)]
    assert here.done == []


def test_a_version_of_an_engine_that_is_not_configured_any_more_says_what_to_do() -> None:
    left, version = engines(Named("llama_cpp")), a_version(engine="ollama")

    assert not left.has(version)
    for action in (lambda: left.chat(version, ask("x"), OPTIONS), lambda: left.delete(version)):
        with pytest.raises(EngineNotConfigured, match="Set OLLAMA_HOST"):
            action()


def test_an_elders_choice_names_the_engine_and_whether_it_serves_adapters() -> None:
    three = engines(Named("llama_cpp"), Named("ollama"), Named("vllm"))

    assert (three.preferring("").name, three.preferring("").serves_adapters) == ("llama_cpp", True)
    assert (three.preferring("ollama").name, three.preferring("ollama").serves_adapters) == ("ollama", False)
    assert three.preferring("vllm", base="qwen").name == "vllm"
    with pytest.raises(WrongBase, match="qwen only"):
        three.preferring("vllm", base="gemma")
    with pytest.raises(EngineNotConfigured):
        three.preferring("no such engine")


def test_llama_cpp_which_is_always_there_is_checked_only_where_it_serves() -> None:
    embedded, server = Named("llama_cpp", is_down=True), Named("ollama")

    engines(embedded, server, name="ollama").check()
    with pytest.raises(EngineUnavailable):
        engines(embedded, server, name="llama_cpp").check()
    server.is_down = True
    with pytest.raises(EngineUnavailable, match="ollama"):
        engines(embedded, server, name="ollama").check()


@pytest.mark.parametrize(
    ("more", "name", "kinds"),
    [
        ({}, "llama_cpp", [LlamaCppEngine]),
        ({"OLLAMA_HOST": "box"}, "ollama", [OllamaEngine, LlamaCppEngine]),
        ({"vllm_url": "http://vllm:8000"}, "vllm", [VllmEngine, LlamaCppEngine]),
        (
            {"OLLAMA_HOST": "box", "vllm_url": "http://vllm:8000", "engine": "vllm"},
            "vllm",
            [OllamaEngine, VllmEngine, LlamaCppEngine],
        ),
        ({"OLLAMA_HOST": "box", "engine": "llama_cpp"}, "llama_cpp", [OllamaEngine, LlamaCppEngine]),
    ],
)
def test_the_settings_say_which_engines_are_there_and_which_serves(
    tmp_path: Path, more: dict[str, str], name: str, kinds: list[type]
) -> None:
    opened = open_engines(settings(tmp_path, **more), CONFIG)

    assert opened.name == name
    assert [type(one) for one in opened._engines.values()] == kinds


def test_an_engine_that_the_settings_do_not_lead_to_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(EngineNotConfigured, match="HEIRLOOM_VLLM_URL"):
        open_engines(settings(tmp_path, engine="vllm"), CONFIG)


@pytest.mark.parametrize("value", ["30", "soon", "-1", ""])
def test_a_keep_alive_that_ollama_would_refuse_is_refused_here(tmp_path: Path, value: str) -> None:
    with pytest.raises(ValueError, match="ollama_keep_alive"):
        settings(tmp_path, ollama_keep_alive=value)


@pytest.mark.parametrize("value", ["30m", "1h30m", "-1s", "0s", "1.5h"])
def test_a_keep_alive_in_ollamas_form(tmp_path: Path, value: str) -> None:
    assert settings(tmp_path, ollama_keep_alive=value).ollama_keep_alive == value


# ---- over HTTP ----------------------------------------------------------------------------------------


@pytest.fixture
def house(tmp_path: Path) -> House:
    """Two engines: the embedded one, and vLLM with Gemma as its backbone."""
    house = House(tmp_path)
    served = Engines(
        {"llama_cpp": house.engine, "vllm": Named("vllm")},  # type: ignore[dict-item]
        name="llama_cpp",
        bases={"vllm": "gemma3-270m"},
    )
    object.__setattr__(house.services, "engine", served)
    return house


def test_an_elder_may_name_an_engine_and_take_it_back(house: House) -> None:
    new = {"elder_id": ELDER, "name": "李小明", "language": "zh", "engine": "vllm"}
    assert house.client.post("/elders", json=new).json()["engine"] == "vllm"

    assert house.client.put(f"/elders/{ELDER}/engine", json={"engine": ""}).json()["engine"] == ""
    assert house.client.get("/elders").json()["elders"][0]["engine"] == ""


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"engine": "ollama"}, 503, "engine_not_configured"),
        ({"engine": "../etc"}, 503, "engine_not_configured"),
        ({"engine": "vllm", "language": "en"}, 422, "wrong_base"),
        ({"engine": "vllm", "base_model": "smollm2-135m-instruct"}, 422, "wrong_base"),
    ],
)
def test_an_engine_that_could_not_serve_is_refused_before_anything_is_trained(
    house: House, body: dict[str, str], status: int, code: str
) -> None:
    new = {"elder_id": ELDER, "name": "李小明", "language": "zh"} | body

    refused = house.client.post("/elders", json=new)

    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert house.client.get("/elders").json()["elders"] == []


def test_a_training_whose_engine_has_gone_does_not_start(house: House) -> None:
    house.elder()
    house.services.elders.set_engine(house.tenant, ELDER, "ollama")  # type: ignore[arg-type]

    refused = house.client.post("/train/start", json={"elder_id": ELDER}, headers={"Accept-Language": "zh"})

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "engine_not_configured")
    assert "OLLAMA_HOST" in refused.json()["error"]["message"]
    assert house.bell.rung == []


def test_a_stranger_chooses_no_engine_for_another_familys_elder(house: House) -> None:
    house.elder()

    assert house.stranger.put(f"/elders/{ELDER}/engine", json={"engine": "vllm"}).status_code == 404


def test_a_chat_with_a_version_whose_engine_has_gone_says_what_to_do(house: House) -> None:
    house.elder()
    version = house.publish()
    house.services.versions.add(house.tenant, replace(version, engine="ollama"))

    refused = house.client.post("/chat", json={"elder_id": ELDER, "message": "你好"})

    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "engine_not_configured")
