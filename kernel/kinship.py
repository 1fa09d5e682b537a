"""Kinship: who is whose mother, husband, brother ... as the memories say it, in English and Chinese.

Only what is said: a name stands beside a word for a relative, and whose relative it is, is said too. A relative without
a name is told without one; only a mother and a father, of whom there is one each, are joined with the name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.chinese_kin import chinese_kin
from kernel.english_kin import english_kin
from kernel.ids import MemoryId
from kernel.kin import KINDS
from kernel.language import detect_language, sentences

if TYPE_CHECKING:
    from kernel.graph import EntityGraph
    from kernel.note import Notes

_ONLY = ("mother", "father")  #: everybody has one


@dataclass(frozen=True, kw_only=True, slots=True)
class Relative:
    """`whose` "" is the elder; otherwise a name, or the elder's own relative as they are called: "mother", "娘"."""

    whose: str
    kin: str  #: one of kernel.kin.KINDS
    called: str  #: the word that was used first: "Mum", "外婆"
    name: str  #: "" where none is told
    memory_ids: tuple[MemoryId, ...]


def kinship(notes: Notes, graph: EntityGraph) -> tuple[Relative, ...]:
    """The elder's own first, then each other person's; the nearest first, in the order of `KINDS`."""
    people = tuple(entity.title for entity in graph.entities if entity.type == "person")
    found: dict[tuple[str, str, str], tuple[str, list[MemoryId]]] = {}
    for note in notes.items:
        is_chinese = detect_language(note.text, notes.language) == "zh"
        for sentence in sentences(note.text):
            for said in chinese_kin(sentence, people) if is_chinese else english_kin(sentence):
                _, memories = found.setdefault((said.whose, said.kin, said.name), (said.called, []))
                if note.memory_id not in memories:
                    memories.append(note.memory_id)
    _join_the_only_ones(found)
    relatives = [
        Relative(whose=whose, kin=kin, called=called, name=name, memory_ids=tuple(memories))
        for (whose, kin, name), (called, memories) in found.items()
    ]
    return tuple(sorted(relatives, key=lambda one: (one.whose, KINDS.index(one.kin), not one.name)))


def _join_the_only_ones(found: dict[tuple[str, str, str], tuple[str, list[MemoryId]]]) -> None:
    """ "Father" and "my father, Edwin" are one, where no other is named."""
    for whose, kin, name in [key for key in found if key[1] in _ONLY and not key[2]]:
        named = [key for key in found if key[:2] == (whose, kin) and key[2]]
        if len(named) == 1:
            _, others = found.pop((whose, kin, name))
            memories = found[named[0]][1]
            memories += [memory for memory in others if memory not in memories]
