"""The doctor: looks at every part and says what is missing and how to get it. It changes nothing."""

import importlib.metadata
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import psutil
import pymongo
import redis
from packaging.requirements import Requirement
from pymongo.errors import PyMongoError

from adapters.converter import is_prepared
from adapters.teachers import open_teacher
from adapters.vllm import VllmEngine
from config.config_loader import ConfigLoader
from config.settings import Settings
from kernel.errors import HeirloomError
from modelserver.cli.base import is_ready
from modelserver.cli.stack import running_stack
from modelserver.cli.words import Words

DISK_GB = 5  #: one base model, its merged weights and GGUF, and some versions
MEMORY_GB = 3  #: training SmolLM2-135M


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    part: str
    found: str
    is_ok: bool = True
    is_needed: bool = True  #: False: worth knowing, but everything works without it

    @property
    def is_bad(self) -> bool:
        return self.is_needed and not self.is_ok


def examine(settings: Settings, words: Words) -> Iterator[Finding]:
    """Findings in the order in which a person would mend them."""
    yield _python(words)
    yield from _packages(settings, words)
    yield _compiler(words)
    yield _converter(settings, words)
    yield from _bases(settings, words)
    yield _disk(settings, words)
    yield _memory(words)
    yield _gpu(words)
    yield from _servers(settings, words)


def _python(words: Words) -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    is_ok = (3, 11) <= sys.version_info[:2] < (3, 13)
    return Finding(
        part=words("doctor.python"),
        found=version if is_ok else words("doctor.python_bad", version=version),
        is_ok=is_ok,
    )


def _compiler(words: Words) -> Finding:
    found = next(filter(None, map(shutil.which, (os.environ.get("CXX", "g++"), "g++", "clang++"))), "")
    return Finding(
        part=words("doctor.compiler"),
        found=found or words("doctor.no_compiler"),
        is_ok=bool(found),
        is_needed=False,
    )


def _packages(settings: Settings, words: Words) -> Iterator[Finding]:
    """As this distribution declares them: what it always needs, then each extra."""
    try:
        declared = [Requirement(text) for text in importlib.metadata.requires("heirloom") or []]
    except importlib.metadata.PackageNotFoundError:
        part = words("doctor.packages", group="heirloom")
        yield Finding(part=part, found=words("doctor.not_installed"), is_ok=False)
        return
    is_embedded = not (settings.mongo_url and settings.redis_url)
    for group in ("", "train", "graph", "models", "embedded"):
        members = [one for one in declared if _belongs(one, group)]
        missing = [one.name for one in members if not _is_installed(one)]
        names, extra = ", ".join(missing), group or "train,graph,embedded"
        found = words("doctor.all_here", count=len(members))
        yield Finding(
            part=words("doctor.packages", group=group or "heirloom"),
            found=words("doctor.missing_packages", names=names, group=extra) if missing else found,
            is_ok=not missing,
            is_needed=group != "embedded" or is_embedded,
        )


def _belongs(requirement: Requirement, group: str) -> bool:
    """To exactly this extra; "" for what is needed without any."""
    is_always = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    if not group or is_always:
        return is_always and not group
    return requirement.marker is not None and requirement.marker.evaluate({"extra": group})


def _is_installed(requirement: Requirement) -> bool:
    try:
        version = importlib.metadata.version(requirement.name)
    except importlib.metadata.PackageNotFoundError:
        return False
    return requirement.specifier.contains(version, prereleases=True)


def _converter(settings: Settings, words: Words) -> Finding:
    folder = settings.llama_cpp_dir
    try:
        is_ok = is_prepared(folder)
    except importlib.metadata.PackageNotFoundError:
        is_ok = False
    found = str(folder) if is_ok else words("doctor.no_converter", folder=folder)
    return Finding(part=words("doctor.converter"), found=found, is_ok=is_ok)


def _bases(settings: Settings, words: Words) -> Iterator[Finding]:
    """Those that come as packages; the others are anybody's choice."""
    config = ConfigLoader(settings.config_file, model_dir=settings.model_dir)
    for base in config.get_base_models():
        kind, _, package = base.source.partition(":")
        if kind != "package":
            continue
        is_here = _is_installed(Requirement(package))
        found = words("doctor.base_package", package=package)
        if is_here:
            is_done = is_ready(base, settings)
            found = words("doctor.base_ready") if is_done else words("doctor.base_later", key=base.key)
        yield Finding(part=words("doctor.base", name=base.name), found=found, is_ok=is_here, is_needed=False)


def _disk(settings: Settings, words: Words) -> Finding:
    folder = next(path for path in (settings.data_dir.resolve(), *settings.data_dir.resolve().parents) if path.exists())
    usage = shutil.disk_usage(folder)
    free = usage.free / 1e9
    is_ok = free >= DISK_GB
    found = words("doctor.free", free=free, total=usage.total / 1e9)
    if not is_ok:
        found = words("doctor.disk_low", free=free, path=folder, need=DISK_GB)
    return Finding(part=words("doctor.disk"), found=found, is_ok=is_ok)


def _memory(words: Words) -> Finding:
    memory = psutil.virtual_memory()
    free = memory.available / 1e9
    is_ok = free >= MEMORY_GB
    found = words("doctor.free", free=free, total=memory.total / 1e9)
    return Finding(
        part=words("doctor.memory"),
        found=found if is_ok else words("doctor.memory_low", free=free, need=MEMORY_GB),
        is_ok=is_ok,
    )


def _gpu(words: Words) -> Finding:
    """Asked of the driver's own tool: importing torch takes seconds."""
    command = ["nvidia-smi", "--query-gpu=name,memory.total,memory.free", "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return Finding(part=words("doctor.gpu"), found=words("doctor.no_gpu"), is_ok=False, is_needed=False)
    return Finding(part=words("doctor.gpu"), found="; ".join(done.stdout.strip().splitlines()))


# ---- servers -----------------------------------------------------------------------------------------------


def _servers(settings: Settings, words: Words) -> Iterator[Finding]:
    running = running_stack(settings.data_dir)
    rows: list[tuple[str, str, str, str, Callable[[str], str]]] = [
        ("MongoDB", "HEIRLOOM_MONGO_URL", settings.mongo_url, running.get("mongo_url", ""), _mongo_version),
        ("Redis", "HEIRLOOM_REDIS_URL", settings.redis_url, running.get("redis_url", ""), _redis_version),
        (
            "Chroma",
            "HEIRLOOM_CHROMA_URL",
            settings.chroma_url,
            running.get("chroma_url", ""),
            _chroma_version,
        ),
    ]
    for name, variable, wanted, embedded, ask in rows:
        yield _server(words, name, variable=variable, wanted=wanted, embedded=embedded, ask=ask)
    if settings.ollama_host:
        wanted = settings.ollama_host
        yield _server(words, "Ollama", variable="OLLAMA_HOST", wanted=wanted, embedded="", ask=_ollama_version)
    else:
        yield Finding(part="Ollama", found=words("doctor.engine_embedded"), is_needed=False)
    if settings.vllm_url:
        yield _vllm(settings, words)
    yield _teacher(settings, words)
    yield _api(settings.api_url or running.get("url") or settings.url, words)


def _server(
    words: Words, name: str, *, variable: str, wanted: str, embedded: str, ask: Callable[[str], str]
) -> Finding:
    version = _try(ask, wanted or embedded) if wanted or embedded else ""
    if wanted and version:
        return Finding(part=name, found=words("doctor.server_ok", url=_public(wanted), version=version))
    if wanted:
        down = words("doctor.server_down", url=_public(wanted), variable=variable)
        return Finding(part=name, found=down, is_ok=False)
    if version:
        return Finding(part=name, found=words("doctor.embedded_running", version=version))
    return Finding(part=name, found=words("doctor.embedded"))


def _vllm(settings: Settings, words: Words) -> Finding:
    engine = VllmEngine(settings.vllm_url, key=settings.vllm_key, folder=settings.adapters_dir)
    with closing(engine):
        try:
            engine.check()
        except HeirloomError as error:
            return Finding(part="vLLM", found=error.message(words.language), is_ok=False)
        return Finding(part="vLLM", found=words("doctor.vllm_ok", url=_public(settings.vllm_url)))


def _teacher(settings: Settings, words: Words) -> Finding:
    part = words("doctor.teacher")
    model = open_teacher(**settings.teacher)
    if model is None:
        return Finding(part=part, found=words("doctor.teacher_builtin"), is_needed=False)
    with closing(model):
        try:
            model.check()
        except HeirloomError as error:
            return Finding(part=part, found=error.message(words.language), is_ok=False)
        return Finding(part=part, found=words("doctor.teacher_ok", model=model.name))


def _api(url: str, words: Words) -> Finding:
    parts: dict[str, dict[str, Any]] = {}
    try:
        parts = httpx.get(f"{url}/health", timeout=10, trust_env=False).json()["parts"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return Finding(part="Heirloom API", found=words("doctor.api_down"), is_ok=False, is_needed=False)
    told = ", ".join(f"{name} {'✓' if part['is_up'] else '✗ ' + part['message']}" for name, part in parts.items())
    is_ok = all(part["is_up"] for part in parts.values())
    return Finding(part="Heirloom API", found=words("doctor.server_ok", url=url, version=told), is_ok=is_ok)


def _try(ask: Callable[[str], str], url: str) -> str:
    try:
        return ask(url)
    except (PyMongoError, redis.RedisError, httpx.HTTPError, ValueError, KeyError):
        return ""


def _mongo_version(url: str) -> str:
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(url, serverSelectionTimeoutMS=3000)
    with client:
        return str(client.server_info()["version"])


def _redis_version(url: str) -> str:
    with redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3) as client:
        return str(client.info("server")["redis_version"])


def _chroma_version(url: str) -> str:
    return str(httpx.get(f"{url}/api/v2/version", timeout=3, trust_env=False).raise_for_status().json())


def _ollama_version(url: str) -> str:
    return str(httpx.get(f"{url}/api/version", timeout=3).raise_for_status().json()["version"])


def _public(url: str) -> str:
    """Without the user and password that a store's URL may carry."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if rest else url.rpartition("@")[2]
