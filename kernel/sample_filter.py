"""The quality filter: what is at fault is not taught, and is counted.

A memory's own words are right as they stand; only what was composed around them is checked for names, language and
person. A question that differs from another in its capitals alone is no copy: families type so.
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from kernel.grounding import unsupported
from kernel.language import detect_language, weight
from kernel.memory import PART
from kernel.sample import Dropped, Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel.held_out import HeldOut
    from kernel.memory import Memories
    from kernel.ports import EntityFinder
    from kernel.sample import Sample

LONGEST = 2 * PART  #: one answer of a small model, and a sentence before it
MOST_EXAMPLES = 3  #: of a fault

_ASSISTANT = re.compile(
    r"\bas an? (?:ai|artificial intelligence|(?:large )?language model|virtual assistant)\b"
    r"|\bI(?:['’]m| am) (?:just |only )?an? (?:ai|(?:large )?language model|virtual assistant|chatbot)\b"
    r"|作为(?:一个|一名|一款)?(?:ai|人工智能|(?:大型)?语言模型|虚拟助手|智能助手)"
    r"|我(?:只)?是(?:一个|一名|一款)?(?:ai|人工智能|(?:大型)?语言模型|虚拟助手|智能助手)",
    re.I,
)
_FIRST_PERSON = re.compile(r"\b(?:I|me|my|mine|myself|we|us|our|ours)\b|[我咱俺]", re.I)
_ABOUT_THE_ELDER = re.compile(
    r"^\W*(?:you (?:are|were|had|have|told)|(?:the|this) (?:elder|old (?:man|woman|person|lady)))\b"
    r"|^\W*(?:[你您](?:是|在|有|曾)|(?:这位|那位)?老(?:人|奶奶|爷爷)[是在曾家])",
    re.I,
)


class SampleFilter:
    """`passes` sample after sample, in the order in which they are kept; `dropped` says what did not pass."""

    def __init__(self, memories: Memories, *, held_out: HeldOut, finder: EntityFinder) -> None:
        self._name, self._language = memories.elder_name, memories.language
        self._names = _names(memories.elder_name, memories.language)
        self._held_out, self._finder = held_out, finder
        self._texts: defaultdict[str, str] = defaultdict(str)
        for memory in memories.items:
            self._texts[memory.id] += f"{memory.question}\n{memory.answer}\n"
        self._told = {id: _unspaced(text) for id, text in self._texts.items()}
        self._seen: set[tuple[str, ...]] = set()
        self._naming: dict[str, bool] = {}
        self._faulty: defaultdict[Fault, list[Sample]] = defaultdict(list)

    @property
    def dropped(self) -> tuple[Dropped, ...]:
        return tuple(
            Dropped(fault=fault, count=len(samples), examples=tuple(samples[:MOST_EXAMPLES]))
            for fault, samples in sorted(self._faulty.items())
        )

    def passes(self, sample: Sample, asked: Sequence[str]) -> bool:
        """`asked`: all that the family says in it."""
        fault = self._fault(sample, asked)
        if fault is not None:
            self._faulty[fault].append(sample)
        return fault is None

    def _fault(self, sample: Sample, asked: Sequence[str]) -> Fault | None:
        if any(self._held_out.holds(question) for question in asked):
            return Fault.HELD_OUT
        if not sample.completion.strip() or weight(sample.completion) > LONGEST:
            return Fault.LENGTH
        if _ASSISTANT.search(sample.completion):
            return Fault.ASSISTANT
        told = _unspaced(sample.completion)
        if not any(told in self._told.get(id, "") for id in sample.memory_ids) and (
            fault := self._fault_of_composed(sample, asked)
        ):
            return fault
        copy = (*(_bare(turn.content) for turn in sample.prompt), sample.completion)
        if copy in self._seen:
            return Fault.COPY
        self._seen.add(copy)
        return None

    def _fault_of_composed(self, sample: Sample, asked: Sequence[str]) -> Fault | None:
        text = sample.completion
        source = "\n".join([self._name, *asked, *(self._texts[id] for id in sample.memory_ids)])
        if self._names_something(text) and self._unsupported(text, source):
            return Fault.UNGROUNDED
        if detect_language(text, self._language) != self._language:
            return Fault.LANGUAGE
        return Fault.PERSON if self._is_about_the_elder(text) else None

    def _names_something(self, text: str) -> bool:
        """Most admissions and greetings do not: their questions need not be read."""
        if text not in self._naming:
            self._naming[text] = bool(self._unsupported(text, ""))
        return self._naming[text]

    def _unsupported(self, text: str, source: str) -> list[str]:
        return unsupported(text, source, language=self._language, finder=self._finder)

    def _is_about_the_elder(self, text: str) -> bool:
        if _ABOUT_THE_ELDER.search(text):
            return True
        return bool(self._names and self._names.search(text)) and not _FIRST_PERSON.search(text)


def _names(name: str, language: str) -> re.Pattern[str] | None:
    """The elder's name; of an English one the first name, too."""
    if not name.strip():
        return None
    if language == "zh":
        return re.compile(re.escape(name))
    return re.compile(rf"\b(?:{re.escape(name)}|{re.escape(name.split()[0])})\b")


def _unspaced(text: str) -> str:
    """Two sentences are parted by a blank or a line's end, as it comes."""
    return "".join(text.split())


def _bare(text: str) -> str:
    """Without marks and blanks."""
    return re.sub(r"\W+", "", text)
