"""Diversity questions: who and what the graph knows, asked for by name, and what hangs together in it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, ClassVar

from kernel.generators.draft import Draft
from kernel.graph import EntityType
from kernel.language import sentences, weight
from kernel.memory import PART

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from kernel.graph import Community, EntityGraph
    from kernel.memory import Memories, Memory
    from kernel.note import Notes
    from kernel.phrasing import Phrasing
    from kernel.recipe import SampleCounts
    from kernel.wording import Wording

_MET = (EntityType.PERSON, EntityType.EVENT)  #: what one has feelings about; of the rest, an opinion


class DiversityDataGenerator:
    """An entity that one memory alone tells of is recalled by it; one with a feeling in it answers opinion and
    feeling too. A community is told in a sentence of each of its memories. What no memory says of a known person is
    admitted."""

    kinds: ClassVar = (
        "diversity",
        "diversity_opinion",
        "diversity_feeling",
        "diversity_open",
        "diversity_unanswerable",
    )

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
        self._phrasing, self._wording, self._counts = phrasing, wording, counts
        self._insights = {note.memory_id: note.insight for note in notes.items}
        self._types = {entity.title: entity.type for entity in graph.entities}
        told = Counter(memory.id for memory in memories.items)
        self._several = {id for id, count in told.items() if count > 1}

    def generate(self, rng: random.Random) -> Iterator[Draft]:
        yield from self._recall(rng)
        most = round(self._counts.diversity * len(self._memories.items))
        for way in (self._opinions, self._open, self._unanswerable):
            found = list(way(rng)) if most else []
            yield from rng.sample(found, min(most, len(found)))

    def _recall(self, rng: random.Random) -> Iterator[Draft]:
        for memory in self._memories.items:
            titles = self._titles(memory)
            for place, title in enumerate(rng.sample(titles, min(self._counts.entities, len(titles)))):
                question = self._phrasing.about(as_told(title, memory.text), rng)
                yield Draft(kind="diversity", question=question, memory=memory, is_shown=place % 2 == 1)

    def _opinions(self, rng: random.Random) -> Iterator[Draft]:
        for place, memory in enumerate(self._memories.items):
            insight = self._insights.get(memory.id, "")
            if not insight or (memory.id in self._several and insight not in memory.text):
                continue
            for title in self._titles(memory):
                is_met = self._types[title] in _MET
                ways = self._wording.feeling if is_met else self._wording.opinion
                yield Draft(
                    kind="diversity_feeling" if is_met else "diversity_opinion",
                    question=rng.choice(ways).format(as_told(title, memory.text)),
                    memory=memory,
                    is_shown=place % 2 == 1,
                )

    def _open(self, rng: random.Random) -> Iterator[Draft]:
        """Two or three names of a community; a sentence of each memory that holds one of them."""
        for place, community in enumerate(self._graph.communities):
            told = self._told(community, rng)
            if len(told) > 1:
                named = self._wording.glue.join(title for title, _, _ in told)
                space = "" if self._memories.language == "zh" else " "
                yield Draft(
                    kind="diversity_open",
                    question=rng.choice(self._wording.open).format(named),
                    memory=told[0][1],
                    answer=space.join(sentence for _, _, sentence in told),
                    quoted=tuple(memory.id for _, memory, _ in told[1:]),
                    is_shown=place % 2 == 1,
                )

    def _told(self, community: Community, rng: random.Random) -> list[tuple[str, Memory, str]]:
        """(name, memory, its sentence with the name), as many as one answer holds, three at most."""
        members = [memory for memory in self._memories.items if memory.id in community.memory_ids]
        whole = [(memory, sentence) for memory in members for sentence in sentences(memory.text)]
        found: list[tuple[str, Memory, str]] = []
        left = PART
        for title in rng.sample(community.titles, len(community.titles)):
            used = {memory.id for _, memory, _ in found}
            for memory, sentence in whole:
                if title.casefold() in sentence.casefold() and memory.id not in used and weight(sentence) < left:
                    found.append((as_told(title, sentence), memory, sentence))
                    left -= weight(sentence)
                    break
        return found[:3]

    def _unanswerable(self, rng: random.Random) -> Iterator[Draft]:
        told = "\n".join(f"{memory.question}\n{memory.answer}" for memory in self._memories.items)
        folded = told.casefold()
        people = [entity for entity in self._graph.entities if entity.type is EntityType.PERSON]
        for place, entity in enumerate(people):
            ways = [way for telling, way in self._wording.beyond if telling not in folded]
            if ways:
                question = rng.choice(ways).format(self._wording.named(as_told(entity.title, told)))
                yield Draft(kind="diversity_unanswerable", question=question, is_shown=place % 2 == 1)

    def _titles(self, memory: Memory) -> Sequence[str]:
        titles = [entity.title for entity in self._graph.told_by_alone(memory.id)]
        if memory.id in self._several:
            return [title for title in titles if title.casefold() in memory.text.casefold()]
        return titles


def as_told(title: str, text: str) -> str:
    """Graph titles are upper case; a question uses the elder's own spelling."""
    place = text.casefold().find(title.casefold())
    return text[place : place + len(title)] if place >= 0 else title.title()
