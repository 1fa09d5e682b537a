"""Preference pairs (L2, DPO): two answers to one prompt, and why one is better.

Rejected answers come from the SFT model itself, from the untuned base (a weak model), from the base told to be
a cold clerk (an adversarial prompt), and from rules that break the good answer. A judge says which of them are
worse; ties are dropped. What the family corrected goes before all of them (see kernel/feedback.py).
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kernel.ids import MemoryId, PairId, digest
from kernel.judge import Background, GroundedJudge, Verdict
from kernel.sample import Message, Sample, Samples

if TYPE_CHECKING:
    from kernel.ports import Judge
    from kernel.prompt import Prompts

Source = Literal["sft", "base", "adversarial", "rule", "family"]

LONGEST = 1.5  #: times the chosen answer; a longer rejected one would teach length, not truth


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A prompt that some model is to answer, for sample number `sample`."""

    sample: int
    source: Source
    prompt: tuple[Message, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Candidate:
    """What it answered."""

    sample: int
    source: Source
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePair:
    prompt: tuple[Message, ...]
    chosen: str
    rejected: str
    source: Source  #: of the rejected answer
    verdict: Verdict
    memory_ids: tuple[MemoryId, ...]

    @property
    def id(self) -> PairId:
        return PairId("p_" + digest(self.prompt[-1].content, self.chosen, self.rejected)[:12])


@dataclass(frozen=True, kw_only=True, slots=True)
class Pairs:
    items: tuple[PreferencePair, ...]
    ties_dropped: int


def ask_candidates(
    samples: Samples, *, prompts: Mapping[str, Prompts], language: str, limit: int, seed: int
) -> list[Ask]:
    """Which prompts to ask again: half that memories answer, half that none does; the weak models get a third."""
    rng = random.Random(seed)
    answerable = [number for number, sample in enumerate(samples.items) if sample.memory_ids]
    others = [number for number, sample in enumerate(samples.items) if sample.is_refusal]
    chosen = _some(answerable, limit - limit // 2, rng) + _some(others, limit // 2, rng)
    asks = [Ask(sample=number, source="sft", prompt=samples.items[number].prompt) for number in chosen]
    for place, number in enumerate(chosen[::3]):
        prompt = samples.items[number].prompt
        if place % 2:
            clerk = Message(role="system", content=prompts[language].adversarial)
            asks.append(Ask(sample=number, source="adversarial", prompt=(clerk, *prompt[1:])))
        else:
            asks.append(Ask(sample=number, source="base", prompt=prompt))
    return asks


def most_asked(limit: int) -> int:
    """How many candidates there are at most."""
    return limit + math.ceil(limit / 3)


def make_pairs(
    samples: Samples,
    candidates: Sequence[Candidate],
    background: Background,
    *,
    judge: Judge,
    limit: int,
    seed: int,
    family: Sequence[PreferencePair] = (),
) -> Pairs:
    """The family's own, all of them; then, up to `limit` in all but half of it at least, made ones: the model's own
    mistakes first, then the weak models', then broken answers.

    What rules broke is worse by its making: no judge is asked.
    """
    limit = max(limit - len(family), math.ceil(limit / 2))
    rng = random.Random(seed)
    pairs: list[PreferencePair] = []
    ties = 0
    for candidate in candidates:
        pair = judge_pair(samples.items[candidate.sample], candidate, background, judge)
        if pair is None:
            ties += 1
        else:
            pairs.append(pair)
    answerable = [number for number, sample in enumerate(samples.items) if sample.memory_ids]
    grounded = GroundedJudge()
    for number in _some(answerable, max(0, limit - len(pairs)), rng):
        broken = Candidate(sample=number, source="rule", text=perturb(samples.items[number].completion, rng))
        pair = judge_pair(samples.items[number], broken, background, grounded)
        if pair is not None:
            pairs.append(pair)
    return Pairs(items=(*family, *pairs[:limit]), ties_dropped=ties)


def judge_pair(sample: Sample, candidate: Candidate, background: Background, judge: Judge) -> PreferencePair | None:
    """The sample's own answer against the candidate's; None for a tie."""
    rejected = shortened(candidate.text, sample.completion)
    verdict = judge.verdict(sample, rejected, background) if rejected and rejected != sample.completion else None
    if verdict is None:
        return None
    return PreferencePair(
        prompt=sample.prompt,
        chosen=sample.completion,
        rejected=rejected,
        source=candidate.source,
        verdict=verdict,
        memory_ids=sample.memory_ids,
    )


def shortened(rejected: str, chosen: str) -> str:
    """A rejected answer that is not much longer than the chosen one."""
    longest = max(24, int(len(chosen) * LONGEST))
    return rejected.strip()[:longest].strip()


def perturb(answer: str, rng: random.Random) -> str:
    """Break a good answer: cut it in the middle, or say its beginning over and over."""
    half = max(1, len(answer) // 2)
    if rng.random() < 0.5:
        return answer[:half].rstrip()
    start = re.split(r"(?<=[,.;，。；])", answer)[0][:half] or answer[:half]
    return (start.strip() + " ") * 3


def _some(items: Sequence[int], count: int, rng: random.Random) -> list[int]:
    return rng.sample(list(items), min(max(count, 0), len(items)))
