"""Context: somebody in the family needs something, and the elder says what bears on it.

The need is enriched by what the elder told; then an expert answers it, and the elder says whether the answer holds to
what was told. The built-in teacher words the needs by fixed lists, a teacher that is a model thinks of better ones;
what the elder says is a quotation in either case.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar

from kernel.generators.draft import Draft

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Mapping, Sequence

    from kernel.ids import MemoryId
    from kernel.memory import Memories, Memory
    from kernel.note import Notes
    from kernel.prompt import Prompts
    from kernel.recipe import SampleCounts
    from kernel.wording import Wording


class ContextGenerator:
    """Of each memory that is chosen: a need, and the critique of an expert's answer, a right or a wrong one in turn."""

    kinds: ClassVar = ("context", "judge")

    def __init__(
        self,
        memories: Memories,
        notes: Notes,
        thought_of: Mapping[MemoryId, Sequence[str]],
        words: Prompts,
        wording: Wording,
        counts: SampleCounts,
    ) -> None:
        """`thought_of`: needs that a teacher thought of, each for the memory that bears on it."""
        self._memories, self._thought_of = memories, thought_of
        self._notes = {note.memory_id: note for note in notes.items}
        self._words, self._wording, self._counts = words, wording, counts

    def generate(self, rng: random.Random) -> Iterator[Draft]:
        known = [memory for memory in self._memories.items if self._subject(memory)]
        most = round(self._counts.context * len(self._memories.items))
        for place, memory in enumerate(rng.sample(known, min(most, len(known)))):
            need = self._need(memory, rng)
            is_shown = place % 2 == 1
            yield Draft(
                kind="context",
                question=need,
                memory=memory,
                answer=self._words.enriched.format(words=memory.text),
                role="context",
                is_shown=is_shown,
            )
            is_right = rng.random() < 0.5
            expert = memory.text if is_right else self._expert_without(memory, rng)
            yield Draft(
                kind="judge",
                question=self._words.expert.format(need=need, answer=expert),
                memory=memory,
                answer=(self._words.agreed if is_right else self._words.missed).format(words=memory.text),
                role="judge",
                is_shown=is_shown,
            )

    def _need(self, memory: Memory, rng: random.Random) -> str:
        thought = self._thought_of.get(memory.id, ())
        return rng.choice(thought) if thought else rng.choice(self._wording.needs).format(self._subject(memory))

    def _expert_without(self, memory: Memory, rng: random.Random) -> str:
        """Advice for anybody, or what the elder told of something else."""
        others = [one.text for one in self._memories.items if one.id != memory.id]
        return rng.choice(others) if others and rng.random() < 0.5 else rng.choice(self._wording.advice)

    def _subject(self, memory: Memory) -> str:
        """What a need is about: the first name or thing of the note that the memory holds."""
        note = self._notes.get(memory.id)
        if note is None or memory.language != self._memories.language:
            return ""
        found = next((one for one in note.keywords if one in memory.text and one not in note.dates), "")
        return re.sub("^The ", "the ", found)
