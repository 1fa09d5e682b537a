"""The extraction: entities and relationships of all notes, gathered under upper-cased titles.

From a teacher's reading where there is one. Otherwise mentions from the offline finder, related when they stand in one
sentence, or, names only, in one memory.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Any

from adapters.program import Say
from kernel.entity_extraction import STRONGEST
from kernel.graph import EntityType
from kernel.language import detect_language, sentences

if TYPE_CHECKING:
    from kernel.ports import EntityFinder

LONGEST_DESCRIPTION = 300  #: characters
IN_A_SENTENCE, IN_A_MEMORY = 2.0, 1.0  #: weight of a relationship; a teacher's strongest weighs as one in a sentence
EXTRACTED = 0.7  #: share of the program's work that is done when the notes are read
_RELATIVES = frozenset(
    "MOTHER FATHER GRANDMOTHER GRANDFATHER BROTHER SISTER HUSBAND WIFE SON DAUGHTER AUNT UNCLE COUSIN".split()
)
# A plain noun may be more than a thing. Not in the finder: by its organisations grounding knows what is a name.
_ORGANISATION = re.compile(
    r"\b(?:SCHOOL|COLLEGE|UNIVERSITY|CHOIR|NAVY|ARMY|AIR FORCE|HOSPITAL|BAKERY|FACTORY|MILL|UNION|CLUB|COMPANY|RAILWAY"
    r"|LIBRARY|BANK|COUNCIL|REGIMENT|SOCIETY|INSTITUTE|ORPHANAGE)$"
    "|(?:工?厂|公司|商店|供销社|合作社|公社|生产队|宣传队|腰鼓队|部队|工会|小学|中学|大学|学校|医院|剧团|戏班子?|报社|银行|邮局)$"
)
_EVENT = re.compile(
    r"\b(?:WEDDING|FUNERAL|CHRISTENING|FLOOD|FIRE|STRIKE|SHOW|FAIR|SNOWSTORM|STORM|DANCE|CEREMONY|PARTY|REUNION|EARTHQUAKE"
    r"|BIRTHDAY|HONEYMOON|FESTIVAL|RAID|FAMINE|HARVEST)$"
    "|(?:婚礼|葬礼|喜事|丧事|地震|饥荒|洪水|大水|火灾|台风|庙会|运动会|比赛|战争|生日)$"
)


@dataclass(kw_only=True)
class Node:
    """An entity while it is gathered."""

    types: Counter[str] = field(default_factory=Counter)  #: what its mentions said
    description: str = ""
    memory_ids: set[str] = field(default_factory=set)

    @property
    def type(self) -> str:
        """What most mentions said; of equals, the first in the alphabet."""
        return min(self.types, key=lambda kind: (-self.types[kind], kind))


@dataclass(kw_only=True)
class Edge:
    weight: float = 0.0
    description: str = ""
    memory_ids: set[str] = field(default_factory=set)


@dataclass(kw_only=True)
class Extraction:
    nodes: dict[str, Node] = field(default_factory=lambda: defaultdict(Node))
    edges: dict[tuple[str, str], Edge] = field(default_factory=lambda: defaultdict(Edge))
    failed: list[str] = field(default_factory=list)

    def name(self, title: str, kind: str, memory: str, description: str) -> None:
        node = self.nodes[title]
        node.types[kind] += 1
        node.memory_ids.add(memory)
        node.description = node.description or description[:LONGEST_DESCRIPTION]

    def relate(self, pairs: Iterable[tuple[str, str]], memory: str, description: str, weight: float) -> None:
        for one, other in pairs:
            edge = self.edges[min(one, other), max(one, other)]
            edge.weight += weight
            edge.memory_ids.add(memory)
            edge.description = edge.description or description[:LONGEST_DESCRIPTION]


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A sentence and the (title, type) of each thing that it names; or one thing and what a teacher says of it."""

    memory: str
    text: str
    named: list[tuple[str, str]]


Tie = tuple[str, str, str, str, float]  #: memory, source, target, description, weight


def extract(notes: Sequence[Mapping[str, Any]], language: str, finder: EntityFinder, say: Say) -> Extraction:
    """`notes`: {memory_id, text, reading: of a teacher, with entities and ties, or None}.

    A note that the finder cannot read is noted, and passed over.
    """
    passages: list[Passage] = []
    ties: list[Tie] = []
    found: set[str] = set()  #: memories that the finder read
    failed = []
    for number, note in enumerate(notes, 1):
        reading = note.get("reading") or {}
        if reading.get("entities"):
            passages += _told(note["memory_id"], reading)
            ties += _tied(note["memory_id"], reading)
        else:
            try:
                passages += list(_mentioned(note, language, finder))
                found.add(note["memory_id"])
            except Exception:
                failed.append(note["memory_id"])
        say(EXTRACTED * number / len(notes), notes=number)
    return _gather(passages, ties, found, failed)


def _told(memory: str, reading: Mapping[str, Any]) -> Iterator[Passage]:
    for one in reading["entities"]:
        yield Passage(memory=memory, text=one["description"], named=[(_key(one["title"]), one["type"])])


def _tied(memory: str, reading: Mapping[str, Any]) -> Iterator[Tie]:
    for tie in reading["ties"]:
        weight = IN_A_SENTENCE * tie["strength"] / STRONGEST
        yield memory, _key(tie["source"]), _key(tie["target"]), tie["description"], weight


def _mentioned(note: Mapping[str, Any], language: str, finder: EntityFinder) -> Iterator[Passage]:
    spoken = detect_language(note["text"], language)
    for sentence in sentences(note["text"]):
        mentions = finder.find(sentence, spoken)
        named = [_typed(_key(mention.title), mention.type) for mention in mentions]
        yield Passage(memory=note["memory_id"], text=sentence, named=named)


def _typed(title: str, kind: EntityType) -> tuple[str, str]:
    """ "CHAPEL CHOIR" is no thing."""
    if kind is EntityType.OBJECT and _ORGANISATION.search(title):
        kind = EntityType.ORGANISATION
    elif kind is EntityType.OBJECT and _EVENT.search(title):
        kind = EntityType.EVENT
    return title, kind.value


def _key(title: str) -> str:
    return " ".join(title.upper().split())


def _gather(passages: Sequence[Passage], ties: Sequence[Tie], found: set[str], failed: list[str]) -> Extraction:
    same = _aliases(one for passage in passages for one in passage.named)
    extraction = Extraction(failed=failed)
    proper: dict[str, set[str]] = defaultdict(set)
    for passage in passages:
        titles = {same.get(title, title) for title, _ in passage.named}
        for title, kind in passage.named:
            extraction.name(same.get(title, title), kind, passage.memory, passage.text)
            if kind != EntityType.OBJECT and passage.memory in found:
                proper[passage.memory].add(same.get(title, title))
        extraction.relate(combinations(sorted(titles), 2), passage.memory, passage.text, IN_A_SENTENCE)
    for memory, titles in proper.items():
        extraction.relate(combinations(sorted(titles), 2), memory, "", IN_A_MEMORY)
    for memory, source, target, description, weight in ties:
        pair = same.get(source, source), same.get(target, target)
        if pair[0] != pair[1]:
            extraction.relate([pair], memory, description, weight)
    return extraction


def _aliases(named: Iterable[tuple[str, str]]) -> dict[str, str]:
    """A first name alone is the one person who is also named in full: ARTHUR is ARTHUR WHITCOMBE.

    A relative is not: one grandmother may be AGNES, and the other have no name.
    """
    people = {title for title, kind in named if kind == EntityType.PERSON}
    full: dict[str, set[str]] = defaultdict(set)
    for person in people:
        first, _, rest = person.partition(" ")
        if rest and first not in _RELATIVES:
            full[first].add(person)
    return {first: next(iter(names)) for first, names in full.items() if first in people and len(names) == 1}
