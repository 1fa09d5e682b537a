"""The Ollama engine: each version is a tag, `afs_elder_...:v3`, and the version in use is the bare name too.

What a reader would get wrong: Ollama may choose another chat template than the GGUF's, so each registration ends
with comparing the prompt that it renders. In adapter mode the base and the LoRA adapter are two blobs of one model:
the base is sent once for all elders, and `from`, which would pull from a registry, is never used. Ollama 0.34 and
later take no adapters.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from adapters.gguf_file import GgufFile, is_adapter, read_gguf
from adapters.ollama_api import NO_ADAPTERS_FROM, NoAdapters, OllamaApi
from kernel.errors import EngineUnavailable, StageFailed
from kernel.ports import ChatOptions
from kernel.sample import Message
from kernel.version import ModelVersion

PROBE = "Who are you? 你是谁？"


class OllamaEngine:
    """`timeout_seconds`: between two pieces, and for Ollama to load a model before the first."""

    name = "ollama"
    continues = False

    def __init__(
        self,
        url: str,
        *,
        bases: Mapping[str, Path],
        keep_alive: str = "30m",
        timeout_seconds: float = 120.0,
        context_tokens: int = 4096,
        temperature: float = 0.3,
    ) -> None:
        """`bases`: where the GGUF of each base model lies, by its key; an adapter goes with it."""
        self._api = OllamaApi(
            url, keep_alive=keep_alive, timeout_seconds=timeout_seconds, context_tokens=context_tokens
        )
        self._bases = bases
        self._context_tokens = context_tokens
        self._temperature = temperature

    @property
    def serves_adapters(self) -> bool:
        """Ollama before 0.34. Raises EngineUnavailable."""
        return self._api.version() < NO_ADAPTERS_FROM

    def check(self) -> None:
        self._api.version()

    def register(
        self,
        version: ModelVersion,
        gguf: Path,
        *,
        adapter: Path | None = None,
        say: Callable[[str], None] = lambda status: None,
    ) -> None:
        """`gguf`: merged weights, or an adapter. Raises StageFailed for what is neither, and where this Ollama takes no
        adapters. A model that would answer wrongly is not left behind."""
        is_adapted = is_adapter(gguf)
        model = self._bases[version.base] if is_adapted else gguf
        file = read_gguf(model)
        try:
            for status in self._api.create(
                version.tag,
                model=model,
                adapter=gguf if is_adapted else None,
                system=version.system_prompt,
                parameters=parameters(file, context_tokens=self._context_tokens, temperature=self._temperature),
            ):
                say(status)
        except NoAdapters:
            reason = "this Ollama takes no adapter on this base; keep merged weights instead"
            raise StageFailed(stage="publish", reason=reason) from None
        try:
            self._check_model(version, file)
        except EngineUnavailable:
            with suppress(EngineUnavailable):
                self._api.delete(version.tag)
            raise

    def has(self, version: ModelVersion) -> bool:
        return self._api.show(version.tag) is not None

    def chat(self, version: ModelVersion, messages: Sequence[Message], options: ChatOptions) -> Iterator[str]:
        """Nothing is sent before the first piece is asked for. `close`, from any thread, ends the connection, and with
        it the generation. Raises ContextTooLong. Always with a system message: without one some templates write their
        own."""
        if not messages or messages[0].role != "system":
            messages = [Message(role="system", content=version.system_prompt), *messages]
        if options.stop:  # they take the place of the model's own
            options = replace(options, stop=(*self._ends(version), *options.stop))
        return self._api.chat(version.tag, messages, options)

    def activate(self, version: ModelVersion) -> None:
        self._api.copy(version.tag, version.name)

    def delete(self, version: ModelVersion, *, at_once: bool = True) -> None:
        """What it is answering breaks off: Ollama takes the weights out of memory. The bare name goes with the version
        that it was copied from."""
        self._api.delete(version.tag)
        tags = self._api.tags(version.name)
        in_use = tags.pop(f"{version.name}:latest", None)
        if in_use is not None and in_use not in tags.values():
            self._api.delete(version.name)

    def close(self) -> None:
        self._api.close()

    def _ends(self, version: ModelVersion) -> tuple[str, ...]:
        """What ends a turn: an elder's model has its base's tokens. Ollama knows them too, where the base has gone."""
        base = self._bases.get(version.base)
        return read_gguf(base).ends if base and base.is_file() else ()

    def _check_model(self, version: ModelVersion, file: GgufFile) -> None:
        shown = self._api.show(version.tag)
        if shown is None or shown.get("system") != version.system_prompt:
            raise self._api.unavailable("it did not keep the model as it was made")
        messages = [Message(role="system", content=version.system_prompt), Message(role="user", content=PROBE)]
        if not is_as_trained(file, messages, self._api.rendered(version.tag, messages)):
            raise self._api.unavailable(
                "it renders the prompt otherwise than the model was trained; start its server with OLLAMA_GO_TEMPLATE=0"
            )


def parameters(file: GgufFile, *, context_tokens: int, temperature: float) -> dict[str, object]:
    return {"temperature": temperature, "num_ctx": context_tokens, "stop": list(file.ends)}


def is_as_trained(file: GgufFile, messages: Sequence[Message], rendered: str) -> bool:
    """The first token may be left to the tokenizer, which adds it itself."""
    expected = file.render(messages)
    return rendered.removeprefix(file.bos).strip() == expected.removeprefix(file.bos).strip()
