"""docker-compose.yml against the settings and the code that it starts."""

import importlib.util
import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from adapters.doorbell import QUEUES
from config.config_loader import ConfigLoader
from config.settings import ROOT, Settings
from modelserver.cli.part import GIVES_WAY

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
VLLM = SERVICES["vllm"]
OURS = ("modelserver", "worker-cpu", "worker-gpu", "companion", "sweep")
VARIABLES = {
    "OLLAMA_HOST",
    *(f"HEIRLOOM_{name.upper()}" for name in Settings.model_fields if name != "ollama_host"),
}


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_setting(name: str) -> None:
    given = {variable for variable in SERVICES[name]["environment"] if variable.startswith(("HEIRLOOM_", "OLLAMA_"))}
    assert given <= VARIABLES


@pytest.mark.parametrize("name", OURS)
def test_no_server_is_left_to_be_embedded(name: str) -> None:
    for variable in ("HEIRLOOM_MONGO_URL", "HEIRLOOM_REDIS_URL", "HEIRLOOM_CHROMA_URL", "OLLAMA_HOST"):
        host = urlsplit(re.sub(r"\$\{[^}]*\}", "secret", SERVICES[name]["environment"][variable])).hostname
        assert host in SERVICES


@pytest.mark.parametrize("name", OURS)
def test_what_computes_gives_way_as_it_does_on_one_machine(name: str) -> None:
    assert GIVES_WAY.items() <= SERVICES[name]["environment"].items()


def test_every_queue_is_served() -> None:
    from kernel.pipeline import Queue

    served = [queue for name in OURS for queue in _queues(SERVICES[name]["command"])]
    assert sorted(served) == sorted(QUEUES) == sorted(Queue)


@pytest.mark.parametrize("name", OURS)
def test_everyone_sees_the_same_data_and_models(name: str) -> None:
    environment = SERVICES[name]["environment"]
    mounts = dict(reversed(volume.split(":")[:2]) for volume in SERVICES[name]["volumes"])
    assert mounts == {environment["HEIRLOOM_DATA_DIR"]: "data", environment["HEIRLOOM_MODEL_DIR"]: "models"}
    settings = Settings(
        data_dir=Path(environment["HEIRLOOM_DATA_DIR"]), model_dir=Path(environment["HEIRLOOM_MODEL_DIR"])
    )
    for folder in (settings.artifacts_dir, settings.logs_dir, settings.gguf_dir):
        assert any(folder.is_relative_to(mount) for mount in mounts)


def test_every_volume_is_declared() -> None:
    used = {volume.split(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}
    assert used == set(COMPOSE["volumes"])


def test_only_the_api_is_published_and_only_here() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published == {"modelserver": ["${PUBLISH_ON:-127.0.0.1:8000}:8000"]}
    assert not any(service.get("network_mode") for service in SERVICES.values())


def test_there_is_no_secret_in_it_and_each_must_be_given() -> None:
    text = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    for secret in ("MONGO_PASSWORD", "MONGO_REPLICA_KEY", "REDIS_PASSWORD"):
        assert re.findall(rf"\$\{{{secret}(.)", text) == [":"] * text.count(f"${{{secret}:?")
        assert f"\n{secret}=\n" in example
    assert not re.search(r"hl_[A-Za-z0-9_-]{20,}|://[^:$\s]*:[^$@\s]+@", text)


def test_every_image_has_its_version() -> None:
    for name, service in SERVICES.items():
        _, _, tag = service["image"].partition(":")
        assert re.match(r"v?\d+\.\d+", tag), name


def test_what_is_started_exists() -> None:
    for name in OURS:
        program, *arguments = SERVICES[name]["command"]
        assert program in ("uvicorn", "celery", "python")
        modules = [
            argument.partition(":")[0] for argument in arguments if re.match(r"(modelserver|workers)\.", argument)
        ]
        assert modules
        assert all(importlib.util.find_spec(module) for module in modules)


def test_mongo_is_a_replica_set_that_makes_itself() -> None:
    mongo = SERVICES["mongo"]
    name = re.search(r"--replSet (\w+)", " ".join(mongo["entrypoint"]))
    assert name is not None
    assert f"_id: '{name[1]}'" in " ".join(mongo["healthcheck"]["test"])
    assert f"replicaSet={name[1]}" in SERVICES["modelserver"]["environment"]["HEIRLOOM_MONGO_URL"]
    assert SERVICES["modelserver"]["depends_on"]["mongo"] == {"condition": "service_healthy"}


def test_redis_writes_what_it_is_told() -> None:
    assert "appendonly yes" in " ".join(SERVICES["redis"]["command"])


def test_ollama_uses_the_template_of_the_gguf() -> None:
    assert SERVICES["ollama"]["environment"]["OLLAMA_GO_TEMPLATE"] == "0"


def test_vllm_serves_adapters_that_are_loaded_while_it_runs() -> None:
    arguments = dict(part.removeprefix("--").partition("=")[::2] for part in VLLM["command"][1:])
    assert {"enable-lora", "max-loras", "max-lora-rank", "tensor-parallel-size"} <= set(arguments)
    assert VLLM["environment"]["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
    config = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=ROOT, environ={})
    ranks = [int(config.get_lora_config(base.key)["rank"]) for base in config.get_base_models()]
    assert max(ranks) <= int(arguments["max-lora-rank"])


def test_vllm_sees_the_base_model_and_the_adapters_that_we_write() -> None:
    folder = Path(VLLM["command"][0].partition("$")[0])
    [(volume, mount, mode)] = [one.split(":") for one in VLLM["volumes"]]
    assert (volume, mode) == ("models", "ro")
    settings = Settings(model_dir=Path(mount))
    environment = SERVICES["modelserver"]["environment"]
    assert settings.adapters_dir == Path(environment["HEIRLOOM_VLLM_ADAPTERS_PATH"])
    assert folder == settings.model_dir / "base"
    served = next(part for part in VLLM["command"] if part.startswith("--served-model-name="))
    assert (
        served.partition("=")[2] == environment["HEIRLOOM_VLLM_BASE"] == VLLM["command"][0].removeprefix(f"{folder}/")
    )


def test_nobody_but_our_own_services_reaches_vllm_and_they_show_a_key() -> None:
    assert COMPOSE["networks"]["vllm"] == {"internal": True}
    assert VLLM["networks"] == ["vllm"] and "ports" not in VLLM
    assert {name for name, service in SERVICES.items() if "vllm" in service.get("networks", [])} == {"vllm", *OURS}
    assert VLLM["environment"]["VLLM_API_KEY"] == SERVICES["modelserver"]["environment"]["HEIRLOOM_VLLM_KEY"]
    assert 'test -n "$$VLLM_API_KEY"' in VLLM["entrypoint"][2]


def test_vllm_starts_only_where_it_is_asked_for() -> None:
    assert VLLM["profiles"] == ["vllm"]
    assert not any("vllm" in SERVICES[name]["depends_on"] for name in OURS)
    assert SERVICES["modelserver"]["environment"]["HEIRLOOM_VLLM_URL"] == "${HEIRLOOM_VLLM_URL:-}"
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert "COMPOSE_PROFILES=vllm" in example and f"HEIRLOOM_VLLM_URL=http://vllm:{_port(VLLM)}" in example


def test_the_companion_listens_where_the_api_asks_it() -> None:
    url = SERVICES["modelserver"]["environment"]["HEIRLOOM_COMPANION_URL"]
    assert urlsplit(url).hostname in SERVICES
    assert Settings(companion_url=url).companion_place == ("0.0.0.0", urlsplit(url).port)
    assert SERVICES["companion"]["profiles"] == ["companion"]


def test_the_gpu_is_for_the_gpu_queue_and_the_companion() -> None:
    for name in OURS:
        devices = SERVICES[name].get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        assert bool(devices) == ("gpu" in _queues(SERVICES[name]["command"]) or name == "companion"), name


def test_the_card_is_used_where_the_image_is_built_with_cuda() -> None:
    assert COMPOSE["x-heirloom"]["build"]["args"]["TORCH_INDEX"].startswith("${TORCH_INDEX:-")
    assert "ARG TORCH_INDEX=" in (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "\n# TORCH_INDEX=" in (ROOT / ".env.example").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", OURS)
def test_every_setting_reaches_the_containers_and_the_example_says_by_which_file(name: str) -> None:
    [file] = SERVICES[name]["env_file"]
    assert file == {"path": "heirloom.env", "required": False}
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert file["path"] in example
    for value in SERVICES[name]["environment"].values():  # these win over the file, so they must be set in .env
        assert all(re.search(rf"^(# )?{variable}=", example, re.M) for variable in re.findall(r"\$\{(\w+)", value))


def test_what_holds_secrets_is_neither_committed_nor_in_the_image() -> None:
    for file in (".gitignore", ".dockerignore"):
        ignored = (ROOT / file).read_text(encoding="utf-8").replace("/", "").split()
        assert {".env", "heirloom.env"} <= set(ignored)


def _port(service: dict[str, Any]) -> str:
    return str(next(part for part in service["command"] if part.startswith("--port="))).partition("=")[2]


def _queues(command: list[str]) -> list[str]:
    return command[command.index("-Q") + 1].split(",") if "-Q" in command else []
