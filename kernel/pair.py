"""Preference pairs (L2, DPO): two answers to one prompt, and why one is better.

Rejected answers come from the SFT model itself, from the untuned base (a weak model), from the base told to be
a cold clerk (an adversarial prompt), and from rules that break the good answer. Offline the judge scores by
what is in the memories: it needs no model, cannot prefer a position, and a near tie is dropped.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from kernel.evaluation import admits_not_remembering
from kernel.ids import MemoryId, PairId, digest
from kernel.language import tokens
from kernel.sample import Message, Sample, Samples

if TYPE_CHECKING:
    from kernel.bio import Bio
    from kernel.graph import EntityGraph
    from kernel.prompt import Prompts

Source = Literal["sft", "base", "adversarial", "rule"]

MARGIN = 0.2  #: a smaller difference of scores is a tie
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
class Verdict:
    """Scores of both answers by the judge, 0-1, and what the rejected one did."""

    chosen_score: float
    rejected_score: float
    reason: str  #: "invents", "forgets", "refuses", "incomplete"


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
    """Which prompts to ask again: half that memories answer, half that none does; the weak models get a few."""
    rng = random.Random(seed)
    answerable = [number for number, sample in enumerate(samples.items) if sample.memory_ids]
    others = [number for number, sample in enumerate(samples.items) if sample.is_refusal]
    chosen = _some(answerable, limit - limit // 2, rng) + _some(others, limit // 2, rng)
    asks = [Ask(sample=number, source="sft", prompt=samples.items[number].prompt) for number in chosen]
    for place, number in enumerate(chosen[: limit // 3]):
        prompt = samples.items[number].prompt
        if place % 2:
            clerk = Message(role="system", content=prompts[language].adversarial)
            asks.append(Ask(sample=number, source="adversarial", prompt=(clerk, *prompt[1:])))
        else:
            asks.append(Ask(sample=number, source="base", prompt=prompt))
    return asks


def make_pairs(
    samples: Samples, candidates: Sequence[Candidate], bio: Bio, graph: EntityGraph, *, limit: int, seed: int
) -> Pairs:
    """At most `limit` pairs: the model's own mistakes first, then the weak models', then broken answers."""
    rng = random.Random(seed)
    known = _known_words(bio, graph)
    pairs: list[PreferencePair] = []
    ties = 0
    for candidate in candidates:
        pair = judge_pair(samples.items[candidate.sample], candidate, known)
        if pair is None:
            ties += 1
        else:
            pairs.append(pair)
    answerable = [number for number, sample in enumerate(samples.items) if sample.memory_ids]
    for number in _some(answerable, max(0, limit - len(pairs)), rng):
        broken = Candidate(sample=number, source="rule", text=perturb(samples.items[number].completion, rng))
        pair = judge_pair(samples.items[number], broken, known)
        if pair is not None:
            pairs.append(pair)
    return Pairs(items=tuple(pairs[:limit]), ties_dropped=ties)


def judge_pair(sample: Sample, candidate: Candidate, known: frozenset[str]) -> PreferencePair | None:
    """The sample's own answer against the candidate's; None for a tie."""
    rejected = _shortened(candidate.text, sample.completion)
    if not rejected:
        return None
    good, bad = score(sample.completion, sample, known), score(rejected, sample, known)
    if good - bad < MARGIN:
        return None
    return PreferencePair(
        prompt=sample.prompt,
        chosen=sample.completion,
        rejected=rejected,
        source=candidate.source,
        verdict=Verdict(chosen_score=round(good, 3), rejected_score=round(bad, 3), reason=_reason(rejected, sample)),
        memory_ids=sample.memory_ids,
    )


def score(answer: str, sample: Sample, known: frozenset[str]) -> float:
    """0-1. Unanswerable: does it admit it? Answerable: half for the share of the truth that it tells, half for
    the share of what it tells that is the elder's (in the true answer, the prompt, or known of the life)."""
    admits = admits_not_remembering(answer)
    if sample.is_refusal:
        return 1.0 if admits else 0.0
    if admits:
        return 0.0
    truth, said = set(tokens(sample.completion)), set(tokens(answer))
    asked = set(tokens(sample.prompt[-1].content))
    told = len(truth & said) / len(truth) if truth else 1.0
    supported = len({word for word in said if word in truth or (word in asked and word in known)})
    return 0.5 * told + 0.5 * (supported / len(said) if said else 0.0)


def perturb(answer: str, rng: random.Random) -> str:
    """Break a good answer: cut it in the middle, or say its beginning over and over."""
    half = max(1, len(answer) // 2)
    if rng.random() < 0.5:
        return answer[:half].rstrip()
    start = re.split(r"(?<=[,.;，。；])", answer)[0][:half] or answer[:half]
    return (start.strip() + " ") * 3


def _reason(rejected: str, sample: Sample) -> str:
    if sample.is_refusal:
        return "invents"
    if admits_not_remembering(rejected):
        return "refuses"
    truth, said = set(tokens(sample.completion)), set(tokens(rejected))
    return "incomplete" if said <= truth else "forgets"


def _known_words(bio: Bio, graph: EntityGraph) -> frozenset[str]:
    titles = (word for entity in graph.entities for word in tokens(entity.title))
    return frozenset(tokens(bio.first_person)) | frozenset(titles)


def _shortened(rejected: str, chosen: str) -> str:
    longest = max(24, int(len(chosen) * LONGEST))
    return rejected.strip()[:longest].strip()


def _some(items: Sequence[int], count: int, rng: random.Random) -> list[int]:
    return rng.sample(list(items), min(max(count, 0), len(items)))
