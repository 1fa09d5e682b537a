"""How well the left brain extracts, against its teacher, on memories of which neither was taught a word.

Valid: share of the replies that are JSON of the schema. Exact: share of the fields, texts and lists, that are as wanted
(lists in any order). F1: of all items of the lists, by their words whatever their case. Small talk: share of it whose
reply is the empty one. Wanted is what a person reviewed; with none reviewed, the teacher's own, and then the teacher
has no column. The left brain replies as it is, and held to the schema by a grammar, as it is used.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel.extraction import LISTS, MAX_TOKENS, SCHEMA, TEXTS, Extract, extraction_prompt, parse_extract
from kernel.ids import MemoryId, digest

if TYPE_CHECKING:
    from kernel.adapter import Gguf
    from kernel.extraction import HeldOut, HeldOuts
    from kernel.job import Fact
    from kernel.ports import Report, Trainer
    from kernel.recipe import Recipe

USED = "grammar"  #: the arm of the left brain as it is used


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractionScore:
    arm: str  #: "teacher", "free" (the left brain without a grammar) or "grammar"
    valid: float
    exact: float
    f1: float
    small_talk: float | None  #: None: the teacher was told none
    fields: dict[str, float]  #: by field: share exact of a text, F1 of a list


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractionResult:
    """One reply, for who wants to read them."""

    arm: str
    memory_id: MemoryId | None  #: None: small talk
    reply: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ExtractionReport:
    memories: int
    small_talk: int
    is_reviewed: bool  #: by a person: False means that the left brain was compared with its teacher alone
    scores: tuple[ExtractionScore, ...]
    results: tuple[ExtractionResult, ...]
    asked: str  #: a digest: only the same memories with the same wanted replies can be compared

    def score(self, arm: str) -> ExtractionScore | None:
        return next((one for one in self.scores if one.arm == arm), None)


def evaluate_extraction(
    held_out: HeldOuts, *, left_brain: Gguf, recipe: Recipe, trainer: Trainer, report: Report
) -> ExtractionReport:
    """As the left brain is used: in process, whole or as an adapter on its base."""
    reviewed = [one for one in held_out.memories if one.is_reviewed]
    asked = reviewed or list(held_out.memories)
    talk = held_out.small_talk
    prompts = [*(extraction_prompt(one.instruction, one.input) for one in asked), *(one.prompt for one in talk)]
    recipe = replace(recipe, max_new_tokens=MAX_TOKENS)
    weights, adapter = left_brain.on(recipe.base.gguf_path)
    scores: list[ExtractionScore] = []
    results: list[ExtractionResult] = []
    if reviewed:
        scores.append(_score("teacher", reviewed, [one.said for one in reviewed], None))
    for number, (arm, schema) in enumerate((("free", None), (USED, SCHEMA.as_json()))):
        replies = trainer.answer(
            weights, prompts, recipe=recipe, report=_half(report, number), adapter=adapter, schema=schema
        )
        read = [parse_extract(reply) for reply in replies]
        scores.append(_score(arm, asked, read[: len(asked)], read[len(asked) :]))
        ids = [*(one.memory_id for one in asked), *(None for _ in talk)]
        results += [
            ExtractionResult(arm=arm, memory_id=memory, reply=reply) for memory, reply in zip(ids, replies, strict=True)
        ]
    used = scores[-1]
    report(1.0, valid=used.valid, exact=used.exact, f1=used.f1, small_talk=used.small_talk or 0.0)
    return ExtractionReport(
        memories=len(asked),
        small_talk=len(talk),
        is_reviewed=bool(reviewed),
        scores=tuple(scores),
        results=tuple(results),
        asked=digest(*(json.dumps([one.memory_id, one.wanted.as_json()]) for one in asked)),
    )


def _score(
    arm: str, asked: Sequence[HeldOut], replies: Sequence[Extract | None], small_talk: Sequence[Extract | None] | None
) -> ExtractionScore:
    """What is no JSON says nothing: it counts as empty, and as not exact."""
    told = [(one.wanted, reply) for one, reply in zip(asked, replies, strict=True)]
    everything = [*replies, *(small_talk or ())]
    same = {name: [_is_same(name, wanted, reply) for wanted, reply in told] for name in (*TEXTS, *LISTS)}
    return ExtractionScore(
        arm=arm,
        valid=_share([reply is not None for reply in everything]),
        exact=_share([one for row in same.values() for one in row]),
        f1=_f1(pair for name in LISTS for pair in _items(name, told)),
        small_talk=None if small_talk is None else _share([one == Extract() for one in small_talk]),
        fields={name: _share(same[name]) for name in TEXTS} | {name: _f1(_items(name, told)) for name in LISTS},
    )


def _is_same(name: str, wanted: Extract, reply: Extract | None) -> bool:
    if reply is None:
        return False
    if name in LISTS:
        return _plain(getattr(reply, name)) == _plain(getattr(wanted, name))
    return bool(getattr(reply, name) == getattr(wanted, name))


def _items(
    name: str, told: Sequence[tuple[Extract, Extract | None]]
) -> Iterator[tuple[frozenset[str], frozenset[str]]]:
    for wanted, reply in told:
        yield _plain(getattr(wanted, name)), _plain(getattr(reply, name) if reply else ())


def _plain(items: Sequence[str]) -> frozenset[str]:
    return frozenset(" ".join(item.casefold().split()) for item in items)


def _f1(pairs: Iterable[tuple[frozenset[str], frozenset[str]]]) -> float:
    """Of all items together; where none is wanted and none is said, nothing is wrong."""
    both = wanted = said = 0
    for right, reply in pairs:
        both, wanted, said = both + len(right & reply), wanted + len(right), said + len(reply)
    return round(2 * both / (wanted + said), 4) if wanted + said else 1.0


def _share(passed: Sequence[bool]) -> float:
    return round(sum(passed) / len(passed), 4) if passed else 0.0


def _half(report: Report, number: int) -> Report:
    def say(fraction: float, **facts: Fact) -> None:
        report((number + fraction) / 2, **facts)

    return say
