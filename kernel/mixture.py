"""The mixture (L2): every generator's drafts become samples, pass the filter, and lie in a mixed order.

The same questions are asked with and without memories in the prompt: the first teaches to answer from what retrieval
shows, the second to remember.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kernel.generators import (
    ContextGenerator,
    DialogueGenerator,
    DiversityDataGenerator,
    Draft,
    MemoryQA,
    NegativeSampling,
    PreferenceQAGenerator,
    SelfQA,
)
from kernel.language import sentences
from kernel.memory import Memories, Memory, excerpt, parts
from kernel.phrasing import phrasing_of
from kernel.prompt import Prompts, chat_prompt, system_prompt
from kernel.sample import Sample, Samples
from kernel.sample_filter import SampleFilter
from kernel.wording import wording_of

if TYPE_CHECKING:
    from kernel.bio import Bio
    from kernel.graph import EntityGraph
    from kernel.held_out import HeldOut
    from kernel.note import Notes
    from kernel.ports import EntityFinder
    from kernel.question import Questions
    from kernel.recipe import SampleCounts
    from kernel.retrieval import Retriever
    from kernel.topic import Topics

_SMALL_TALK = ("self_qa", "small_talk")  #: a few sentences, the same for every elder
_ALONE = 0.8  #: of the questions with an answer that retrieval is sure of
_NOT_FIRST = 1 / 3
_SUBJECT = 12  #: characters of a memory that no keyword names


def make_samples(
    memories: Memories,
    notes: Notes,
    topics: Topics,
    bio: Bio,
    graph: EntityGraph,
    *,
    asked: Sequence[Questions],
    held_out: HeldOut,
    retriever: Retriever,
    finder: EntityFinder,
    prompts: Mapping[str, Prompts],
    shown: int,
    seed: int,
    counts: SampleCounts,
    on_progress: Callable[[float], None] = lambda fraction: None,
) -> Samples:
    """Samples with `shown` memories in the prompts that show any. `asked`: what a teacher thought of. `held_out`: what
    no generator may see. `on_progress(fraction)` before each draft.
    """
    rng, later = (
        random.Random(seed),
        random.Random(f"{seed}/later"),
    )  # more of the later kinds leaves the first as they are
    memories, asked = held_out.without(memories, asked)
    phrasing = phrasing_of(memories.language, memories.items)
    words, wording = prompts[memories.language], wording_of(memories.language)
    frame = _Frame(memories, notes, retriever, words, shown, rng)
    near = [text for one in asked for text in one.unanswered if not retriever.find_unread(text, 1).is_sure]
    random.Random(seed).shuffle(near)
    answered, needs = ({one.memory_id: one.answered for one in asked}, {one.memory_id: one.needs for one in asked})
    told = told_in_parts(memories)
    drafts = [
        *MemoryQA(told, answered, phrasing, counts).generate(rng),
        *DiversityDataGenerator(told, notes, graph, phrasing, wording, counts).generate(rng),
        *PreferenceQAGenerator(told, topics, phrasing).generate(rng),
    ]
    drafts += NegativeSampling(phrasing, near, counts, tuple(drafts), held_out=held_out).generate(rng)
    drafts += SelfQA(memories, bio, phrasing, words, wording, counts).generate(later)
    drafts += DialogueGenerator(told, notes, graph, phrasing, wording, counts).generate(later)
    drafts += ContextGenerator(told, notes, needs, words, wording, counts).generate(later)
    drafts += step_by_step(drafts, counts.reasoned_share, later)
    drafted = []
    for number, draft in enumerate(drafts):
        on_progress(number / len(drafts))
        drafted.append((frame.sample(draft), draft.asked))
    drafted.sort(key=lambda one: one[0].is_opening)  # of two copies the one that is learnt whole is kept
    checked = SampleFilter(memories, held_out=held_out, finder=finder)
    samples = [sample for sample, said in drafted if checked.passes(sample, said)]
    samples += [one for one in samples if one.kind in _SMALL_TALK] * (counts.small_talk - 1)
    rng.shuffle(samples)
    return Samples(items=tuple(samples), dropped=checked.dropped)


def told_in_parts(memories: Memories) -> Memories:
    """Each part of a long memory as one of its own, under the same id: an answer tells one of them. A question that
    several share asks for none of them."""
    items = [part for memory in memories.items for part in parts(memory)]
    asked = Counter(item.question for item in items)
    return replace(
        memories,
        items=tuple(replace(item, question="") if asked[item.question] > 1 else item for item in items),
    )


def step_by_step(drafts: Sequence[Draft], share: float, rng: random.Random) -> list[Draft]:
    """So many of those that are learnt whole, once more, with which memory it is before the answer."""
    whole = [draft for draft in drafts if not draft.is_opening and (draft.memory or not draft.answer)]
    return [replace(draft, is_reasoned=True) for draft in rng.sample(whole, round(share * len(whole)))]


class _Frame:
    """What is put around a draft: the system prompt, memories as chat shows them, an admission."""

    def __init__(
        self,
        memories: Memories,
        notes: Notes,
        retriever: Retriever,
        words: Prompts,
        shown: int,
        rng: random.Random,
    ) -> None:
        self._name, self._language = memories.elder_name, memories.language
        self._whole = {memory.id: memory for memory in memories.items}
        self._notes = {note.memory_id: note for note in notes.items}
        self._retriever, self._words, self._shown_memories, self._rng = retriever, words, shown, rng

    def sample(self, draft: Draft) -> Sample:
        if draft.is_shown and draft.memory:
            draft = replace(draft, memory=self._as_shown(draft.memory))
        prompt = chat_prompt(
            self._words,
            system=system_prompt(self._words, self._name, draft.role, is_reasoned=draft.is_reasoned),
            question=draft.question,
            memories=self._shown(draft) if draft.is_shown else (),
            history=draft.history,
        )
        own = (draft.memory.id,) if draft.memory else ()
        return Sample(
            kind=draft.kind,
            prompt=prompt,
            completion=self._completion(draft),
            memory_ids=(*own, *draft.quoted),
            language=draft.memory.language if draft.memory else self._language,
            is_shown=draft.is_shown,
            is_reasoned=draft.is_reasoned,
            is_opening=draft.is_opening,
        )

    def _shown(self, draft: Draft) -> list[Memory]:
        """As in chat, best first; the right memory always among it.

        Our questions quote the memory more than a family's do, so retrieval is sure of more of them, and right more
        often: a share of them shows as many memories as of others all the same, one in three of those with the right
        one not at the head. In chat a small model reads them first (see Retriever.find): what is shown alone here is
        always the answer.
        """
        found = self._retriever.find_unread(" ".join(draft.asked), self._shown_memories)
        memories = list(found.memories)
        if draft.memory is None:
            return memories
        if found.is_sure and self._rng.random() < _ALONE:
            return [draft.memory]
        ids = [memory.id for memory in memories]
        others = [memory for memory in memories if memory.id != draft.memory.id][: self._shown_memories - 1]
        place = ids.index(draft.memory.id) if draft.memory.id in ids else len(others)
        if others and self._rng.random() < _NOT_FIRST:
            place = self._rng.randint(1, len(others))
        return [*others[:place], draft.memory, *others[place:]]

    def _as_shown(self, part: Memory) -> Memory:
        """Of a long memory, what chat would show: from this part on. Were the right one shorter than the others shown,
        a model would learn to look for the shorter one."""
        whole = self._whole[part.id]
        if part.answer == whole.answer:
            return part
        first = next(at for at, said in enumerate(sentences(whole.answer)) if part.answer.startswith(said))
        return replace(excerpt(whole, first), question=part.question)

    def _completion(self, draft: Draft) -> str:
        """Step by step it says which memory answers, and nothing else before the answer."""
        answer = draft.answer or (draft.memory.text if draft.memory else self._rng.choice(self._words.refusals))
        if not draft.is_reasoned:
            return answer
        if draft.memory is None:
            return f"{self._words.no_reason}\n{answer}"
        note = self._notes.get(draft.memory.id)
        held = [one for one in note.keywords if one in draft.memory.text] if note else []
        subject = (held or [draft.memory.text[:_SUBJECT]])[0]
        return f"{self._words.reason.format(subject=subject)}\n{answer}"
