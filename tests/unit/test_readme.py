"""README and Makefile keep to what the program does."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from config.settings import ROOT
from modelserver.cli.demo import SAMPLES, Sample

README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not here")
def test_setup_refuses_another_system_before_it_makes_anything(tmp_path: Path) -> None:
    uname = tmp_path / "uname"
    uname.write_text("#!/bin/sh\necho Darwin\n")
    uname.chmod(0o755)
    done = subprocess.run(
        ["make", "setup", f"VENV={tmp_path}/venv", "PYTHON=false"],
        cwd=ROOT,
        env={"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "Linux" in done.stdout and "Darwin" in done.stdout
    assert not (tmp_path / "venv").exists()


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not here")
def test_a_python_without_venv_is_told_the_package_of_its_own_version(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\necho python3.12\n')
    python.chmod(0o755)
    asked = ["make", "setup", f"VENV={tmp_path}/venv", f"PYTHON={python}"]
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "apt install python3.12-venv" in done.stdout and "缺少" in done.stdout
    assert not (tmp_path / "venv").exists()


def test_nothing_hints_at_a_system_that_cannot_run_it() -> None:
    assert not re.search(r"\bbrew\b|xcode", README + MAKEFILE)
    assert "WSL2" in README.partition("```")[0]


def test_the_demo_asks_as_many_questions_as_the_readme_says() -> None:
    assert "six questions" in README and "六个问题" in README
    for language in ("en", "zh"):
        assert len(Sample(SAMPLES / language).to_ask()) == 6


def test_every_command_of_the_readme_is_found_when_it_is_typed_in_order() -> None:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    typed = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    first = next(place for place, line in enumerate(typed) if line.startswith("heirloom "))
    assert "source .venv/bin/activate" in typed[:first]
    assert not any("make up" in block and "heirloom " in block.replace("`heirloom`", "") for block in blocks)
