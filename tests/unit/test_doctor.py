"""The doctor: what it finds on this machine, and what it says of it."""

from pathlib import Path
from subprocess import CompletedProcess

import pytest

from config.settings import Settings
from modelserver.cli import doctor
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
