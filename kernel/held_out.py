"""Held-out questions: what the family measures with is split off before anything is generated.

Neither such a question nor a near copy of it is taught: a memory whose own question it is loses that question, a
teacher's is forgotten, and what the phrasing happens to make of one is dropped (kernel/sample_filter.py).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from kernel.language import tokens
from kernel.retrieval import heard_as

if TYPE_CHECKING:
    from kernel.evaluation import Probe
    from kernel.memory import Memories
    from kernel.question import Questions

NEAR = 0.75  #: of all telling words of both, those that they share
_ASKING = re.compile(
    r"\b(?:who|whose|when|where|why|how many|how much|how)\b"
    r"|什么时候|什么地方|为什么|哪里|哪儿|哪年|几时|多少|怎么|谁",
    re.I,
)


#: What may stand around a question and asks nothing.
_AROUND = re.compile(
    r"\b(?:please|can you tell me|could you tell me|tell me|i(?: would|['’]d) like to know|i want(?:ed)? to know"
    r"|do you (?:still )?remember)\b"
    r"|我?(?:想|很想)(?:知道|听听|问问)|请问|能不能告诉我|能告诉我|告诉我|给我讲讲|跟我讲讲|讲讲|说说看|一直没问过[您你]"
    r"|[您你]?还?记得|来着",
    re.I,
)


class HeldOut:
    def __init__(self, probes: Sequence[Probe]) -> None:
        self._letters = {_letters(probe.question) for probe in probes}
        self._told = [words for probe in probes if (words := _words(probe.question))]

    def holds(self, question: str) -> bool:
        """Whether it is one of them, or a near copy: the same but for a word in four."""
        if _letters(question) in self._letters:
            return True
        asked = _words(question)
        return any(len(asked & words) >= NEAR * len(asked | words) for words in self._told) if asked else False

    def without(self, memories: Memories, asked: Sequence[Questions]) -> tuple[Memories, list[Questions]]:
        """What may be generated from: the memories keep their answers."""
        items = tuple(replace(one, question="") if self.holds(one.question) else one for one in memories.items)
        kept = [
            replace(
                one,
                answered=self._allowed(one.answered),
                unanswered=self._allowed(one.unanswered),
                needs=self._allowed(one.needs),
            )
            for one in asked
        ]
        return replace(memories, items=items), kept

    def _allowed(self, questions: Sequence[str]) -> tuple[str, ...]:
        return tuple(one for one in questions if not self.holds(one))


def _letters(text: str) -> str:
    return "".join(one for one in unicodedata.normalize("NFKC", text).casefold() if one.isalnum())


def _words(question: str) -> frozenset[str]:
    """Telling words, and what is asked for: "Who" and "When did you marry?" are two questions."""
    heard = _AROUND.sub(" ", heard_as(question))
    asking = (match.casefold() for match in _ASKING.findall(heard))
    return frozenset(tokens(heard)) | frozenset(f"?{word}" for word in asking)
