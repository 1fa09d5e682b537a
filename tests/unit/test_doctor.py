"""The doctor: what it finds on this machine, and what it says of it."""

from pathlib import Path
from subprocess import CompletedProcess

import httpx
import pytest

from config.settings import Settings
from modelserver.cli import doctor, servers
from modelserver.cli.words import Words

EN, ZH = Words("en"), Words("zh")


@pytest.mark.parametrize(("version", "is_used"), [("2.13.0+cpu", False), ("2.13.0+cu126", True), ("2.13.0", True)])
def test_a_card_that_this_torch_does_not_use_is_told(
    version: str, is_used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = CompletedProcess([], 0, stdout="NVIDIA T4, 15360 MiB, 15000 MiB\n")
    monkeypatch.setattr(doctor.subprocess, "run", lambda *_, **__: card)
    monkeypatch.setattr(doctor.importlib.metadata, "version", lambda name: version)
    found = doctor._gpu(EN)
    assert (found.is_ok, found.is_bad) == (is_used, False)
    assert "NVIDIA T4" in found.found and ("cu126" in found.found) != is_used


def test_the_disk_of_the_models_is_looked_at_where_it_is_another_one(tmp_path: Path) -> None:
    data, models = tmp_path / "data", Path("/dev/shm/not-there")
    settings = Settings(data_dir=data, model_dir=models)
    assert [one.part for one in doctor._disks(settings, EN)] == ["Disk of /dev/shm", f"Disk of {tmp_path}"]
    assert len(list(doctor._disks(Settings(data_dir=data, model_dir=tmp_path), EN))) == 1


def test_the_live_talk_is_looked_at_and_nothing_of_it_is_needed() -> None:
    settings = Settings(mongo_url="mongodb://127.0.0.1:1/", redis_url="redis://127.0.0.1:1/0")
    [voice] = [one for one in doctor._packages(settings, EN) if one.part == "Packages: voice"]
    assert not voice.is_needed
    hearing = servers._speech(EN, "Hearing", "HEIRLOOM_FUNASR_URL", url="ws://127.0.0.1:1", embedded="PocketSphinx")
    assert "HEIRLOOM_FUNASR_URL" in hearing.found and (hearing.is_ok, hearing.is_bad) == (False, False)
    assert servers._speech(EN, "Hearing", "X", url="", embedded="PocketSphinx").found == "PocketSphinx"


def test_the_services_parts_are_named_in_the_readers_language(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("store", "queue", "workers", "vectors", "engine", "companion")
    parts = {name: {"is_up": name != "queue", "message": "m"} for name in names}
    asked: list[str] = []

    def get(url: str, *, headers: dict[str, str], **_: object) -> httpx.Response:
        asked.append(headers["Accept-Language"])
        return httpx.Response(200, json={"parts": parts})

    monkeypatch.setattr(servers.httpx, "get", get)
    found = servers._api("http://here", ZH).found
    assert asked == ["zh"] and "任务队列 ✗ m" in found
    assert not any(name in found for name in names)
