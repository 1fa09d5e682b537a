"""English clauses: what a sentence of the elder's asks for, when one part of it is left out.

"Edwin built her in 1934" -> "Who built her in 1934?", "When did Edwin build her?", "Did Edwin build her in 1934?".
A crude grammar of subject, past verb and prepositional phrases: where it finds no verb it makes no question, and
where it errs the question is clumsy, never false.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kernel import english_words as lists

_PERSON = {
    "i": "you",
    "my": "your",
    "me": "you",
    "we": "you",
    "our": "your",
    "us": "you",
    "mine": "yours",
    "ours": "yours",
    "myself": "yourself",
    "i'd": "you had",
    "i'm": "you are",
    "i've": "you have",
    "i'll": "you will",
    "we'd": "you had",
}
_SHE_OR_HE = {"she": "f", "her": "f", "he": "m", "him": "m"}
_BE = ("was", "were")
_TIMES = ("night", "morning", "evening", "day", "week", "month", "summer", "winter", "spring", "autumn", "age")
_MONTHS = "january february march april may june july august september october november december".split()
_WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
_PREPOSITIONS = (
    "in at on to from near under over into by with for through behind beside across against inside outside off of "
    "round about along after before until since during between"
).split()
_PLACES = ("in", "at", "on", "to", "from", "near", "under", "into", "behind", "beside", "inside", "outside", "by")
_BREAKS = re.compile(r"(?<=[.!?;:])\s+|,\s+(?:and|but|so|where|who|which)?\s*|;\s+|\s+(?:and|but|until|when)\s+")
#: Roots that end in "e": danc-, lov-, us-, squeez-, bak-, hop-.
_LOST_E = re.compile(r"[^s]s$|[vzcu]$|[^n]g$|^[^aeiou]*[aeiou][kmnprtbdl]$")


@dataclass(frozen=True, slots=True)
class Clause:
    """`rest`: the words after the verb. All as one says it to the elder: "you", not "I"."""

    subject: str
    verb: str  #: in the past, as told
    rest: tuple[str, ...]

    @property
    def text(self) -> str:
        return " ".join([self.subject, self.verb, *self.rest])

    @property
    def is_of_somebody(self) -> bool:
        return self.subject == "you" or _is_person(self.subject)

    def questions(self) -> Iterator[str]:
        """Whole questions, with a question mark, that this clause answers."""
        rest = " ".join(self.rest)
        if self.verb in _BE:
            yield f"{self.verb} {self.subject} {rest}?"
            yield f"{'who' if _is_person(self.subject) else 'what'} was {self.subject}?"
        else:
            yield f"did {self.subject} {self._base} {rest}?"
            yield f"why did {self.subject} {self._base} {rest}?"
            yield f"how did {self.subject} {self._base} {rest}?"
        if self.subject != "you" and self.subject.lower() not in _SHE_OR_HE:
            yield f"{'who' if _is_person(self.subject) else 'what'} {self.verb} {rest}?"
            yield f"who was it that {self.verb} {rest}?"
        for start, end in self._phrases():
            yield from self._without(start, end)
        thing = self._object()
        if thing and self.verb not in _BE:
            left = " ".join(self.rest[thing:])
            yield f"what did {self.subject} {self._base} {left}?"
            yield f"what was it that {self.subject} {self.verb} {left}?"

    @property
    def _base(self) -> str:
        return base_form(self.verb)

    def _phrases(self) -> Iterator[tuple[int, int]]:
        """Where a prepositional phrase begins and ends among `rest`."""
        starts = [place for place, word in enumerate(self.rest) if word.lower() in _PREPOSITIONS]
        for start, end in zip(starts, [*starts[1:], len(self.rest)], strict=False):
            if end - start > 1:
                yield start, end

    def _without(self, start: int, end: int) -> Iterator[str]:
        phrase, left = self.rest[start:end], " ".join([*self.rest[:start], *self.rest[end:]])
        lead, asked = phrase[0].lower(), f"did {self.subject} {self._base} {left}"
        if self.verb in _BE:
            asked = f"{self.verb} {self.subject} {left}"
        if _is_time(phrase):
            yield f"when {asked}?"
            yield f"which {'year' if _is_year(phrase[-1]) else 'day'} {asked}?"
        elif lead in _PLACES:
            noun = phrase[-1].strip(".,")
            yield f"where {asked}?"
            yield f"{lead} what {noun} {asked}?" if noun.islower() else f"what place {asked} {lead}?"
        elif lead == "with":
            yield f"who {asked} with?"
            yield f"what {asked} with?"
        elif lead == "for":
            yield f"what {asked} for?"
            yield f"how much {asked}?"
        else:
            yield f"what {asked} {lead}?"

    def _object(self) -> int:
        """How many words of `rest` the object has: those up to the first preposition."""
        for place, word in enumerate(self.rest):
            if word.lower() in _PREPOSITIONS:
                return place
        return len(self.rest)


def clauses_of(answer: str) -> list[Clause]:
    """The clauses with a past verb, he and she named where the memory says "my mother" or the like."""
    kin = _kin(answer)
    found: list[Clause] = []
    for part in re.split(
        r"(?<=[.!?;:])\s+|,\s+(?:and|but|so|where|who|which)?\s*|;\s+|\s+(?:and|but|until|when)\s+", answer
    ):
        words = as_you(part.strip(' .!?;:,"“”')).split()
        verb = next((place for place, word in enumerate(words) if place and is_past(word)), None)
        if verb is None or len(words) - verb < 2 or verb > 5:
            continue
        subject = " ".join(words[:verb])
        subject = kin.get(_SHE_OR_HE.get(subject.lower(), ""), subject)
        found.append(Clause(subject, words[verb].lower(), tuple(words[verb + 1 :])))
    return found


def as_you(clause: str) -> str:
    """ "I was" -> "you were"; a sentence's first word loses its capital unless it is a name."""
    words = clause.replace("’", "'").split()
    found: list[str] = []
    for place, word in enumerate(words):
        low = word.lower()
        if low == "was" and place and words[place - 1].lower() == "i":
            found.append("were")
        elif low in _PERSON:
            found.append(_PERSON[low])
        else:
            found.append(low if place == 0 and low in lists.STOP else word)
    return " ".join(found)


def is_past(word: str) -> bool:
    low = word.lower()
    return low in lists.PAST or low in _BE or (low.endswith("ed") and len(low) > 4 and word[:1].islower())


def base_form(verb: str) -> str:
    """ "made" -> "make", "married" -> "marry", "stopped" -> "stop", "baked" -> "bake"."""
    if verb in lists.PAST:
        return lists.PAST[verb]
    if verb.endswith("ied"):
        return verb[:-3] + "y"
    root = verb.removesuffix("ed")
    if len(root) > 2 and root[-1] == root[-2] and root[-1] not in "sl":
        return root[:-1]
    return root + "e" if _LOST_E.search(root) else root


def _kin(answer: str) -> dict[str, str]:
    """Who "she" and "he" are, when the memory tells of one woman or one man of the family."""
    found: dict[str, str] = {}
    for gender, names in (("f", lists.KINSWOMEN), ("m", lists.KINSMEN)):
        told = {word for word in re.findall(r"\b[Mm]y (?:\w+ )?(\w+)", answer) if word.lower() in names}
        if len(told) == 1:
            found[gender] = f"your {told.pop().lower()}"
    return found


def _is_person(subject: str) -> bool:
    low = subject.lower().split()
    return subject[:1].isupper() or low[-1] in (*lists.KINSWOMEN, *lists.KINSMEN) or low[-1] in _SHE_OR_HE


def _is_time(phrase: Sequence[str]) -> bool:
    words = [word.strip(".,").lower() for word in phrase[1:]]
    return any(_is_year(word) or word in _TIMES or word in _MONTHS or word in _WEEKDAYS for word in words)


def _is_year(word: str) -> bool:
    return bool(re.fullmatch(r"\W*(1[89]|20)\d\d\W*", word))
