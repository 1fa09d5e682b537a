"""The system prompt generator: who the model is, in one stable sentence that stays in the KV cache."""

from collections import Counter
from collections.abc import Mapping, Sequence

from kernel.memory import Memory
from kernel.prompt import Prompts, system_prompt


class SystemPromptGenerator:
    def __init__(self, prompts: Mapping[str, Prompts]) -> None:
        self._prompts = prompts

    def generate(self, elder_name: str, memories: Sequence[Memory]) -> str:
        """In the language that most of `memories` are told in; English when there are none."""
        told = Counter(memory.language for memory in memories)
        language = told.most_common(1)[0][0] if told else "en"
        return system_prompt(self._prompts[language], elder_name)
