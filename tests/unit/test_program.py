"""Programs: progress comes through, and nothing outlives a cancel or a dead parent."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from adapters.program import ROOT, run_program
from kernel.errors import Cancelled, NotEnoughMemory, StageFailed

HEAD = "import os, subprocess, sys, time\nfrom adapters.program import program_main, tied_to_parent\n"
SLEEPER = """
def run(request, say):
    child = subprocess.Popen(tied_to_parent([sys.executable, "-c", "import time; time.sleep(60)"]))
    print("a library's chatter")
    say(0.5, program=os.getpid(), child=child.pid)
    time.sleep(60)
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Write a program's source as a module that the child finds; returns its name."""

    def write(body: str) -> str:
        (tmp_path / "some_program.py").write_text(f"{HEAD}{body}\nprogram_main(run)\n")
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return "some_program"

    return write


class Heard:
    """A report that keeps what it heard, and raises once `stop` holds."""

    def __init__(self, stop=lambda facts: False):
        self.said: list[dict] = []
        self.stop = stop

    def __call__(self, fraction, **facts):
        self.said.append({"fraction": fraction, **facts})
        if self.stop(facts):
            raise Cancelled()


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def wait_until(condition, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


def test_progress_and_the_result_come_through(program, tmp_path):
    body = "def run(request, say):\n    say(0.25, step=1)\n    say(1.0, loss=0.5)\n    return {'got': request['给']}"
    heard = Heard()
    result = run_program(program(body), {"给": "值"}, folder=tmp_path / "work", report=heard)
    assert result == {"got": "值"}
    assert [said for said in heard.said if len(said) > 1] == [
        {"fraction": 0.25, "step": 1},
        {"fraction": 1.0, "loss": 0.5},
    ]


def test_a_silent_program_still_has_its_parent_report(program, tmp_path):
    heard = Heard()
    run_program(
        program("def run(request, say):\n    time.sleep(0.4)\n    return {}"),
        {},
        folder=tmp_path / "work",
        report=heard,
        poll_seconds=0.05,
    )
    assert len(heard.said) >= 5


def test_what_a_library_prints_is_no_progress_but_is_logged(program, tmp_path):
    heard = Heard()
    body = "def run(request, say):\n    print('{\"fraction\": 9}')\n    os.system('echo loud')\n    return {}"
    run_program(program(body), {}, folder=tmp_path / "work", report=heard)
    assert all(said["fraction"] == 0.0 for said in heard.said)
    assert "loud" in (tmp_path / "work" / "some.log").read_text()


def test_a_cancel_kills_the_program_and_what_it_started_within_a_second(program, tmp_path):
    heard = Heard(stop=lambda facts: "child" in facts)
    with pytest.raises(Cancelled):
        run_program(program(SLEEPER), {}, folder=tmp_path / "work", report=heard)
    facts = heard.said[-1]
    assert wait_until(lambda: not is_alive(facts["program"]) and not is_alive(facts["child"]), 1.0)


def test_a_program_deaf_to_sigterm_is_killed_too(program, tmp_path, monkeypatch):
    monkeypatch.setattr("adapters.program.TERM_SECONDS", 0.2)
    deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + SLEEPER
    heard = Heard(stop=lambda facts: "child" in facts)
    with pytest.raises(Cancelled):
        run_program(program(deaf), {}, folder=tmp_path / "work", report=heard)
    assert not is_alive(heard.said[-1]["program"])


def test_what_a_program_leaves_behind_ends_with_it(program, tmp_path):
    body = (
        "def run(request, say):\n"
        "    child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "    return {'child': child.pid}"
    )
    result = run_program(program(body), {}, folder=tmp_path / "work", report=Heard())
    assert wait_until(lambda: not is_alive(result["child"]), 1.0)


def test_a_typed_error_keeps_its_type_and_details(program, tmp_path):
    body = (
        "from kernel.errors import NotEnoughMemory\n"
        "def run(request, say):\n    raise NotEnoughMemory(model='m', kind='RAM', need_gb=9, have_gb=1)"
    )
    with pytest.raises(NotEnoughMemory) as caught:
        run_program(program(body), {}, folder=tmp_path / "work", report=Heard())
    assert caught.value.details == {"model": "m", "kind": "RAM", "need_gb": 9, "have_gb": 1}


def test_any_other_failure_is_the_stages_with_its_last_line(program, tmp_path):
    with pytest.raises(StageFailed, match="ValueError: no such layer"):
        body = "def run(request, say):\n    raise ValueError('no such layer')"
        run_program(program(body), {}, folder=tmp_path / "work", report=Heard())


def test_a_result_from_an_earlier_run_is_never_taken_for_this_ones(program, tmp_path):
    folder = tmp_path / "work"
    run_program(program("def run(request, say):\n    return {'old': 1}"), {}, folder=folder, report=Heard())
    with pytest.raises(StageFailed, match="memory"):
        run_program(program("def run(request, say):\n    os.kill(os.getpid(), 9)"), {}, folder=folder, report=Heard())


def test_a_program_ends_with_its_killed_parent(program, tmp_path):
    name, facts_path = program(SLEEPER), tmp_path / "facts"
    parent_source = (
        "import pathlib, sys\nfrom adapters.program import run_program\n"
        "def report(fraction, **facts):\n"
        "    if facts:\n"
        "        aside = pathlib.Path(sys.argv[2] + '.part')\n"
        "        aside.write_text(f\"{facts['program']} {facts['child']}\")\n"
        "        aside.rename(sys.argv[2])\n"
        "run_program(sys.argv[1], {}, folder=pathlib.Path(sys.argv[3]), report=report)\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"}
    command = [sys.executable, "-c", parent_source, name, str(facts_path), str(tmp_path / "work")]
    with subprocess.Popen(command, env=environment) as parent:
        assert wait_until(facts_path.exists, 10)
        pids = [int(pid) for pid in facts_path.read_text().split()]
        parent.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not any(is_alive(pid) for pid in pids), 2.0)
