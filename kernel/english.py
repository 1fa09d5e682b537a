"""English phrasing: questions made from an interviewer's question and from the elder's own clauses.

The words of a question come from the memory or from fixed lists; none of them asserts a fact that the memory does
not hold.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Sequence
from itertools import zip_longest

from kernel import english_words as lists
from kernel.english_asking import (
    ABOUT,
    MIXED,
    THING,
    TOPIC,
    YEAR,
    Asking,
    content_words,
    led_in,
    stem,
    tidy,
    whole,
    words_of,
)
from kernel.english_clause import clauses_of
from kernel.memory import Memory

_SELF = (
    "Who are you?",
    "What is your name?",
    "What's your name?",
    "Who am I talking to?",
    "Tell me who you are.",
    "Can you introduce yourself?",
    "Are you there? Who is this?",
    "May I ask your name?",
)
_GREETINGS = (
    ("Hello!", "Hello, dear. What would you like to hear about?"),
    ("Hi, how are you?", "I'm glad that you came, dear. What would you like to hear about?"),
    ("Good morning.", "Good morning, dear. Ask me anything you like."),
    ("Good evening.", "Good evening, dear. Sit down and ask me something."),
    ("Thank you.", "You're welcome, dear."),
    ("Thanks for telling me.", "You're welcome, dear. I like telling it."),
    ("Goodnight.", "Goodnight, dear. Sleep well."),
    ("Goodbye!", "Goodbye, dear. Come again soon."),
    ("I love you.", "I love you too, dear."),
    ("I miss you.", "I miss you too, dear."),
)
_PLAIN = re.compile("(?:who(?! was it that)|where|when|which year) ")


class EnglishPhrasing:
    def __init__(self, memories: Sequence[Memory]) -> None:
        self._memories = memories
        self._rarity = Counter(
            one
            for memory in memories
            for one in {stem(word) for word in words_of(f"{memory.question} {memory.answer}")}
        )

    def questions(self, memory: Memory, count: int, rng: random.Random) -> list[str]:
        asking = Asking(memory, self._rarity, rng)
        found = [memory.question] if memory.question else []
        tries = 0
        while len(found) < count and tries < 40 * count:
            tries += 1
            question = asking.one()
            if question not in found:
                found.append(question)
        return found[:count]

    def clauses(self, memory: Memory) -> list[tuple[str, str]]:
        """Who, where and when alone, and of somebody: there the grammar errs least."""
        told = [clause for clause in clauses_of(memory.answer) if clause.is_of_somebody]
        asked = [(question, clause.text) for clause in told for question in clause.questions()]
        return [(whole(question), text) for question, text in asked if _PLAIN.match(question)]

    def about(self, name: str, rng: random.Random) -> str:
        return rng.choice(ABOUT).format(name)

    def whole_unanswerable(self) -> list[str]:
        told = self._told()
        return [one for one in lists.QUESTIONS if _is_unknown(one, told)]

    def unanswerable(self, rng: random.Random) -> list[str]:
        """Whole questions, small ones about people and things, and the very frames that ask for memories; a third
        of each at first, as long as they last."""
        told = self._told()
        kinds = [
            [led_in(one, rng) for one in self.whole_unanswerable()],
            self._small(told, rng),
            self._framed(told, rng),
        ]
        for kind in kinds:
            rng.shuffle(kind)
        rounds = zip_longest(*kinds)
        return list(dict.fromkeys(tidy(one, rng) for mixed in rounds for one in mixed if one))

    def greetings(self) -> list[tuple[str, str]]:
        return list(_GREETINGS)

    def self_questions(self) -> list[str]:
        return list(_SELF)

    def _told(self) -> frozenset[str]:
        """Stems that memories hold, with all their synonyms."""
        told = set(self._rarity)
        for group in lists.SYNONYMS:
            if any(stem(one) in told for one in group):
                told |= {stem(one) for one in group}
        return frozenset(told)

    def _small(self, told: frozenset[str], rng: random.Random) -> list[str]:
        """Some of it about people whom memories do hold."""
        things, acts = _unknown(lists.THINGS, told), _unknown(lists.ACTS, told)
        years = [str(year) for year in range(1925, 2015) if str(year) not in told]
        small: list[str] = []
        for owner in lists.OWNERS:
            some = rng.sample(things, min(5, len(things)))
            small += [rng.choice(_OWNERS_THING).format(o=owner, t=thing) for thing in some]
            small += [rng.choice(_OWNERS_ACT).format(o=owner, a=act) for act in rng.sample(acts, min(4, len(acts)))]
        small += [rng.choice(_YOUR_ACT).format(a=act) for act in acts]
        small += [rng.choice(lists.PLACE_QUESTIONS).format(x=place) for place in _unknown(lists.PLACES, told)]
        small += [rng.choice(YEAR).format(year) for year in rng.sample(years, min(8, len(years)))]
        return small

    def _framed(self, told: frozenset[str], rng: random.Random) -> list[str]:
        things = _unknown([*lists.THINGS, *lists.NOUNS], told)
        framed = [rng.choice(THING).format(one) for one in things for _ in range(2)]
        framed += [rng.choice(TOPIC).format(one) for one in things]
        framed += [rng.choice(MIXED).format(" ".join(rng.sample(things, 2))) for _ in things[1:]]
        framed += [rng.choice(ABOUT).format(name) for name in _unknown(lists.NAMES, told)]
        return framed


_OWNERS_THING = (
    "What was your {o}'s {t}?",
    "Do you remember your {o}'s {t}?",
    "Tell me about your {o}'s {t}.",
)
_OWNERS_ACT = (
    "Did your {o} ever {a}?",
    "When did your {o} {a}?",
    "Why did your {o} {a}?",
    "Where did your {o} {a}?",
)
_YOUR_ACT = (
    "Did you ever {a}?",
    "When did you {a}?",
    "Where did you {a}?",
    "Who did you {a} with?",
    "How did you {a}?",
)


def _is_unknown(text: str, told: frozenset[str]) -> bool:
    keys = [stem(word) for word in content_words(text)]
    return bool(keys) and not any(key in told for key in keys)


def _unknown(texts: Sequence[str], told: frozenset[str]) -> list[str]:
    return [text for text in texts if _is_unknown(text, told)]
