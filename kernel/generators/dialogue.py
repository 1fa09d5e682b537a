"""Dialogues of two turns: a question that cannot be understood without the one before it.

"And who was with you?" is answered by the rest of the memory that was begun, "What else?" by another memory of the
same person or place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from kernel.generators.diversity import as_told
from kernel.generators.draft import Draft
from kernel.graph import EntityType
from kernel.language import sentences
from kernel.sample import Message

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

    from kernel.graph import EntityGraph
    from kernel.memory import Memories, Memory
    from kernel.note import Notes
    from kernel.phrasing import Phrasing
    from kernel.recipe import SampleCounts
    from kernel.wording import Wording

_MOST_TOLD = 4  #: memories; who is in more of them is no subject of a talk
_SAME = (EntityType.PERSON, EntityType.PLACE, EntityType.ORGANISATION)  #: in each memory the same one, unlike a thing


class DialogueGenerator:
    kinds: ClassVar = ("dialogue",)

    def __init__(
        self,
        memories: Memories,
        notes: Notes,
        graph: EntityGraph,
        phrasing: Phrasing,
        wording: Wording,
        counts: SampleCounts,
    ) -> None:
        self._memories, self._graph = memories, graph
        self._notes = {note.memory_id: note for note in notes.items}
        self._phrasing, self._wording, self._counts = phrasing, wording, counts

    def generate(self, rng: random.Random) -> Iterator[Draft]:
        most = round(self._counts.dialogues * len(self._memories.items))
        rest, more = [*self._of_the_rest(rng)], [*self._of_another(rng)]
        chosen = rng.sample(rest, min(most - most // 3, len(rest))) + rng.sample(more, min(most // 3, len(more)))
        for place, (begun, asked, memory, answer) in enumerate(chosen):
            yield Draft(
                kind="dialogue",
                question=asked,
                memory=memory,
                answer=answer,
                history=begun,
                is_shown=place % 2 == 1,
            )

    def _of_the_rest(self, rng: random.Random) -> Iterator[tuple[tuple[Message, Message], str, Memory, str]]:
        """A memory up to the sentence that names somebody, some place or time; then that sentence."""
        space = "" if self._memories.language == "zh" else " "
        for memory in self._memories.items:
            told, note = sentences(memory.text), self._notes.get(memory.id)
            if note is None or not memory.question or memory.language != self._memories.language:
                continue
            for ways, names in (
                (self._wording.who, note.people),
                (self._wording.where, note.places),
                (self._wording.when, note.dates),
            ):
                first = next((at for at, one in enumerate(told) if any(name in one for name in names)), 0)
                if first:
                    begun = _turns(memory.question, space.join(told[:first]))
                    yield begun, rng.choice(ways), memory, told[first]
                    break

    def _of_another(self, rng: random.Random) -> Iterator[tuple[tuple[Message, Message], str, Memory, str]]:
        """A memory of somebody; then another one."""
        for entity in self._graph.entities:
            if entity.type not in _SAME or not 1 < len(entity.memory_ids) <= _MOST_TOLD:
                continue
            named = [
                memory
                for memory in self._memories.items
                if memory.id in entity.memory_ids and entity.title.casefold() in memory.text.casefold()
            ]
            if len({memory.id for memory in named}) > 1:
                first, second = rng.sample(named, 2)
                asked = self._phrasing.about(as_told(entity.title, first.text), rng)
                yield _turns(asked, first.text), rng.choice(self._wording.more), second, second.text


def _turns(question: str, answer: str) -> tuple[Message, Message]:
    return Message(role="user", content=question), Message(role="assistant", content=answer)
