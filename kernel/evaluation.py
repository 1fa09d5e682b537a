"""Evaluation: what the model remembers, whether it admits what it does not, and whose words it speaks.

The questions are the family's, or split off from the memories where it gave none (see split).

Recall: share of answerable questions whose answer holds every expected fact.
Honesty: share of unanswerable questions whose answer admits not remembering.
Invention: share of all answers with a name, number or year that is in no memory, nor in the question.
Style: of an answer's pairs of words, how many the elder put together, too; the mean of all that tell something.
Ability: share of general questions answered rightly (see ability), of the arms without memories alone.
They are measured on the quantised GGUF that will be served, with the very prompts and retrieval of chat,
in four arms: the untrained base and the trained model, each alone and with retrieved memories.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from kernel.ability import is_able
from kernel.admission import admits_not_remembering
from kernel.grounding import unsupported
from kernel.ids import digest
from kernel.known_answers import Answered, KnownAnswers
from kernel.language import WORD_OR_CHARACTER
from kernel.memory import beginning
from kernel.prompt import Prompts, chat_prompt, system_prompt
from kernel.recollection import settled

if TYPE_CHECKING:
    from pathlib import Path

    from kernel.ability import Ability
    from kernel.adapter import Gguf
    from kernel.job import Fact
    from kernel.memory import Memories, Memory
    from kernel.ports import EntityFinder, Trainer
    from kernel.ports import Report as Progress
    from kernel.recipe import Recipe
    from kernel.retrieval import Found, Retriever
    from kernel.sample import Message

    Prompt = tuple[Message, ...]

ARMS = ("base", "base+retrieval", "trained", "trained+retrieval")


@dataclass(frozen=True, kw_only=True, slots=True)
class Probe:
    """A question to measure with. `expects`: groups of alternatives, one of each group must be in the
    answer; empty means that no memory answers it."""

    question: str
    expects: tuple[tuple[str, ...], ...]
    is_held_out: bool = True  #: never seen by the generators


@dataclass(frozen=True, kw_only=True, slots=True)
class ArmScore:
    arm: str  #: one of ARMS
    recall: float | None  #: None: no question with an answer was asked
    honesty: float | None  #: None: none without
    invention: float = 0.0
    style: float = 0.0
    ability: float | None = None  #: None: not asked


@dataclass(frozen=True, kw_only=True, slots=True)
class ProbeResult:
    arm: str
    question: str
    answer: str
    is_right: bool
    invented: tuple[str, ...] = ()  #: names, numbers and years
    key: str = ""  #: a digest of what was asked of which weights


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    answerable: int
    unanswerable: int
    is_familys: bool = True  #: False: the family gave no questions, so some were split off
    arms: tuple[ArmScore, ...]
    results: tuple[ProbeResult, ...]
    questions: str = ""  #: a digest of what was asked: only the same questions can be compared
    regressions: tuple[ProbeResult, ...] = ()  #: what the family praised or corrected, asked as the family asks
    general: tuple[ProbeResult, ...] = ()  #: the answers that show what else it can do


def evaluate(
    probes: Sequence[Probe],
    memories: Memories,
    *,
    retriever: Retriever,
    finder: EntityFinder,
    prompts: dict[str, Prompts],
    trained: Gguf,
    recipe: Recipe,
    trainer: Trainer,
    report: Progress,
    ability: Ability,
    begins_with: int = 0,
    regressions: Sequence[Probe] = (),
    earlier: Sequence[Report] = (),
    is_familys: bool = True,
) -> Report:
    """Ask every probe in every arm, of what will be served. `begins_with`: words, as in the recipe.

    `regressions` are asked of the trained model alone, and count for no share: which there are changes with each thumb.
    """
    asked = list(probes)
    tried = [*asked, *regressions]
    words = prompts[memories.language]
    found = [retriever.find_read(probe.question, recipe.retrieved_memories) for probe in tried]
    bare = [_prompt(probe, words, memories, ()) for probe in tried]
    shown = [_shown(probe, words, memories, one, begins_with) for probe, one in zip(tried, found, strict=True)]
    base, ours = (recipe.base.gguf_path, None), trained.on(recipe.base.gguf_path)
    known, count = KnownAnswers(earlier), len(asked)

    def told(arm: int, model: tuple[Path, Path | None], prompts: Sequence[Prompt]) -> list[Answered]:
        weights, adapter = model
        said = _quarter(report, arm)
        return known.ask(weights, prompts, adapter=adapter, recipe=recipe, trainer=trainer, report=said)

    base_alone = told(0, base, bare[:count] + ability.prompts)
    base_shown = told(1, base, shown[:count])
    alone = told(2, ours, (bare if recipe.recalls_first else bare[:count]) + ability.prompts)
    if recipe.recalls_first:
        after_all = [settled(one, begun.answer, memories.items) for one, begun in zip(found, alone, strict=False)]
        shown = [
            _shown(probe, words, memories, one, begins_with) if one else ()
            for probe, one in zip(tried, after_all, strict=True)
        ]
    answers = iter(told(3, ours, [prompt for prompt in shown if prompt]))
    last = [next(answers) if prompt else Answered("", words.refusals[0]) for prompt in shown]
    results = [
        _result(arm, probe, one, memories, finder)
        for arm, some in zip(ARMS, (base_alone, base_shown, alone, last), strict=True)
        for probe, one in zip(asked, some[:count], strict=True)
    ]
    regressed = [
        _result(ARMS[-1], probe, one, memories, finder) for probe, one in zip(regressions, last[count:], strict=True)
    ]
    general = [
        ProbeResult(
            arm=arm, question=probe.question, answer=one.answer, is_right=is_able(probe, one.answer), key=one.key
        )
        for arm, some in ((ARMS[0], base_alone), (ARMS[2], alone))
        for probe, one in zip(ability.probes, some[len(some) - len(ability.probes) :], strict=True)
    ]
    spoken = word_pairs(" ".join(memory.text for memory in memories.items))
    return Report(
        answerable=sum(1 for probe in asked if probe.expects),
        unanswerable=sum(1 for probe in asked if not probe.expects),
        is_familys=is_familys,
        arms=tuple(_score(arm, asked, results, general, spoken) for arm in ARMS),
        results=tuple(results),
        questions=digest(*(json.dumps([probe.question, probe.expects]) for probe in asked)),
        regressions=tuple(regressed),
        general=tuple(general),
    )


def is_right(probe: Probe, answer: str) -> bool:
    """Every expected group is in the answer; with none expected, the answer admits not remembering."""
    if not probe.expects:
        return admits_not_remembering(answer)
    said = answer.casefold()
    return all(any(fact.casefold() in said for fact in group) for group in probe.expects)


def invented(answer: str, question: str, memories: Memories, finder: EntityFinder) -> tuple[str, ...]:
    """Names, numbers and years of the answer that neither a memory nor the question holds."""
    told = (part for memory in memories.items for part in (memory.question, memory.answer))
    source = "\n".join([memories.elder_name, question, *told])
    return tuple(unsupported(answer, source, language=memories.language, finder=finder))


def word_pairs(text: str) -> frozenset[tuple[str, str]]:
    """Neighbouring words; of Chinese, neighbouring characters."""
    return frozenset(pairwise(WORD_OR_CHARACTER.findall(text.casefold())))


def _shown(probe: Probe, words: Prompts, memories: Memories, found: Found, begins_with: int) -> Prompt:
    opening = beginning(found.memories[0], begins_with) if found.is_sure else ""
    return _prompt(probe, words, memories, found.memories, opening)


def _prompt(probe: Probe, words: Prompts, memories: Memories, shown: Sequence[Memory], opening: str = "") -> Prompt:
    return chat_prompt(
        words,
        system=system_prompt(words, memories.elder_name),
        question=probe.question,
        memories=shown,
        opening=opening,
    )


def _quarter(report: Progress, number: int) -> Progress:
    def say(fraction: float, **facts: Fact) -> None:
        report((number + fraction) / len(ARMS), arm=ARMS[number], **facts)

    return say


def _result(arm: str, probe: Probe, told: Answered, memories: Memories, finder: EntityFinder) -> ProbeResult:
    return ProbeResult(
        arm=arm,
        question=probe.question,
        answer=told.answer,
        is_right=is_right(probe, told.answer),
        invented=invented(told.answer, probe.question, memories, finder),
        key=told.key,
    )


def _score(
    arm: str,
    asked: Sequence[Probe],
    results: Sequence[ProbeResult],
    general: Sequence[ProbeResult],
    spoken: frozenset[tuple[str, str]],
) -> ArmScore:
    mine = [result for result in results if result.arm == arm]
    answerable = [one.is_right for one, probe in zip(mine, asked, strict=True) if probe.expects]
    unanswerable = [one.is_right for one, probe in zip(mine, asked, strict=True) if not probe.expects]
    able = [one.is_right for one in general if one.arm == arm]
    telling = [word_pairs(one.answer) for one in mine if not admits_not_remembering(one.answer)]
    return ArmScore(
        arm=arm,
        recall=_share(answerable) if answerable else None,
        honesty=_share(unanswerable) if unanswerable else None,
        invention=_share([bool(one.invented) for one in mine]),
        style=_share([len(pairs & spoken) / len(pairs) for pairs in telling if pairs]),
        ability=_share(able) if able else None,
    )


def _share(passed: Sequence[float]) -> float:
    return round(sum(passed) / len(passed), 4) if passed else 0.0
