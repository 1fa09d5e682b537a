"""Who am I: the elder's name, the life in a few words, and small talk that asserts nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kernel.generators.draft import Draft
from kernel.language import sentences, weight
from kernel.memory import PART

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from kernel.bio import Bio
    from kernel.memory import Memories
    from kernel.phrasing import Phrasing
    from kernel.prompt import Prompts
    from kernel.recipe import SampleCounts
    from kernel.wording import Wording


class SelfQA:
    """The life is told from the biography, which is the elder's words or grounded in them."""

    kinds: ClassVar = ("self_qa", "self_qa_life", "small_talk")

    def __init__(
        self,
        memories: Memories,
        bio: Bio,
        phrasing: Phrasing,
        words: Prompts,
        wording: Wording,
        counts: SampleCounts,
    ) -> None:
        self._memories, self._bio, self._phrasing = memories, bio, phrasing
        self._words, self._wording, self._counts = words, wording, counts

    def generate(self, rng: random.Random) -> Iterator[Draft]:
        name = self._memories.elder_name
        for question in self._phrasing.self_questions():
            yield Draft(kind="self_qa", question=question, answer=self._words.introduction.format(name=name))
        yield from self._life(rng)
        for said, answer in self._phrasing.greetings():
            yield Draft(kind="small_talk", question=said, answer=answer)

    def _life(self, rng: random.Random) -> Iterator[Draft]:
        """As much of the biography as one answer tells."""
        told = ""
        glue = "" if self._memories.language == "zh" else " "
        for sentence in sentences(self._bio.first_person):
            if weight(told + sentence) > PART:
                break
            told = f"{told}{glue if told else ''}{sentence}"
        quoted = tuple(id for id in self._bio.memory_ids) if told else ()
        for question in rng.sample(self._wording.life, min(self._counts.life, len(self._wording.life))):
            if quoted:
                yield Draft(kind="self_qa_life", question=question, answer=told, quoted=quoted)
