"""The embedded stack: the servers that the settings leave empty, as local processes.

    with Stack(settings) as stack:
        httpx.get(f"{stack.url}/health")

Stores first, then worker, sweep and API; ended in the opposite order. A process that dies is started again.
Call it from a thread that lives as long as the stack: the kernel ends the processes with that thread.
"""

import fcntl
import json
import os
import secrets
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Self

from config.settings import ROOT, Settings
from modelserver.cli.part import EVERY_PART, STORES, Part, embedded_parts
from modelserver.cli.port import free_port, next_free_port
from modelserver.cli.process import Process
from modelserver.cli.words import CliError

Say = Callable[..., None]  #: say("stack.started", part="redis")

START_SECONDS = 90.0
END_SECONDS = 6.0
LONGEST_PAUSE_SECONDS = 30.0
_OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "ANONYMIZED_TELEMETRY": "False",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "PYTHONUNBUFFERED": "1",
    "REMAP_SIGTERM": "SIGQUIT",  # Celery: end now; the job's lease runs out and its next worker goes on
}


class Stack:
    """`parts`: which of EVERY_PART to start; those that the settings point elsewhere are left out anyway."""

    def __init__(
        self, settings: Settings, *, parts: Collection[str] = EVERY_PART, say: Say = lambda *_, **__: None
    ) -> None:
        self._wanted = parts
        self._say = say
        self._processes: dict[str, Process] = {}
        self._parts: list[Part] = []
        self._ending = threading.Event()
        self._watcher: threading.Thread | None = None
        self._lock: int | None = None
        self.settings = settings.model_copy(
            update={name: getattr(settings, name).resolve() for name in ("data_dir", "model_dir", "llama_cpp_dir")}
        )

    @property
    def url(self) -> str:
        return self.settings.url

    @property
    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self._processes.items()}

    def __enter__(self) -> Self:
        self._take_lock()
        try:
            self._choose_places()
            for part in self._parts:
                self._start(part)
            self._write_state()
            for part in self._parts:
                self._wait_until_it_answers(part)
        except BaseException:
            self.end()
            raise
        self._watcher = threading.Thread(target=self._watch, name="heirloom-stack", daemon=True)
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    def end(self) -> None:
        """What asks before what answers; SIGTERM, a wait, SIGKILL."""
        self._ending.set()
        if self._watcher:
            self._watcher.join()
        stores = [process for name, process in self._processes.items() if name in STORES]
        askers = [process for name, process in self._processes.items() if name not in STORES]
        for group in (askers, stores):
            for process in group:
                process.ask_to_end()
            deadline = time.monotonic() + END_SECONDS
            for process in group:
                process.end(deadline)
        self._processes.clear()
        self._let_lock_go()

    # ---- starting -------------------------------------------------------------------------------------

    def _take_lock(self) -> None:
        """One stack a data folder: two would write into the same store files."""
        run = self.settings.data_dir / "run"
        self.settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        run.mkdir(exist_ok=True, mode=0o700)
        self.settings.logs_dir.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(run / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            self._lock = None
            running = running_stack(self.settings.data_dir)
            raise CliError("stack.locked", folder=self.settings.data_dir, url=running.get("url", "?")) from None

    def _let_lock_go(self) -> None:
        if self._lock is not None:
            (self.settings.data_dir / "run" / "stack.json").unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def _choose_places(self) -> None:
        """Free ports for what is embedded; the API keeps its own port if it can."""
        settings = self.settings
        places: dict[str, object] = {}
        if "api" in self._wanted and not settings.api_url:
            places["port"] = self._port_of_the_api()
            if places["port"] != settings.port:
                self._say("stack.port_taken", port=settings.port, instead=places["port"])
        if "mongo" in self._wanted and not settings.mongo_url:
            places["mongo_url"] = f"mongodb://127.0.0.1:{free_port()}/?directConnection=true"
        if "redis" in self._wanted and not settings.redis_url:
            places["redis_url"] = f"redis://:{secrets.token_hex(16)}@127.0.0.1:{free_port()}/0"
        if "chroma" in self._wanted and not settings.chroma_url:
            places["chroma_url"] = f"http://127.0.0.1:{free_port()}"
        if settings.companion == "transformers" and not settings.companion_url:
            places["companion_url"] = f"http://127.0.0.1:{free_port()}"
            places["companion_key"] = secrets.token_hex(16)
        embedded = {name.removesuffix("_url") for name in places} & {*STORES, "companion"}
        self.settings = settings.model_copy(update=places)
        self._parts = [
            part
            for part in embedded_parts(self.settings)
            if part.name in self._wanted and (part.name in embedded or part.name not in {*STORES, "companion"})
        ]

    def _port_of_the_api(self) -> int:
        try:
            return next_free_port(self.settings.host, self.settings.port)
        except OSError as error:
            raise CliError("stack.bad_host", host=self.settings.host) from error

    def _start(self, part: Part) -> None:
        for folder in part.folders:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path, text in part.files.items():
            _write_private(path, text)
        self._processes[part.name] = Process(
            part.command,
            log=self.settings.logs_dir / f"{part.name}.log",
            environment=self.environment() | dict(part.environment),
            folder=self.settings.data_dir,
        )

    def environment(self) -> dict[str, str]:
        """What every process is started with: the settings as they are now, but for the family's key."""
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        inherited = {name: value for name, value in os.environ.items() if name != "HEIRLOOM_API_KEY"}
        return {**inherited, **_OFFLINE, **settings_environment(self.settings), "PYTHONPATH": path}

    def _wait_until_it_answers(self, part: Part) -> None:
        began = time.monotonic()
        process = self._processes[part.name]
        while not part.answers():
            if process.has_exited():
                raise self._failure("stack.died", part, process)
            if time.monotonic() - began > START_SECONDS:
                raise self._failure("stack.silent", part, process)
            time.sleep(0.1)
        self._say("stack.started", part=part.name, pid=process.pid)

    def _failure(self, sentence: str, part: Part, process: Process) -> CliError:
        log = self.settings.logs_dir / f"{part.name}.log"
        return CliError(sentence, part=part.name, log=log, words=process.last_words())

    def _write_state(self) -> None:
        settings = self.settings
        state = {
            "pid": os.getpid(),
            "url": self.url if "api" in self._processes else "",
            "mongo_url": settings.mongo_url,
            "redis_url": settings.redis_url,
            "chroma_url": settings.chroma_url,
            "processes": self.pids,
        }
        _write_private(settings.data_dir / "run" / "stack.json", json.dumps(state, indent=1))

    # ---- watching -------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Start again what has died, at once and then ever more slowly while it keeps dying."""
        pauses = dict.fromkeys(self._processes, 0.5)
        due: dict[str, float] = {}
        while not self._ending.wait(0.2):
            now = time.monotonic()
            for name, process in self._processes.items():
                if name in due:
                    if now >= due[name]:
                        del due[name]
                        process.start()
                        self._say("stack.restarted", part=name)
                elif process.has_exited():
                    process.end(now)
                    pauses[name] = (
                        0.5 if now - process.started_at > 60 else min(pauses[name] * 2, LONGEST_PAUSE_SECONDS)
                    )
                    due[name] = now + pauses[name]
                    self._say("stack.lost", part=name, seconds=pauses[name])


def running_stack(data_dir: Path) -> dict[str, str]:
    """Where the stack of this folder answers, or nothing when none runs."""
    folder = data_dir / "run"
    try:
        with (folder / "lock").open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return {}
    except BlockingIOError:
        pass
    except FileNotFoundError:
        return {}
    try:
        state: dict[str, str] = json.loads((folder / "stack.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return state


def settings_environment(settings: Settings) -> dict[str, str]:
    """The settings as the environment variables that they are read from."""
    return {
        "OLLAMA_HOST" if name == "ollama_host" else f"HEIRLOOM_{name.upper()}": str(getattr(settings, name))
        for name in type(settings).model_fields
        if name != "api_key"
    }


def _write_private(path: Path, text: str) -> None:
    aside = path.with_suffix(".part")
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    aside.rename(path)
