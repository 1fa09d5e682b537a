"""General ability: what a model can do besides telling a life.

A few short questions, the same for every elder, asked as any assistant is asked: a plain system prompt, no memory.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.language import sentences
from kernel.sample import Message

if TYPE_CHECKING:
    from kernel.evaluation import Probe


@dataclass(frozen=True, kw_only=True, slots=True)
class Ability:
    """One language's questions, from config/prompts/ability/{en,zh}.yaml."""

    system: str
    probes: tuple[Probe, ...]

    @property
    def prompts(self) -> list[tuple[Message, ...]]:
        system = Message(role="system", content=self.system)
        return [(system, Message(role="user", content=probe.question)) for probe in self.probes]


def is_able(probe: Probe, answer: str) -> bool:
    """One of each group is in the first sentence, as a whole word: a life told instead may hold any word or digit."""
    said = "".join(sentences(answer)[:1]).casefold()
    return all(any(_is_said(fact.casefold(), said) for fact in group) for group in probe.expects)


def _is_said(fact: str, said: str) -> bool:
    return re.search(rf"(?<![a-z0-9]){re.escape(fact)}(?![a-z0-9])", said) is not None
