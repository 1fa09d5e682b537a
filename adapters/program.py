"""Programs: heavy work in a subprocess that ends with its parent, and that a report can stop.

The kernel kills the program when the *thread* that started it ends, not only the process: `run_program`
waits in the thread that starts it, so call it from one that may block, and never hand the start to a
pool whose threads come and go. PR_SET_PDEATHSIG is not passed on to what a program starts itself: a
program starts another one as `subprocess.run(tied_to_parent([...]))`.

A program's stdout carries its progress, one JSON object a line; whatever a library prints goes to the log.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kernel.errors import HeirloomError, StageFailed, by_code

if TYPE_CHECKING:
    from kernel.ports import Report

ROOT = Path(__file__).resolve().parent.parent
TERM_SECONDS = 3.0  #: between SIGTERM and SIGKILL
MAX_REASON = 200  #: characters of an error line that a person is shown

# glibc gives a freed tensor's memory back to the system, and asks for it again at the next step: a training step of
# 4 x 64 tokens took 0.96 s, and 0.79 s with these (SmolLM2-135M, two cores).
_KEEP_FREED_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(2**32), "MALLOC_TRIM_THRESHOLD_": str(2**34)}

# PR_SET_PDEATHSIG is 1. The parent may have died before prctl was called: then nobody would send the signal.
_TIE = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None, use_errno=True).prctl(1, 9, 0, 0, 0)\n"
    "os._exit(1) if os.getppid() != int(sys.argv[1]) else os.execvp(sys.argv[2], sys.argv[2:])\n"
)


class Say(Protocol):
    """How a program says how far it is: `fraction` 0-1, and facts as in `kernel.ports.Report`."""

    def __call__(self, fraction: float, **facts: float | int | str) -> None: ...


def run_program(
    module: str, request: dict[str, Any], *, folder: Path, report: Report, poll_seconds: float = 0.2
) -> dict[str, Any]:
    """Run `python -m module request.json result.json` in `folder` and return what it wrote.

    Files in `folder` carry the module's last name: NAME.request.json, NAME.result.json, NAME.log (stderr).
    `report` is called at each line and at least once a poll; whatever it raises kills the program with
    everything that it started. Raises the program's own HeirloomError, or StageFailed.
    """
    name = module.rpartition(".")[2].removesuffix("_program")
    folder = folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{name}.{kind}" for kind in ("request.json", "result.json", "log")]
    request_path, result_path, log_path = paths
    result_path.unlink(missing_ok=True)
    request_path.write_text(json.dumps(request, ensure_ascii=False), encoding="utf-8")
    command = [sys.executable, "-m", module, str(request_path), str(result_path)]
    with log_path.open("wb") as log:
        process = _start(command, folder=folder, log=log.fileno())
    try:
        _follow(process, report, poll_seconds)
    except BaseException:
        _end_group(process, signal.SIGTERM)
        raise
    _end_group(process, signal.SIGKILL)
    return _read_result(name, process.returncode, result_path, log_path)


def program_main(run: Callable[[dict[str, Any], Say], dict[str, Any]]) -> None:
    """The program's half: read the request, run, write the result aside and rename it, exit 0 or 1."""
    request_path, result_path = (Path(argument) for argument in sys.argv[1:3])
    say = _take_stdout()
    try:
        result = run(json.loads(request_path.read_text(encoding="utf-8")), say)
    except HeirloomError as error:
        _write_result(result_path, {"error": {"code": error.code, "details": error.details}})
        sys.exit(1)
    except Exception:
        traceback.print_exc()
        sys.exit(1)
    _write_result(result_path, result)


def tied_to_parent(command: Sequence[str]) -> list[str]:
    """The same command, killed by the kernel when the thread that starts it ends."""
    return [sys.executable, "-I", "-S", "-c", _TIE, str(os.getpid()), *command]


def _start(command: Sequence[str], *, folder: Path, log: int) -> subprocess.Popen[bytes]:
    inherited = os.environ.get("PYTHONPATH")
    path = os.pathsep.join([str(ROOT), inherited] if inherited else [str(ROOT)])
    return subprocess.Popen(
        tied_to_parent(command),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        cwd=folder,
        env={**_KEEP_FREED_MEMORY, **os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
        process_group=0,
    )


def _follow(process: subprocess.Popen[bytes], report: Report, poll_seconds: float) -> None:
    """Pass progress on until the program has exited."""
    fraction = 0.0
    for line in _lines(process, poll_seconds):
        facts = _facts(line)
        fraction = float(facts.pop("fraction", fraction))
        report(fraction, **facts)


def _lines(process: subprocess.Popen[bytes], poll_seconds: float) -> Iterator[bytes]:
    """Lines of its stdout as they come, and an empty one at each poll without any."""
    assert process.stdout is not None  # noqa: S101 - it was asked for
    pending = b""
    with process.stdout, selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            is_over = _has_exited(process)
            chunk = b""
            if selector.select(0 if is_over else poll_seconds) and not (
                chunk := os.read(process.stdout.fileno(), 65536)
            ):
                selector.unregister(process.stdout)
            *lines, pending = (pending + chunk).split(b"\n")
            yield from lines or [b""]
            if is_over and not chunk:
                return


def _facts(line: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(line)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _has_exited(process: subprocess.Popen[bytes]) -> bool:
    """Leave it unreaped, so that its group's number cannot be given to somebody else."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end_group(process: subprocess.Popen[bytes], first: signal.Signals) -> None:
    """Kill the program and all that it started; `first` is the signal that begins it."""
    os.killpg(process.pid, first)
    deadline = time.monotonic() + TERM_SECONDS
    while not _has_exited(process) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _read_result(name: str, returncode: int, result_path: Path, log_path: Path) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads(result_path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise StageFailed(stage=name, reason=_reason(returncode, log_path)) from None
    if error := result.get("error"):
        raise by_code(error["code"])(**error["details"])
    return result


def _reason(returncode: int, log_path: Path) -> str:
    if returncode == -signal.SIGKILL:
        return "it was killed; the machine may be out of memory"
    if returncode < 0:
        return f"it was ended by {signal.Signals(-returncode).name}"
    lines = log_path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1].strip()[:MAX_REASON] if lines else f"it ended with code {returncode}"


def _take_stdout() -> Say:
    """Keep stdout for progress alone: from here on what is printed goes to the log, in child programs too."""
    progress = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def say(fraction: float, **facts: float | int | str) -> None:
        progress.write(json.dumps({"fraction": fraction, **facts}) + "\n")
        progress.flush()

    return say


def _write_result(path: Path, result: dict[str, Any]) -> None:
    aside = path.with_suffix(".part")
    aside.write_text(json.dumps(result, ensure_ascii=False, default=str), encoding="utf-8")
    os.replace(aside, path)
