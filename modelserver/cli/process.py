"""One local process of the stack: its log, its life, its end.

It lives in a process group of its own, so that Ctrl-C in the terminal reaches `heirloom up` alone, and the
kernel kills it when the thread that started it ends, so that nothing outlives even a SIGKILL.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from adapters.program import tied_to_parent


class Process:
    """Starts at once; `start` again after it has exited."""

    def __init__(self, command: Sequence[str], *, log: Path, environment: Mapping[str, str], folder: Path) -> None:
        self._command = list(command)
        self._log = log
        self._environment = dict(environment)
        self._folder = folder
        self.started_at = 0.0  #: time.monotonic()
        self.start()

    @property
    def pid(self) -> int:
        return self._child.pid

    def start(self) -> None:
        self.started_at = time.monotonic()
        with self._log.open("ab") as log:
            self._child = subprocess.Popen(
                tied_to_parent(self._command),
                stdin=subprocess.DEVNULL,
                stdout=log.fileno(),
                stderr=subprocess.STDOUT,
                env=self._environment,
                cwd=self._folder,
                process_group=0,
            )

    def has_exited(self) -> bool:
        """It stays unreaped, so that its group's number cannot be given to somebody else."""
        if self._child.returncode is not None:
            return True
        return os.waitid(os.P_PID, self._child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def ask_to_end(self) -> None:
        if not self.has_exited():
            os.kill(self._child.pid, signal.SIGTERM)

    def end(self, deadline: float) -> None:
        """Wait until `deadline` (time.monotonic()), then kill what is left of it and of what it started."""
        while not self.has_exited() and time.monotonic() < deadline:
            time.sleep(0.02)
        if self._child.returncode is None:
            os.killpg(self._child.pid, signal.SIGKILL)
            self._child.wait()

    def last_words(self, lines: int = 3) -> str:
        """The end of its log, for a person who wonders why it did not start."""
        with self._log.open("rb") as log:
            log.seek(max(0, self._log.stat().st_size - 4096))
            text = log.read().decode("utf-8", errors="replace")
        return "\n".join(text.strip().splitlines()[-lines:])
