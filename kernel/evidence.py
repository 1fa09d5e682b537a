"""Evidence: the words of a memory that an answer rests on.

They are exact pieces of the memory, for a page to mark. Two words meet when a search would say so (stemmed English
content words, pairs of Chinese characters); common words between two that meet are marked along with them where the
answer says them too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from kernel.ids import MemoryId
from kernel.language import tokens, weight
from kernel.memory import Memory

_UNIT = re.compile(r"[A-Za-z0-9À-ɏ]+(?:['’][A-Za-z]+)?|[\u3400-\u4dbf\u4e00-\u9fff]")
_BRIDGE = 3  #: common words, or characters, between two that meet
_QUOTE = 30  #: a piece of this weight is a quotation: about six English words, ten Chinese characters
_FEWEST = 3  #: words that meet; fewer say nothing


@dataclass(frozen=True, kw_only=True, slots=True)
class Evidence:
    memory_id: MemoryId
    words: tuple[str, ...]  #: pieces of the memory's text, in their order


def evidence_of(answer: str, memories: Sequence[Memory]) -> list[Evidence]:
    """Of each memory that shares words with the answer; an admission of not remembering shares none."""
    found = (Evidence(memory_id=memory.id, words=shared_words(memory.text, answer)) for memory in memories)
    return [one for one in found if one.words]


def shared_words(text: str, answer: str) -> tuple[str, ...]:
    """Pieces of `text`, each once."""
    said, spoken = frozenset(tokens(answer)), frozenset(unit.casefold() for unit in _UNIT.findall(answer))
    units = list(_UNIT.finditer(text))
    met = _met([unit.group() for unit in units], said)
    pieces = [
        text[units[first].start() : units[last].end()]
        for first, last in _runs([unit.group().casefold() for unit in units], met, spoken)
    ]
    return tuple(dict.fromkeys(pieces))


def quotation_of(memories: Sequence[Memory]) -> Callable[[str], bool]:
    """Whether what is said repeats a piece of one of the memories, or half of what one says."""
    held = [(memory.text, frozenset(tokens(memory.text))) for memory in memories]

    def is_quotation(said: str) -> bool:
        spoken = frozenset(tokens(said))
        for text, told in held:
            shared = len(told & spoken)
            if shared >= max(_FEWEST, len(told) / 2):
                return True
            if shared >= _FEWEST and any(weight(piece) >= _QUOTE for piece in shared_words(text, said)):
                return True
        return False

    return is_quotation


def _met(units: Sequence[str], said: frozenset[str]) -> set[int]:
    """Numbers of the units that the answer says: an English word alone, Chinese characters in pairs."""
    met: set[int] = set()
    for number, unit in enumerate(units):
        if unit[0] < "\u3400":
            if said.intersection(tokens(unit)):
                met.add(number)
        elif number + 1 < len(units) and units[number + 1][0] >= "\u3400":
            pairs = [token for token in tokens(unit + units[number + 1]) if len(token) > 1]
            if said.intersection(pairs):
                met |= {number, number + 1}
    return met


def _runs(units: Sequence[str], met: set[int], spoken: frozenset[str]) -> Iterator[tuple[int, int]]:
    """(first, last) of each piece."""
    piece: list[int] = []
    for number in sorted(met):
        between = units[piece[-1] + 1 : number] if piece else ()
        if piece and (len(between) > _BRIDGE or not spoken.issuperset(between)):
            yield piece[0], piece[-1]
            piece = []
        piece.append(number)
    if piece:
        yield piece[0], piece[-1]
