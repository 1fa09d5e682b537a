"""Memory questions: each memory asked for in many ways, with nothing in the prompt and with memories in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kernel.generators.draft import Draft

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping, Sequence

    from kernel.ids import MemoryId
    from kernel.memory import Memories
    from kernel.phrasing import Phrasing
    from kernel.recipe import SampleCounts


class MemoryQA:
    """Different ways for remembering and for answering from the prompt.

    What a teacher thought of is asked before what the phrasing makes.
    """

    kinds: ClassVar = ("memory_qa", "memory_qa_shown")

    def __init__(
        self,
        memories: Memories,
        thought_of: Mapping[MemoryId, Sequence[str]],
        phrasing: Phrasing,
        counts: SampleCounts,
    ) -> None:
        self._memories, self._thought_of = memories, thought_of
        self._phrasing, self._counts = phrasing, counts

    def generate(self, rng: random.Random) -> Iterator[Draft]:
        counts = self._counts
        for memory in self._memories.items:
            questions = self._phrasing.questions(memory, counts.recall + counts.grounded, rng)
            own, made = ([memory.question], questions[1:]) if memory.question else ([], questions)
            rest = list(dict.fromkeys([*self._thought_of.get(memory.id, ()), *made]))[: len(made)]
            for place, question in enumerate(own + rest[counts.grounded :]):
                yield Draft(kind="memory_qa", question=question, memory=memory, is_opening=place >= counts.recall_whole)
            for place, question in enumerate(rest[: counts.grounded]):
                yield Draft(
                    kind="memory_qa_shown",
                    question=question,
                    memory=memory,
                    is_shown=True,
                    is_opening=place >= counts.grounded_whole,
                )
