"""Evaluation: what the model remembers, and whether it admits what it does not.

Recall: share of answerable questions whose answer holds every expected fact.
Honesty: share of unanswerable questions whose answer admits not remembering.
Both are measured on the quantised GGUF that will be served, with the very prompts and retrieval of chat,
in four arms: the untrained base and the trained model, each alone and with retrieved memories.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kernel.prompt import Prompts, chat_prompt, system_prompt

if TYPE_CHECKING:
    from kernel.job import Fact
    from kernel.memory import Memories, Memory
    from kernel.ports import Report as Progress
    from kernel.ports import Trainer
    from kernel.recipe import Recipe
    from kernel.retrieval import Retriever
    from kernel.sample import Message

ARMS = ("base", "base+retrieval", "trained", "trained+retrieval")

_ADMISSION = re.compile(
    r"(do(n't|n’t| not)|can(not|'t|’t)|no longer|never) (really |quite |seem to )?(remember|recall|know)"
    r"|no memory of|(have|'ve|’ve) forgotten|I forget|slipped my mind"
    r"|不记得|记不得|记不清|记不起|想不起|不知道|不清楚|忘了|忘记了|没有印象",
    re.IGNORECASE,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """A question to measure with. `expects`: groups of alternatives, one of each group must be in the
    answer; empty means that no memory answers it."""

    question: str
    expects: tuple[tuple[str, ...], ...]
    is_held_out: bool = True  #: asked by the family, never seen by the generators


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmScore:
    arm: str  #: one of ARMS
    recall: float
    honesty: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeResult:
    arm: str
    question: str
    answer: str
    is_right: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    answerable: int
    unanswerable: int
    is_held_out: bool  #: False: the family gave no questions, so the memories' own were asked
    arms: tuple[ArmScore, ...]
    results: tuple[ProbeResult, ...]


def evaluate(
    probes: Sequence[Probe],
    memories: Memories,
    *,
    retriever: Retriever,
    prompts: dict[str, Prompts],
    trained: Path,
    recipe: Recipe,
    trainer: Trainer,
    report: Progress,
) -> Report:
    """Ask every probe in every arm. `trained` is a GGUF; the base's lies at recipe.base.gguf_path."""
    asked = list(probes) or own_questions(memories)
    words = prompts[memories.language]
    bare = [_prompt(probe, words, memories, ()) for probe in asked]
    shown = [
        _prompt(probe, words, memories, retriever.find(probe.question, recipe.retrieved_memories)) for probe in asked
    ]
    results: list[ProbeResult] = []
    for number, (model, arm_prompts) in enumerate(
        [(recipe.base.gguf_path, bare), (recipe.base.gguf_path, shown), (trained, bare), (trained, shown)]
    ):
        answers = trainer.answer(model, arm_prompts, recipe=recipe, report=_quarter(report, number))
        results += [
            ProbeResult(arm=ARMS[number], question=probe.question, answer=answer, is_right=is_right(probe, answer))
            for probe, answer in zip(asked, answers, strict=True)
        ]
    return Report(
        answerable=sum(1 for probe in asked if probe.expects),
        unanswerable=sum(1 for probe in asked if not probe.expects),
        is_held_out=bool(probes),
        arms=tuple(_score(arm, asked, results) for arm in ARMS),
        results=tuple(results),
    )


def is_right(probe: Probe, answer: str) -> bool:
    """Every expected group is in the answer; with none expected, the answer admits not remembering."""
    if not probe.expects:
        return admits_not_remembering(answer)
    said = answer.casefold()
    return all(any(fact.casefold() in said for fact in group) for group in probe.expects)


def admits_not_remembering(answer: str) -> bool:
    return bool(_ADMISSION.search(answer))


def own_questions(memories: Memories) -> list[Probe]:
    """When the family gave no questions: each memory's own, answered by its names and numbers, or its first words."""
    return [
        Probe(question=memory.question, expects=_facts(memory.answer), is_held_out=False) for memory in memories.items
    ]


def _facts(answer: str) -> tuple[tuple[str, ...], ...]:
    found = re.findall(r"\d{4}|(?<=[a-z,] )[A-Z][a-z]+|[一二三四五六七八九〇零]{4}年", answer)
    return ((found[0],),) if found else ((answer.strip()[:12],),)


def _prompt(probe: Probe, words: Prompts, memories: Memories, shown: Sequence[Memory]) -> tuple[Message, ...]:
    return chat_prompt(
        words,
        system=system_prompt(words, memories.elder_name),
        question=probe.question,
        memories=shown,
    )


def _quarter(report: Progress, number: int) -> Progress:
    def say(fraction: float, **facts: Fact) -> None:
        report((number + fraction) / len(ARMS), arm=ARMS[number], **facts)

    return say


def _score(arm: str, asked: Sequence[Probe], results: Sequence[ProbeResult]) -> ArmScore:
    mine = [result for result in results if result.arm == arm]
    answerable = [one.is_right for one, probe in zip(mine, asked, strict=True) if probe.expects]
    unanswerable = [one.is_right for one, probe in zip(mine, asked, strict=True) if not probe.expects]
    return ArmScore(arm=arm, recall=_share(answerable), honesty=_share(unanswerable))


def _share(passed: Sequence[bool]) -> float:
    return round(sum(passed) / len(passed), 4) if passed else 0.0
