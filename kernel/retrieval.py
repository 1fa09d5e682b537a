"""Retrieval: the memories that a question is about, best first.

Two sides are weighed, not ranks: how near the vectors are (in standard deviations over this elder's
memories, because e5's cosines are squeezed together), and which share of the question's rare words a
memory holds (BM25 over its own maximum: a question of common words says little, and so counts little).
A grandchild asks an elder about "Grandpa" and means the elder's husband: so the question is searched for.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.errors import EngineUnavailable
from kernel.ids import ElderId, TenantId, digest
from kernel.language import tokens
from kernel.memory import Memories, Memory, memories_digest, parts

if TYPE_CHECKING:
    from kernel.ports import Reranker, VectorIndex

#: Of a full word match against one standard deviation of similarity. Top-3 recall is the same from 1 to 5.
WORDS_WEIGHT = 3.0
#: The best three are read, and a nat of likelihood counts so much in the same unit.
READ, NAT_WEIGHT = 3, 0.25
#: The score, after reading, from which the best is surely meant; English is read by two models. See DECISIONS.md.
READ_SURE = {"en": 7.0, "zh": 5.0}
#: Unread, a best memory is surely meant that scores so high, and so far above the next.
SURE, APART = 4.0, 1.5
#: Nearest views asked of the index, three a memory: all of a thousand memories, as a mean over the nearest alone is
#: too high. Chroma gives 3,000 in 26 ms, 300 in 10 ms (384 numbers each, beside a busy machine).
MOST_VIEWS = 3_000
#: BM25 (Robertson & Zaragoza 2009): saturation k1, and a weak length normalisation, as memories are short.
K1, B = 1.2, 0.4

_HUSBAND = "grandpa|grandad|granddad|gramps|grandfather|dad|daddy|papa"
_WIFE = "grandma|granny|gran|nana|nan|grandmother|mum|mummy|mom|mommy|mama"
_SPOUSE = re.compile(rf"(?<!our )(?<!his )(?<!her )(?<!my )(?<!the )\b(?:({_HUSBAND})|{_WIFE})\b", re.I)
_ZH_KIN = "爷爷|外公|姥爷|奶奶|外婆|姥姥|爸爸|妈妈|爸|妈"
_ZH_SPOUSE = re.compile(f"(?<![您你他她的老])(?:{_ZH_KIN})")
_ADDRESS = re.compile(
    rf"^\s*(?:(?:dear\s+)?(?:{_HUSBAND}|{_WIFE})\b|{_ZH_KIN})\s*[,，!！、]\s*"
    rf"|\s*[,，]\s*(?:(?:{_HUSBAND}|{_WIFE})\b|{_ZH_KIN})(?=\s*[?？!！.。]*\s*$)",
    re.I,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    memories: Sequence[Memory]  #: best first
    is_sure: bool  #: the first is surely meant


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
        self._digest = digest(memories_digest(memories), "views/1")
        self._words = [
            Bm25([tokens(memory.answer) for memory in self._memories]),
            Bm25([tokens(f"{memory.question} {memory.answer}") for memory in self._memories]),
        ]
        self._views = {view: text for memory in self._memories for view, text in _views(memory).items()}

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
        best = _best_first(range(len(scores)), scores)[: max(limit, READ)]
        is_sure = _stands_out([scores[number] for number in best])
        read = self._read(heard, [self._memories[number].answer for number in best[:READ]])
        for number, likelihood in zip(best, read, strict=False):
            scores[number] += NAT_WEIGHT * likelihood
        if read:
            best = _best_first(best[:READ], scores) + best[READ:]
            is_sure = scores[best[0]] >= READ_SURE[self._language]
        shown = best[: min(limit, 1) if is_sure else limit]
        memories = [self._narrowed(heard, self._memories[number]) for number in shown]
        return Found(memories=memories, is_sure=is_sure)

    def find_unread(self, question: str, limit: int) -> Found:
        """The cheap half of `find`: by the index alone. Raises EngineUnavailable."""
        heard, scores = self._scored(question)
        best = _best_first(range(len(scores)), scores)
        is_sure = _stands_out([scores[number] for number in best])
        shown = [self._narrowed(heard, self._memories[number], is_read=False) for number in best[:limit]]
        return Found(memories=shown, is_sure=is_sure)

    def _narrowed(self, heard: str, memory: Memory, *, is_read: bool = True) -> Memory:
        """The part that makes the question likeliest; unread, the one with most of its words."""
        told = parts(memory)
        if len(told) == 1:
            return memory
        scores = self._read(heard, [part.answer for part in told]) if is_read else []
        scores = scores or Bm25([tokens(part.answer) for part in told]).shares(tokens(heard))
        return told[_best_first(range(len(told)), scores)[0]]

    def _scored(self, question: str) -> tuple[str, list[float]]:
        """The question as the elder hears it, and each memory's score."""
        heard = heard_as(question)
        if not self._memories:
            return heard, []
        sides = zip(_standardised(self._similarities(heard)), self._overlaps(heard), strict=True)
        return heard, [similarity + WORDS_WEIGHT * overlap for similarity, overlap in sides]

    def _read(self, heard: str, answers: Sequence[str]) -> list[float]:
        """Nothing where it cannot be read: what was found is better than no answer."""
        try:
            return self._reranker.likelihoods(heard, answers, language=self._language)
        except EngineUnavailable:
            return []

    def _similarities(self, heard: str) -> list[float]:
        """Cosine of the nearest view of each memory."""
        self._index.sync(self._tenant, self._elder, digest=self._digest, texts=self._views)
        found: dict[str, float] = {}
        for view, cosine in self._index.nearest(
            self._tenant, self._elder, heard, limit=min(MOST_VIEWS, 3 * len(self._memories))
        ):
            memory = view.partition("/")[0]
            found[memory] = max(cosine, found.get(memory, -1.0))
        lowest = min(found.values(), default=0.0)
        return [found.get(memory.id, lowest) for memory in self._memories]

    def _overlaps(self, heard: str) -> list[float]:
        words = tokens(heard)
        return [max(column) for column in zip(*(index.shares(words) for index in self._words), strict=True)]


def _best_first(numbers: Iterable[int], scores: Sequence[float]) -> list[int]:
    return sorted(numbers, key=lambda number: -scores[number])


def _stands_out(scores: Sequence[float]) -> bool:
    """`scores`: best first."""
    return len(scores) > 1 and scores[0] >= SURE and scores[0] - scores[1] >= APART


class Bm25:
    """Share of a question's weight that each document holds, 0-1."""

    def __init__(self, documents: Sequence[Sequence[str]]) -> None:
        self._counts = [Counter(document) for document in documents]
        lengths = [len(document) for document in documents]
        average = sum(lengths) / max(1, len(lengths)) or 1.0
        self._norms = [K1 * (1 - B + B * length / average) for length in lengths]
        seen = Counter(token for counts in self._counts for token in counts)
        total = len(documents)
        self._weights = {token: math.log(1 + (total - n + 0.5) / (n + 0.5)) for token, n in seen.items()}
        self._rarest = math.log(1 + (total + 0.5) / 0.5)  # of a token that no document holds

    def shares(self, question: Sequence[str]) -> list[float]:
        wanted = sorted(set(question))
        whole = sum(self._weights.get(token, self._rarest) for token in wanted) or 1.0
        return [
            sum(
                self._weights[token] * counts[token] * (K1 + 1) / (counts[token] + norm)
                for token in wanted
                if token in counts
            )
            / whole
            for counts, norm in zip(self._counts, self._norms, strict=True)
        ]


def _views(memory: Memory) -> dict[str, str]:
    return {
        f"{memory.id}/question": memory.question,
        f"{memory.id}/answer": memory.answer,
        f"{memory.id}/both": f"{memory.question} {memory.answer}",
    }


def heard_as(question: str) -> str:
    """As the elder hears it: "Grandma, ..." is the elder; "Grandpa", nobody's in particular, is the spouse."""
    asked = _ADDRESS.sub("", question)
    heard = _SPOUSE.sub(lambda match: "your husband" if match.group(1) else "your wife", asked)
    return _ZH_SPOUSE.sub("您老伴", heard)


def _standardised(values: Sequence[float]) -> list[float]:
    mean = sum(values) / len(values)
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / len(values))
    return [(value - mean) / (deviation or 1.0) for value in values]
