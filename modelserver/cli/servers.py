"""The doctor's look at the servers: which answer, in which version, and what the embedded stack has in their place."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import httpx
import pymongo
import redis
from pymongo.errors import PyMongoError

from adapters.teachers import open_teacher
from adapters.vllm import VllmEngine
from config.settings import Settings
from kernel.errors import HeirloomError
from modelserver.cli.finding import Finding
from modelserver.cli.stack import running_stack
from modelserver.cli.words import Words


def examine_servers(settings: Settings, words: Words) -> Iterator[Finding]:
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
    if settings.companion != "off":
        hears, speaks = words("doctor.hearing_embedded"), words("doctor.speaking_embedded")
        yield _speech(words, words("doctor.hearing"), "HEIRLOOM_FUNASR_URL", url=settings.funasr_url, embedded=hears)
        yield _speech(words, words("doctor.speaking"), "HEIRLOOM_SOVITS_URL", url=settings.sovits_url, embedded=speaks)
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
        return Finding(part="vLLM", found=words("doctor.answers", url=_public(settings.vllm_url)))


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


def _speech(words: Words, part: str, variable: str, *, url: str, embedded: str) -> Finding:
    if not url:
        return Finding(part=part, found=embedded, is_needed=False)
    if _is_listening(url):
        return Finding(part=part, found=words("doctor.answers", url=_public(url)), is_needed=False)
    down = words("doctor.server_down", url=_public(url), variable=variable)
    return Finding(part=part, found=down, is_ok=False, is_needed=False)


def _is_listening(url: str) -> bool:
    try:
        address = urlsplit(url)
        port = address.port or (443 if address.scheme in ("https", "wss") else 80)
        with socket.create_connection((address.hostname, port), timeout=3):
            return True
    except (OSError, ValueError):
        return False


def _api(url: str, words: Words) -> Finding:
    parts: dict[str, dict[str, Any]] = {}
    try:
        headers = {"Accept-Language": words.language}
        parts = httpx.get(f"{url}/health", timeout=10, trust_env=False, headers=headers).json()["parts"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return Finding(part="Heirloom API", found=words("doctor.api_down"), is_ok=False, is_needed=False)
    told = ", ".join(
        f"{words(f'health.{name}')} {'✓' if part['is_up'] else '✗ ' + part['message']}" for name, part in parts.items()
    )
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
