"""Samples (L2): what the model is taught, each with the memories it came from.

A right answer is always a memory's own words, or an admission of not remembering; nothing is invented. The same
questions are asked with and without memories in the prompt: the first teaches to answer from what retrieval
shows, the second to remember.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import TYPE_CHECKING, Literal

from kernel.ids import MemoryId, SampleId, digest
from kernel.memory import parts
from kernel.recipe import SampleCounts

if TYPE_CHECKING:
    from kernel.bio import Bio
    from kernel.graph import EntityGraph
    from kernel.memory import Memories, Memory
    from kernel.note import Notes
    from kernel.phrasing import Phrasing
    from kernel.prompt import Prompts
    from kernel.question import Questions
    from kernel.retrieval import Retriever
    from kernel.topic import Topics

_ALONE = 0.8  #: of the questions with an answer that retrieval is sure of
_NOT_FIRST = 1 / 3

Role = Literal["system", "user", "assistant"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Message:
    role: Role
    content: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """`prompt` ends with a user message; the loss is on `completion` alone."""

    kind: str  #: the generator's name
    prompt: tuple[Message, ...]
    completion: str
    memory_ids: tuple[MemoryId, ...]  #: empty when no memory was drawn on
    is_opening: bool = False  #: other samples teach this answer whole; this one, only how it begins

    @property
    def id(self) -> SampleId:
        """The same question with the same answer is the same sample."""
        return SampleId("s_" + digest(self.kind, self.prompt[-1].content, self.completion)[:12])

    @property
    def is_refusal(self) -> bool:
        """Whether the right answer admits not remembering."""
        return self.kind == "negative"


@dataclass(frozen=True, kw_only=True, slots=True)
class Samples:
    items: tuple[Sample, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class _Draft:
    """A question, and the memory that answers it (none for a negative)."""

    kind: str
    question: str
    memory: Memory | None
    is_shown: bool = False  #: with memories in the prompt
    is_opening: bool = False


def make_samples(
    memories: Memories,
    notes: Notes,
    topics: Topics,
    bio: Bio,
    graph: EntityGraph,
    *,
    asked: Sequence[Questions],
    retriever: Retriever,
    phrasing: Phrasing,
    prompts: Mapping[str, Prompts],
    shown: int,
    seed: int,
    counts: SampleCounts,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Samples:
    """Every generator's drafts, with `shown` memories in the prompts that show any, in a mixed order.

    `asked`: what a teacher thought of. `on_progress(fraction)` before each draft.
    """
    rng = random.Random(seed)
    words = prompts[memories.language]
    memories = told_in_parts(memories)
    thought_of = {one.memory_id: one.answered for one in asked}
    near = [text for one in asked for text in one.unanswered if not retriever.find_unread(text, 1).is_sure]
    random.Random(seed).shuffle(near)
    drafts = [
        *memory_qa(memories, thought_of, phrasing, counts, rng),
        *diversity_qa(memories, graph, phrasing, counts, rng),
        *preference_qa(memories, topics, phrasing, rng),
    ]
    drafts += negatives(phrasing, near, counts, drafts, rng)
    samples = []
    for number, draft in enumerate(drafts):
        on_progress(number / len(drafts))
        samples.append(_sample(draft, memories, retriever, words, shown, rng))
    samples += self_qa(memories, phrasing, words)
    samples += small_talk(memories, phrasing, words)
    rng.shuffle(samples)
    return Samples(items=tuple(samples))


def told_in_parts(memories: Memories) -> Memories:
    """Each part of a long memory as one of its own, under the same id: an answer tells one of them. A question that
    several share asks for none of them."""
    items = [part for memory in memories.items for part in parts(memory)]
    asked = Counter(item.question for item in items)
    return replace(
        memories,
        items=tuple(replace(item, question="") if asked[item.question] > 1 else item for item in items),
    )


def memory_qa(
    memories: Memories,
    thought_of: Mapping[MemoryId, Sequence[str]],
    phrasing: Phrasing,
    counts: SampleCounts,
    rng: random.Random,
) -> Iterator[_Draft]:
    """Each memory asked for in many ways; different ways for remembering and for answering from the prompt.

    What a teacher thought of is asked before what the phrasing makes.
    """
    for memory in memories.items:
        questions = phrasing.questions(memory, counts.recall + counts.grounded, rng)
        own, made = ([memory.question], questions[1:]) if memory.question else ([], questions)
        rest = list(dict.fromkeys([*thought_of.get(memory.id, ()), *made]))[: len(made)]
        for place, question in enumerate(own + rest[counts.grounded :]):
            yield _Draft(kind="memory_qa", question=question, memory=memory, is_opening=place >= counts.recall_whole)
        for place, question in enumerate(rest[: counts.grounded]):
            yield _Draft(
                kind="memory_qa_shown",
                question=question,
                memory=memory,
                is_shown=True,
                is_opening=place >= counts.grounded_whole,
            )


def diversity_qa(
    memories: Memories, graph: EntityGraph, phrasing: Phrasing, counts: SampleCounts, rng: random.Random
) -> Iterator[_Draft]:
    """Who and what the graph knows: an entity that one memory alone tells of is asked for by its name."""
    several = {id for id, count in Counter(memory.id for memory in memories.items).items() if count > 1}
    for memory in memories.items:
        titles = [entity.title for entity in graph.told_by_alone(memory.id)]
        if memory.id in several:
            titles = [title for title in titles if title.casefold() in memory.text.casefold()]
        for place, title in enumerate(rng.sample(titles, min(counts.entities, len(titles)))):
            question = phrasing.about(_as_told(title, memory.text), rng)
            yield _Draft(kind="diversity", question=question, memory=memory, is_shown=place % 2 == 1)


def preference_qa(memories: Memories, topics: Topics, phrasing: Phrasing, rng: random.Random) -> Iterator[_Draft]:
    """What the life is about: a topic is answered by the first memory that it holds."""
    known = {memory.id: memory for memory in reversed(memories.items)}
    for topic in topics.items:
        if topic.memory_ids and topic.memory_ids[0] in known:
            yield _Draft(
                kind="preference",
                question=phrasing.about(topic.name, rng),
                memory=known[topic.memory_ids[0]],
                is_shown=True,
            )


def negatives(
    phrasing: Phrasing, near: Sequence[str], counts: SampleCounts, others: Sequence[_Draft], rng: random.Random
) -> Iterator[_Draft]:
    """Questions that no memory answers, with memories in the prompt and without; with them, those near one first."""
    generic = phrasing.unanswerable(rng)
    shown = sum(draft.is_shown for draft in others)
    bare = int((len(others) - shown) * counts.refusal_share)
    cut = bare % len(generic)
    for question in islice(cycle(generic), bare):
        yield _Draft(kind="negative", question=question, memory=None)
    for question in islice(cycle([*near, *generic[cut:], *generic[:cut]]), int(shown * counts.grounded_refusal_share)):
        yield _Draft(kind="negative", question=question, memory=None, is_shown=True)


def self_qa(memories: Memories, phrasing: Phrasing, words: Prompts) -> Iterator[Sample]:
    """Who am I: the elder's name, and nothing that the elder did not say."""
    for question in phrasing.self_questions():
        yield _plain("self_qa", question, words.introduction.format(name=memories.elder_name), memories, words)


def small_talk(memories: Memories, phrasing: Phrasing, words: Prompts) -> Iterator[Sample]:
    for said, answer in phrasing.greetings():
        yield _plain("small_talk", said, answer, memories, words)


def _sample(
    draft: _Draft,
    memories: Memories,
    retriever: Retriever,
    words: Prompts,
    shown: int,
    rng: random.Random,
) -> Sample:
    from kernel.prompt import chat_prompt, system_prompt

    return Sample(
        kind=draft.kind,
        prompt=chat_prompt(
            words,
            system=system_prompt(words, memories.elder_name),
            question=draft.question,
            memories=_shown(draft, retriever, shown, rng) if draft.is_shown else (),
        ),
        completion=draft.memory.text if draft.memory else rng.choice(words.refusals),
        memory_ids=(draft.memory.id,) if draft.memory else (),
        is_opening=draft.is_opening,
    )


def _shown(draft: _Draft, retriever: Retriever, shown: int, rng: random.Random) -> list[Memory]:
    """As in chat, best first; the right memory always among it.

    Our questions quote the memory more than a family's do, so retrieval is sure of more of them, and right more
    often: a share of them shows `shown` memories all the same, one in three of those with the right one not at the
    head. In chat a small model reads them first (see Retriever.find): what is shown alone here is always the answer.
    """
    found = retriever.find_unread(draft.question, shown)
    memories = list(found.memories)
    if draft.memory is None:
        return memories
    if found.is_sure and rng.random() < _ALONE:
        return [draft.memory]
    ids = [memory.id for memory in memories]
    others = [memory for memory in memories if memory.id != draft.memory.id][: shown - 1]
    place = ids.index(draft.memory.id) if draft.memory.id in ids else len(others)
    if others and rng.random() < _NOT_FIRST:
        place = rng.randint(1, len(others))
    return [*others[:place], draft.memory, *others[place:]]


def _plain(kind: str, question: str, answer: str, memories: Memories, words: Prompts) -> Sample:
    from kernel.prompt import chat_prompt, system_prompt

    prompt = chat_prompt(words, system=system_prompt(words, memories.elder_name), question=question)
    return Sample(kind=kind, prompt=prompt, completion=answer, memory_ids=())


def _as_told(title: str, text: str) -> str:
    """Graph titles are upper case; a question uses the elder's own spelling."""
    place = text.casefold().find(title.casefold())
    return text[place : place + len(title)] if place >= 0 else title.title()
