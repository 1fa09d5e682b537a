"""Provenance: from what was made to the memories it came from, and from a memory to all that was made of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeVar

from kernel.errors import MadeNotFound
from kernel.memory import collect_memories

if TYPE_CHECKING:
    from kernel.bio import Bio
    from kernel.conversation import Turn
    from kernel.graph import EntityGraph
    from kernel.ids import MemoryId
    from kernel.memory import Answer, Memories, Memory
    from kernel.note import Notes
    from kernel.pair import Pairs, PreferencePair
    from kernel.sample import Message, Sample, Samples
    from kernel.topic import Topics

_Resting = TypeVar("_Resting", "Sample", "PreferencePair", "Turn")
Kind = Literal[
    "answer",
    "memory",
    "note",
    "topic",
    "shade",
    "biography",
    "entity",
    "relationship",
    "community",
    "sample",
    "pair",
    "turn",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """Something that was made, in a line. Samples, pairs and turns have ids, the others go by their names."""

    kind: Kind
    id: str
    text: str
    memory_ids: tuple[MemoryId, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """What an id names, the memories that it came from, and what else came from them."""

    thing: Made
    memories: tuple[Memory, ...]
    made: tuple[Made, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """What was made of an elder's memories: in the training of one version, and in the family's talks."""

    answers: Sequence[Answer]
    memories: Memories
    notes: Notes
    topics: Topics
    bio: Bio | None  #: None where it was written with the words of more than is told
    graph: EntityGraph
    samples: Samples
    pairs: Pairs
    turns: Sequence[Turn]

    def told_in(self, memories: frozenset[MemoryId]) -> Life:
        """What rests on these memories alone: a sample is written with the words of all of its own, as a turn is."""

        def kept(made: Iterable[_Resting]) -> tuple[_Resting, ...]:
            return tuple(one for one in made if memories.issuperset(one.memory_ids))

        return replace(
            self,
            memories=replace(self.memories, items=tuple(one for one in self.memories.items if one.id in memories)),
            notes=self.notes.of(memories),
            topics=self.topics.told_in(memories),
            bio=self.bio if self.bio and memories.issuperset(self.bio.memory_ids) else None,
            graph=self.graph.told_in(memories),
            samples=replace(self.samples, items=kept(self.samples.items)),
            pairs=replace(self.pairs, items=kept(self.pairs.items)),
            turns=kept(self.turns),
        )


def why(life: Life, thing: str) -> Origin:
    """`thing`: the id of an answer, a memory, a sample, a pair or a turn. Raises MadeNotFound."""
    made = list(_made(life))
    found = _told(life, thing) or next((one for one in made if one.id == thing), None)
    if found is None:
        raise MadeNotFound(id=thing)
    origins = set(found.memory_ids)
    return Origin(
        thing=found,
        memories=tuple(memory for memory in life.memories.items if memory.id in origins),
        made=tuple(one for one in made if one is not found and origins & set(one.memory_ids)),
    )


def _told(life: Life, thing: str) -> Made | None:
    """An answer or a memory. An answer's memories are found by their words, as told twice they are one."""
    memory = next((one for one in life.memories.items if one.id == thing), None)
    if memory:
        return Made(kind="memory", id=memory.id, text=memory.text, memory_ids=(memory.id,))
    answer = next((one for one in life.answers if one.id == thing), None)
    if answer is None:
        return None
    pieces = collect_memories([answer], elder_name="", language=life.memories.language).items
    words = {" ".join(piece.text.casefold().split()) for piece in pieces}
    ids = tuple(one.id for one in life.memories.items if " ".join(one.text.casefold().split()) in words)
    return Made(kind="answer", id=answer.id, text=answer.answer, memory_ids=ids)


def _made(life: Life) -> Iterator[Made]:
    for note in life.notes.items:
        yield Made(kind="note", id=note.title, text=note.summary, memory_ids=(note.memory_id,))
    for topic in life.topics.items:
        yield Made(kind="topic", id=topic.name, text=", ".join(topic.keywords), memory_ids=topic.memory_ids)
    for shade in life.topics.shades:
        yield Made(kind="shade", id=shade.name, text=shade.name, memory_ids=shade.memory_ids)
    if life.bio:
        yield Made(kind="biography", id="biography", text=life.bio.third_person, memory_ids=life.bio.memory_ids)
    for entity in life.graph.entities:
        yield Made(kind="entity", id=entity.title, text=entity.description, memory_ids=entity.memory_ids)
    for one in life.graph.relationships:
        names = f"{one.source} - {one.target}"
        yield Made(kind="relationship", id=names, text=one.description, memory_ids=one.memory_ids)
    for community in life.graph.communities:
        names = ", ".join(community.titles)
        yield Made(kind="community", id=f"{community.level}: {names}", text=names, memory_ids=community.memory_ids)
    for sample in life.samples.items:
        text = f"{_asked(sample.prompt)}\n-> {sample.completion}"
        yield Made(kind="sample", id=sample.id, text=text, memory_ids=sample.memory_ids)
    for pair in life.pairs.items:
        text = f"{_asked(pair.prompt)}\n-> {pair.chosen}\nnot: {pair.rejected}"
        yield Made(kind="pair", id=pair.id, text=text, memory_ids=pair.memory_ids)
    for turn in life.turns:
        text = f"{turn.question}\n-> {turn.answer}"
        yield Made(kind="turn", id=turn.id, text=text, memory_ids=turn.memory_ids)


def _asked(prompt: Sequence[Message]) -> str:
    """The question alone: the memories shown with it are others' too, of which one may have been taken back."""
    return prompt[-1].content.rpartition("\n\n")[2]
