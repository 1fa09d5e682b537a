"""Topics and shades (L1): what the life is about, and the traits that show in it, each with its evidence.

Topics are clusters of the notes' vectors: spherical k-means (Dhillon & Modha 2001) around the mean of all,
because e5's vectors all point much the same way. No chance is in it: the same notes give the same topics.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from typing import TYPE_CHECKING

from kernel.ids import MemoryId
from kernel.theme import VALUES

if TYPE_CHECKING:
    from kernel.note import Note, Notes
    from kernel.ports import Embedder, Teacher

NOTES_A_TOPIC = 5
MOST_TOPICS = 10
MOST_SHADES = 8
LEAST_EVIDENCE = 2  #: memories in which a trait shows
ROUNDS = 20
STARTS = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Topic:
    name: str
    keywords: tuple[str, ...]
    memory_ids: tuple[MemoryId, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Shade:
    name: str
    memory_ids: tuple[MemoryId, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Topics:
    items: tuple[Topic, ...]
    shades: tuple[Shade, ...]

    def told_in(self, memories: frozenset[MemoryId]) -> Topics:
        """What rests on these memories alone: a topic is named after all of its own."""
        return Topics(
            items=tuple(one for one in self.items if memories.issuperset(one.memory_ids)),
            shades=tuple(one for one in self.shades if memories.issuperset(one.memory_ids)),
        )


def find_topics(notes: Notes, *, teacher: Teacher, embedder: Embedder) -> Topics:
    """Every note is in one topic, the largest topic first, the notes nearest to its name first."""
    if not notes.items:
        return Topics(items=(), shades=())
    vectors = embedder.embed([f"{note.title}\n{note.text}" for note in notes.items], is_query=False)
    named: dict[str, list[int]] = {}
    for members in cluster(vectors, most_topics(len(vectors))):
        name = teacher.name_topic([notes.items[number] for number in members], notes.language)
        named.setdefault(name, []).extend(members)
    asked = dict(zip(named, embedder.embed(list(named), is_query=True), strict=True))
    topics = []
    for name, members in named.items():
        nearness = {number: _dot(asked[name], vectors[number]) for number in members}
        best_first = sorted(members, key=nearness.__getitem__, reverse=True)
        topics.append(_topic(name, [notes.items[number] for number in best_first]))
    return Topics(
        items=tuple(sorted(topics, key=lambda topic: (-len(topic.memory_ids), topic.name))),
        shades=find_shades(notes),
    )


def most_topics(notes: int) -> int:
    """How many topics so many notes are put into, at most."""
    return max(1, min(MOST_TOPICS, round(notes / NOTES_A_TOPIC)))


def find_shades(notes: Notes) -> tuple[Shade, ...]:
    """Values that several notes' words speak of, the most often shown first."""
    shades = [
        Shade(
            name=value.name(notes.language),
            memory_ids=tuple(note.memory_id for note in notes.items if value.is_in(note.text, notes.language)),
        )
        for value in VALUES
    ]
    shown = [shade for shade in shades if len(shade.memory_ids) >= LEAST_EVIDENCE]
    return tuple(sorted(shown, key=lambda shade: -len(shade.memory_ids))[:MOST_SHADES])


def cluster(vectors: Sequence[Sequence[float]], groups: int) -> list[list[int]]:
    """Numbers of the vectors, in at most `groups` groups; the tightest of a few fixed starts."""
    centred = [_unit(vector) for vector in _centred(vectors)]
    starts = range(0, len(centred), max(1, len(centred) // STARTS))
    tries = [_k_means(centred, _spread(centred, start, groups)) for start in starts]
    _, best = max(tries, key=lambda one: one[0])
    members: dict[int, list[int]] = {}
    for number, group in enumerate(best):
        members.setdefault(group, []).append(number)
    return list(members.values())


def _topic(name: str, group: Sequence[Note]) -> Topic:
    counted = Counter(keyword for note in group for keyword in note.keywords)
    return Topic(
        name=name,
        keywords=tuple(keyword for keyword, _ in counted.most_common(8)),
        memory_ids=tuple(note.memory_id for note in group),
    )


def _centred(vectors: Sequence[Sequence[float]]) -> list[list[float]]:
    mean = [sum(column) / len(vectors) for column in zip(*vectors, strict=True)]
    return [[value - middle for value, middle in zip(vector, mean, strict=True)] for vector in vectors]


def _unit(vector: Sequence[float]) -> list[float]:
    length = _dot(vector, vector) ** 0.5 or 1.0
    return [value / length for value in vector]


def _spread(vectors: Sequence[list[float]], start: int, groups: int) -> list[list[float]]:
    """Centres far from each other: the next is the vector that its nearest centre is farthest from."""
    chosen = [vectors[start]]
    nearest = [_dot(vector, chosen[0]) for vector in vectors]
    while len(chosen) < groups:
        farthest = min(range(len(vectors)), key=nearest.__getitem__)
        chosen.append(vectors[farthest])
        nearest = [max(old, _dot(vector, chosen[-1])) for old, vector in zip(nearest, vectors, strict=True)]
    return chosen


def _k_means(vectors: Sequence[list[float]], centres: list[list[float]]) -> tuple[float, list[int]]:
    """(sum of the vectors' cosines to their centres, group of each vector)."""
    groups: list[int] = []
    tightness = 0.0
    for _ in range(ROUNDS):
        cosines = [[_dot(vector, centre) for centre in centres] for vector in vectors]
        moved = [row.index(max(row)) for row in cosines]
        tightness = sum(map(max, cosines))
        if moved == groups:
            break
        groups = moved
        centres = [_middle(vectors, groups, number) or centre for number, centre in enumerate(centres)]
    return tightness, groups


def _middle(vectors: Sequence[list[float]], groups: Sequence[int], wanted: int) -> list[float]:
    members = [vector for vector, group in zip(vectors, groups, strict=True) if group == wanted]
    return _unit([sum(column) for column in zip(*members, strict=True)]) if members else []


def _dot(one: Sequence[float], other: Sequence[float]) -> float:
    return float(sum(map(mul, one, other)))
