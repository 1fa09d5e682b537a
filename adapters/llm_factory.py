"""The two brains on vLLM's one backbone, after the first seed (5.3): two adapters, told apart by `model`.

The left brain extracts: temperature 0, JSON, short. The right brain talks: warm, streaming.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from adapters.openai_model import OpenAiModel
from adapters.vllm import VllmEngine
from config.settings import Settings
from kernel.errors import EngineUnavailable
from kernel.language_model import Reply, Task
from kernel.ports import ChatOptions, LanguageModel
from kernel.sample import Message

LEFT_TOKENS = 512  #: of a reply
RIGHT = ChatOptions(temperature=0.8, max_tokens=512)


class LLMFactory:
    """`left` and `right`: the brains' names; each adapter is loaded, or lies in vLLM's folder under its name."""

    def __init__(self, engine: VllmEngine, *, url: str, key: str, left: str, right: str) -> None:
        self._engine, self._url, self._key = engine, url.rstrip("/").removesuffix("/v1"), key
        self._left, self._right = left, right

    def get_left_brain_llm(self) -> LanguageModel:
        """Raises EngineUnavailable where there is no such adapter."""
        self._hold(self._left)
        return LeftBrain(OpenAiModel(f"{self._url}/v1", api_key=self._key, model=self._left))

    def get_right_brain_llm(self) -> "RightBrain":
        """Raises EngineUnavailable where there is no such adapter."""
        self._hold(self._right)
        return RightBrain(self._engine, self._right)

    def _hold(self, name: str) -> None:
        if not self._engine.hold(name):
            raise EngineUnavailable(engine="vllm", reason=f"it has no adapter {name}; put its folder beside the others")


def open_llm_factory(settings: Settings) -> LLMFactory:
    """With the settings' names for the brains. Nothing is asked of vLLM yet."""
    engine = VllmEngine(
        settings.vllm_url, key=settings.vllm_key, folder=settings.adapters_dir, seen_as=settings.vllm_adapters_path
    )
    return LLMFactory(
        engine,
        url=settings.vllm_url,
        key=settings.vllm_key,
        left=settings.vllm_left_brain,
        right=settings.vllm_right_brain,
    )


class LeftBrain:
    """Implements kernel.ports.LanguageModel: JSON that fits the task's schema, at temperature 0."""

    def __init__(self, model: OpenAiModel) -> None:
        self._model = model
        self.name = model.name
        self.check, self.close = model.check, model.close

    def reply(self, task: Task, *, pause: Callable[[float], None], begin: Callable[[], None] = lambda: None) -> Reply:
        return self._model.reply(replace(task, max_tokens=min(task.max_tokens, LEFT_TOKENS)), pause=pause, begin=begin)


class RightBrain:
    """Talks, piece by piece; closing the iterator stops it."""

    def __init__(self, engine: VllmEngine, name: str) -> None:
        self._engine, self._name = engine, name

    def chat(self, messages: Sequence[Message], options: ChatOptions = RIGHT) -> Iterator[str]:
        return self._engine.stream(self._name, messages, options, missing=lambda: self._engine.hold(self._name))
