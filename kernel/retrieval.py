"""Retrieval: the memories that a question is about, best first.

Two sides are weighed, not ranks: how near the vectors are (in standard deviations over this elder's
memories, because e5's cosines are squeezed together), and which share of the question's rare words a
memory holds (BM25 over its own maximum: a question of common words says little, and so counts little).
A memory that names the relative whose name is asked for counts as one that holds every word of the question, too.
A grandchild asks an elder about "Grandpa" and means the elder's husband: so the question is searched for.
"""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kernel.errors import EngineUnavailable
from kernel.ids import ElderId, TenantId, digest
from kernel.kin_names import name_asked, names_told
from kernel.language import sentences, tokens, weight
from kernel.memory import PART, Memories, Memory, excerpt

if TYPE_CHECKING:
    from kernel.ports import Reranker, VectorIndex

Scores = NDArray[np.float64]  #: one a memory, in their order

#: Of a full word match against one standard deviation of similarity. Top-3 recall is the same from 1 to 5.
WORDS_WEIGHT = 3.0
#: The best three are read, and a nat of likelihood counts so much in the same unit.
READ, NAT_WEIGHT = 3, 0.25
#: The score, after reading, from which the best is surely meant; English is read by two models. See DECISIONS.md.
READ_SURE = {"en": 7.0, "zh": 5.0}
LIKELY = 1.0  #: so little under that, it is likely meant
#: Unread, a best memory is surely meant that scores so high, and so far above the next.
SURE, APART = 4.0, 1.5
#: BM25 (Robertson & Zaragoza 2009): saturation k1, and a weak length normalisation, as memories are short.
K1, B = 1.2, 0.4
_NOWHERE = np.empty((0, 2), dtype=np.int64)

_HUSBAND = "grandpa|grandad|granddad|gramps|grandfather|dad|daddy|papa"
_WIFE = "grandma|granny|gran|nana|nan|grandmother|mum|mummy|mom|mommy|mama"
_SPOUSE = re.compile(rf"(?<!our )(?<!his )(?<!her )(?<!my )(?<!the )\b(?:({_HUSBAND})|{_WIFE})\b", re.I)
_ZH_KIN = "爷爷|外公|姥爷|奶奶|外婆|姥姥|爸爸|妈妈|爸|妈"
_ZH_SPOUSE = re.compile(f"(?<![您你他她的老])(?:{_ZH_KIN})")
#: A husband is not lost as a ring is.
_NEAREST = r"(your (?:husband|wife|mother|mum|mam|father|dad|parents|sister|brother|son|daughter))\b(?!['’])"
_DEATHS = tuple(
    (re.compile(pattern, re.I), plainly)
    for pattern, plainly in (
        (rf"\b(?:we|you|they) lose {_NEAREST}", r"\1 die"),
        (rf"\b(?:we|you|they) lost {_NEAREST}", r"\1 died"),
        (r"\bpass away\b", "die"),
        (r"\bpassed away\b", "died"),
        ("离开了?我们|[去过]世", "走"),
    )
)
_ADDRESS = re.compile(
    rf"^\s*(?:(?:dear\s+)?(?:{_HUSBAND}|{_WIFE})\b|{_ZH_KIN})\s*[,，!！、]\s*"
    rf"|\s*[,，]\s*(?:(?:{_HUSBAND}|{_WIFE})\b|{_ZH_KIN})(?=\s*[?？!！.。]*\s*$)",
    re.I,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    memories: Sequence[Memory]  #: best first
    is_sure: bool  #: the first is surely meant
    is_likely: bool = False  #: it is nearly so


class Retriever:
    """Searches one elder's memories. Each question finds the index up to date, whoever changed or lost it."""

    def __init__(
        self, memories: Memories, *, index: VectorIndex, reranker: Reranker, tenant: TenantId, elder: ElderId
    ) -> None:
        self._memories = memories.items
        self._language = memories.language
        self._index = index
        self._reranker = reranker
        self._tenant = tenant
        self._elder = elder
        self._words = [
            Bm25([tokens(memory.answer) for memory in self._memories]),
            Bm25([tokens(f"{memory.question} {memory.answer}") for memory in self._memories]),
        ]
        self._views = views(self._memories)
        self._digest = digest(*self._views)

    @property
    def memories(self) -> Sequence[Memory]:
        """All that are searched."""
        return self._memories

    def find(self, question: str, limit: int) -> list[Memory]:
        """What a prompt shows: at most `limit` memories, best first; the best alone where it is surely meant."""
        return list(self.find_read(question, limit).memories)

    def find_read(self, question: str, limit: int) -> Found:
        """As `find`, with how sure it is.

        The best three are read first. Of a long memory it is the part that the question is about. Raises
        EngineUnavailable.
        """
        heard, scores = self._scored(question)
        best = _best_first(scores)[: max(limit, READ)]
        is_sure = is_likely = _stands_out(scores[best])
        read = self._read(heard, [self._memories[number].answer for number in best[:READ]])
        if read:
            scores[best[:READ]] += NAT_WEIGHT * np.array(read)
            best[:READ] = best[:READ][_best_first(scores[best[:READ]])]
            is_sure = bool(scores[best[0]] >= READ_SURE[self._language])
            is_likely = bool(scores[best[0]] >= READ_SURE[self._language] - LIKELY)
        shown = best[: min(limit, 1) if is_sure else limit]
        memories = [self._narrowed(heard, self._memories[number]) for number in shown]
        return Found(memories=memories, is_sure=is_sure, is_likely=is_likely)

    def find_unread(self, question: str, limit: int) -> Found:
        """The cheap half of `find`: by the index alone. Raises EngineUnavailable."""
        heard, scores = self._scored(question)
        best = _best_first(scores)
        is_sure = _stands_out(scores[best])
        shown = [self._narrowed(heard, self._memories[number], is_read=False) for number in best[:limit]]
        return Found(memories=shown, is_sure=is_sure)

    def similarities(self, heard: str) -> Scores:
        """Cosine of the nearest view of each memory."""
        cosines = self._index.similarities(self._tenant, self._elder, heard, digest=self._digest, texts=self._views)
        nearest: Scores = cosines.astype(np.float64).reshape(len(self._memories), -1).max(axis=1)
        return nearest

    def overlaps(self, heard: str) -> Scores:
        """Share of the question's rare words that each memory holds."""
        words = tokens(heard)
        answers, both = (index.shares(words) for index in self._words)
        return np.maximum(answers, both)

    def names(self, heard: str) -> Scores:
        """1 for each memory that names the relative whose name is asked for, 0 for others."""
        kin = name_asked(heard)
        return np.array([kin in told for told in self._names_told]) * 1.0 if kin else np.zeros(len(self._memories))

    @cached_property
    def _names_told(self) -> Sequence[frozenset[str]]:
        return [names_told(memory) for memory in self._memories]

    def _narrowed(self, heard: str, memory: Memory, *, is_read: bool = True) -> Memory:
        """From before the sentence that makes the question likeliest; unread, the one with most of its words."""
        if weight(memory.answer) <= PART:
            return memory
        told = sentences(memory.answer)
        scores = np.array(self._read(heard, told) if is_read else [])
        if not len(scores):
            scores = Bm25([tokens(sentence) for sentence in told]).shares(tokens(heard))
        return excerpt(memory, max(0, int(_best_first(scores)[0]) - 1))

    def _scored(self, question: str) -> tuple[str, Scores]:
        """The question as the elder hears it, and each memory's score."""
        heard = heard_as(question)
        if not self._memories:
            return heard, np.zeros(0)
        said = self.overlaps(heard) + self.names(heard)
        return heard, _standardised(self.similarities(heard)) + WORDS_WEIGHT * said

    def _read(self, heard: str, answers: Sequence[str]) -> list[float]:
        """Nothing where it cannot be read: what was found is better than no answer."""
        try:
            return self._reranker.likelihoods(heard, answers, language=self._language)
        except EngineUnavailable:
            return []


def _best_first(scores: Scores) -> NDArray[np.intp]:
    """Their numbers; of equal ones the first."""
    return np.argsort(-scores, kind="stable")


def _stands_out(scores: Scores) -> bool:
    """`scores`: best first."""
    return len(scores) > 1 and bool(scores[0] >= SURE and scores[0] - scores[1] >= APART)


class Bm25:
    """Share of a question's weight that each document holds, 0-1. An inverted index: a question looks only at the
    documents that hold its words."""

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        lengths = np.array([len(document) for document in documents])
        self._norms = K1 * (1 - B + B * lengths / (lengths.mean() if lengths.any() else 1.0))
        held: dict[str, list[tuple[int, int]]] = defaultdict(list)
        for number, document in enumerate(documents):
            for token, count in Counter(document).items():
                held[token].append((number, count))
        self._held = {token: np.array(pairs) for token, pairs in held.items()}

    def shares(self, question: Sequence[str]) -> Scores:
        scores, whole = np.zeros(len(self._norms)), 0.0
        for token in sorted(set(question)):
            numbers, counts = self._held.get(token, _NOWHERE).T
            weight = math.log(1 + (len(self._norms) - len(numbers) + 0.5) / (len(numbers) + 0.5))
            scores[numbers] += weight * counts * (K1 + 1) / (counts + self._norms[numbers])
            whole += weight
        return scores / (whole or 1.0)


def views(memories: Sequence[Memory]) -> list[str]:
    """What is compared with a question: as many of each memory, in their order."""
    return [
        view for memory in memories for view in (memory.question, memory.answer, f"{memory.question} {memory.answer}")
    ]


def heard_as(question: str) -> str:
    """As the elder hears it: "Grandma, ..." is the elder; "Grandpa", nobody's in particular, is the spouse.

    Who was lost has died, and in Chinese has gone.
    """
    asked = _ADDRESS.sub("", question)
    heard = _SPOUSE.sub(lambda match: "your husband" if match.group(1) else "your wife", asked)
    for gently, plainly in _DEATHS:
        heard = gently.sub(plainly, heard)
    return _ZH_SPOUSE.sub("您老伴", heard)


def _standardised(values: Scores) -> Scores:
    """Cosines are float32: what they differ by in the seventh place is nothing."""
    return (values - float(values.mean())) / max(float(values.std()), 1e-6)
