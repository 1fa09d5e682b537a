"""Preference questions: what the life is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kernel.generators.draft import Draft

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from kernel.memory import Memories
    from kernel.phrasing import Phrasing
    from kernel.topic import Topics


class PreferenceQAGenerator:
    """A topic is answered by the first memory that it holds."""

    kinds: ClassVar = ("preference",)

    def __init__(self, memories: Memories, topics: Topics, phrasing: Phrasing) -> None:
        self._memories, self._topics, self._phrasing = memories, topics, phrasing

    def generate(self, rng: random.Random) -> Iterator[Draft]:
        known = {memory.id: memory for memory in reversed(self._memories.items)}
        for topic in self._topics.items:
            if topic.memory_ids and topic.memory_ids[0] in known:
                yield Draft(
                    kind="preference",
                    question=self._phrasing.about(topic.name, rng),
                    memory=known[topic.memory_ids[0]],
                    is_shown=True,
                )
