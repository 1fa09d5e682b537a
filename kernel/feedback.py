"""Feedback: what the family says of an answer, and how it reaches the next training.

A thumb down with a correction is a preference pair; the correction is believed, as it is the family's word, and only
flagged where it names what no memory holds. A thumb down alone is one where the question's memory was surely meant
and the grounded judge finds its words better. What was praised or corrected is asked again of each new version.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from kernel.admission import admits_not_remembering
from kernel.evaluation import Probe
from kernel.grounding import facts, spellings, unsupported
from kernel.held_out import HeldOut
from kernel.ids import FeedbackId, MemoryId, feedback_id
from kernel.judge import Corrected, GroundedJudge, Verdict
from kernel.language import tokens, weight
from kernel.memory import parts
from kernel.pair import Candidate, PreferencePair, judge_pair, shortened
from kernel.prompt import chat_prompt, system_prompt
from kernel.sample import Message, Sample

if TYPE_CHECKING:
    from kernel.judge import Background
    from kernel.memory import Memories, Memory
    from kernel.ports import EntityFinder
    from kernel.prompt import Prompts

_CORRECTED: Corrected = "corrected"
MOST_REGRESSIONS = 50  #: the newest: each is asked of every new version
_LONGEST_QUESTION = 400  #: to be trained on, in Latin letters; a Chinese character counts three
_MOST_FACTS = 3  #: of an answer that must be in the next one's, too


@dataclass(frozen=True, kw_only=True, slots=True)
class Feedback:
    member: str  #: "" for nobody in particular
    question: str
    answer: str  #: the model's
    memory_ids: tuple[MemoryId, ...]  #: what it was given
    model: str  #: the version's tag
    is_up: bool
    correction: str = ""  #: what the answer should have been; only with a thumb down
    unsupported: tuple[str, ...] = ()  #: names, numbers and years of the correction that no memory holds
    given_at: datetime

    @property
    def id(self) -> FeedbackId:
        return feedback_id(self.member, self.question, self.answer)

    @property
    def lesson(self) -> tuple[object, ...]:
        """What of it shapes a training: who said it and when does not."""
        return self.question, self.answer, self.memory_ids, self.is_up, self.correction


def not_held_by_memories(correction: str, question: str, memories: Memories, finder: EntityFinder) -> tuple[str, ...]:
    """Names, numbers and years that neither a memory nor the question holds."""
    source = "\n".join([memories.elder_name, question, *(memory.text for memory in memories.items)])
    return tuple(unsupported(correction, source, language=memories.language, finder=finder))


def rests_on(feedback: Feedback, memory_ids: Collection[MemoryId], is_quotation: Callable[[str], bool]) -> bool:
    """Whether its answer was given one of these memories, or it quotes one."""
    is_given = not set(feedback.memory_ids).isdisjoint(memory_ids)
    return is_given or is_quotation(feedback.answer) or is_quotation(feedback.correction)


def lessons(feedback: Sequence[Feedback], probes: Sequence[Probe]) -> list[Feedback]:
    """What may be trained on, newest first: no question that the family keeps to measure with, nor a near copy, or it
    would leak; and none that fills a small model's prompt by itself."""
    held_out = HeldOut(probes)
    return [
        one
        for one in _last_word(feedback)
        if not one.is_up and not held_out.holds(one.question) and weight(one.question) <= _LONGEST_QUESTION
    ]


def family_pairs(
    lessons: Sequence[Feedback], memories: Memories, background: Background, *, prompts: Mapping[str, Prompts]
) -> Iterator[PreferencePair]:
    """Asked as in chat, with the memories that the answer was given, as far as they are still there."""
    words, known = prompts[memories.language], {memory.id: memory for memory in memories.items}
    for one in lessons:
        shown = [_part(known[id], f"{one.question} {one.answer}") for id in one.memory_ids if id in known]
        prompt = chat_prompt(
            words,
            system=system_prompt(words, memories.elder_name),
            question=one.question,
            memories=shown,
        )
        pair = _corrected(one, prompt, shown) if one.correction else _better_told(one, prompt, shown, background)
        if pair is not None:
            yield pair


def regression_questions(feedback: Sequence[Feedback], memories: Memories, finder: EntityFinder) -> list[Probe]:
    """What was praised or corrected, with the facts that the next answer must hold too; newest first.

    An answer that rightly did not remember must not be made up later. One with no name, number or year cannot be
    checked, and is not asked.
    """
    found: dict[str, Probe] = {}
    for one in _last_word(feedback):
        right = one.answer if one.is_up else one.correction
        if not right or _folded(one.question) in found or len(found) == MOST_REGRESSIONS:
            continue
        is_admission = admits_not_remembering(right)
        expected = () if is_admission else _expected(right, one.question, memories.language, finder)
        if expected or is_admission:
            found[_folded(one.question)] = Probe(question=one.question, expects=expected, is_held_out=one.is_up)
    return list(found.values())


def _last_word(feedback: Sequence[Feedback]) -> list[Feedback]:
    """Of what several members say of the same answer, the newest is heard."""
    heard: dict[tuple[str, str], Feedback] = {}
    for one in feedback:
        heard.setdefault((one.question, one.answer), one)
    return list(heard.values())


def _corrected(one: Feedback, prompt: tuple[Message, ...], shown: Sequence[Memory]) -> PreferencePair | None:
    sample = Sample(
        kind="family", prompt=prompt, completion=one.correction, memory_ids=tuple(memory.id for memory in shown)
    )
    rejected = shortened(one.answer, one.correction)
    if not rejected or _folded(rejected) == _folded(one.correction):
        return None
    return PreferencePair(
        prompt=sample.prompt,
        chosen=sample.completion,
        rejected=rejected,
        source="family",
        verdict=Verdict(chosen_score=1.0, rejected_score=0.0, reason=_CORRECTED, judge="family"),
        memory_ids=sample.memory_ids,
    )


def _better_told(
    one: Feedback, prompt: tuple[Message, ...], shown: Sequence[Memory], background: Background
) -> PreferencePair | None:
    """Only where one memory was shown alone, which retrieval does when it is surely meant: among several, none may
    be the answer."""
    if len(shown) != 1 or len(one.memory_ids) != 1:
        return None
    sample = Sample(kind="family", prompt=prompt, completion=shown[0].text, memory_ids=(shown[0].id,))
    return judge_pair(sample, Candidate(sample=0, source="family", text=one.answer), background, GroundedJudge())


def _expected(right: str, question: str, language: str, finder: EntityFinder) -> tuple[tuple[str, ...], ...]:
    """The first facts that the question does not give away."""
    asked = _folded(question)
    told = [fact for fact in facts(right, language=language, finder=finder) if _folded(fact) not in asked]
    return tuple(spellings(fact) for fact in told[:_MOST_FACTS])


def _part(memory: Memory, said: str) -> Memory:
    """Of a long memory, the part that the answer was likely shown: the one that shares most of its words."""
    wanted = set(tokens(said))
    return max(parts(memory), key=lambda part: len(wanted & set(tokens(part.text))))


def _folded(text: str) -> str:
    return " ".join(text.casefold().split()).rstrip("?？.。!！ ")
