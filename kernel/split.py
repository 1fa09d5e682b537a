"""The split: what a model is measured with where the family gave no questions of its own.

Of some memories one clause is asked for, and the answer must hold what the question leaves out; with them go generic
questions that no memory answers. The memories and the seed alone decide, so the samples and the evaluation find the
same ones, and no generator sees them (see held_out).
"""

from __future__ import annotations

import math
from itertools import islice
from typing import TYPE_CHECKING

from kernel.evaluation import Probe
from kernel.grounding import facts, spellings
from kernel.held_out import HeldOut
from kernel.ids import digest
from kernel.language import tokens
from kernel.phrasing import phrasing_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from kernel.memory import Memories, Memory
    from kernel.phrasing import Phrasing
    from kernel.ports import EntityFinder

SHARE = 1 / 3  #: of the memories that are asked for
MOST = 40
UNANSWERABLE = 20
_TRIES = 4  #: memories that are read for each question, of a life too long to be read for them all
_COMMON = 3  #: memories; a name or number that more of them hold tells none of them apart
_FEWEST = 2  #: telling words by which a question is known


def split_off(memories: Memories, *, seed: int, finder: EntityFinder) -> tuple[Probe, ...]:
    """A memory with no name or number that it could be known by gives none; another takes its place."""
    phrasing = phrasing_of(memories.language, memories.items)
    own = HeldOut([Probe(question=memory.question, expects=()) for memory in memories.items])
    wanted = min(MOST, math.ceil(SHARE * len(memories.items)))
    answered: list[Probe] = []
    for memory in sorted(memories.items, key=lambda one: digest(str(seed), one.id))[: _TRIES * MOST]:
        if len(answered) == wanted:
            break
        known = HeldOut(answered)
        ways = _ways(memory, memories, phrasing, finder)
        answered += islice((one for one in ways if not (own.holds(one.question) or known.holds(one.question))), 1)
    generic = sorted(phrasing.whole_unanswerable(), key=lambda one: digest(str(seed), one))
    return (*answered, *(Probe(question=one, expects=()) for one in generic[:UNANSWERABLE]))


def _ways(memory: Memory, memories: Memories, phrasing: Phrasing, finder: EntityFinder) -> Iterator[Probe]:
    """To ask for one memory: what says most of what it is about first."""
    if memory.language != memories.language:
        return
    texts = [one.answer.casefold() for one in memories.items]
    telling = [one for one in facts(memory.answer, language=memory.language, finder=finder) if _tells(one, texts)]
    told, clauses = set(tokens(memory.answer)), dict(phrasing.clauses(memory))
    shared = {question: len(told.intersection(tokens(question))) for question in clauses}
    for question in sorted(clauses, key=lambda one: (-shared[one], len(one), one)):
        left_out = [one for one in telling if one in clauses[question] and one.casefold() not in question.casefold()]
        if left_out and shared[question] >= _FEWEST:
            said = dict.fromkeys(spelling for one in left_out for spelling in spellings(one))
            yield Probe(question=question, expects=(tuple(said),))


def _tells(fact: str, texts: Sequence[str]) -> bool:
    return len(fact) > 1 and sum(fact.casefold() in text for text in texts) <= _COMMON
