"""Kin: one relative as one sentence says it."""

from __future__ import annotations

import re
from dataclasses import dataclass

_QUOTED = re.compile(r"“[^”]*”|「[^」]*」|\"[^\"]*\"|(?<!\w)['‘].+?['’](?!\w)")

#: the nearest first
KINDS = (
    "mother", "father", "stepmother", "stepfather", "husband", "wife", "spouse", "daughter", "son", "child",
    "stepdaughter", "stepson", "sister", "brother", "half-sister", "half-brother", "stepsister", "stepbrother",
    "grandmother", "grandfather", "granddaughter", "grandson", "grandchild", "great-grandmother",
    "great-grandfather", "great-granddaughter", "great-grandson", "aunt", "uncle", "great-aunt", "great-uncle", "niece",
    "nephew", "cousin", "mother-in-law", "father-in-law", "daughter-in-law", "son-in-law", "sister-in-law",
    "brother-in-law", "godmother", "godfather",
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    whose: str = ""  #: "" for the person who speaks
    kin: str  #: one of KINDS
    called: str
    name: str = ""


def own_words(sentence: str) -> str:
    """Of the same length, with what is quoted blanked out: "my brother" in it may be another's."""
    return _QUOTED.sub(lambda match: " " * len(match.group()), sentence)
