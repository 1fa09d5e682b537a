"""English phrasing: questions made from an interviewer's question and from the elder's own clauses.

The words of a question come from the memory or from fixed lists of synonyms; none of them asserts a fact that
the memory does not hold.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence

from kernel import english_words as lists
from kernel.memory import Memory

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
_PREPOSITIONS = ("in", "at", "to", "from", "near", "on")
_LEAD_INS = ("{}", "{}", "Can you tell me: {}", "I would like to know, {}", "{} Do you remember?")
_TOPIC = ("Tell me about {}.", "{}?", "What about {}?", "What can you tell me about {}?", "{}")
_CLAUSE = (
    "{wh} {c}?",
    "{wh} was it that {c}?",
    "Do you remember {wh} {c}?",
    "Did {c}?",
    "Is it true that {c}?",
    "Why {c}?",
    "How was it when {c}?",
    "Tell me {wh} {c}.",
)
_TOLD = (
    "What do you remember about the {}?",
    "Tell me about the {}.",
    "What was it with the {}?",
    "Which {} was it?",
    "Was there a {}?",
    "How about the {}?",
    "What happened with the {}?",
    "Who had the {}?",
    "Where was the {}?",
    "When was the {}?",
    "Why the {}?",
)
_MIXED = (
    "What did you {}?",
    "Where did you {}?",
    "Who {}?",
    "How did you {}?",
    "What was the {}?",
    "When {}?",
    "Why did you {}?",
    "How many {}?",
    "Which {} did you have?",
    "{}",
)
_ABOUT = (
    "Who was {}?",
    "What do you remember about {}?",
    "Tell me about {}.",
    "What about {}?",
    "What can you tell me about {}?",
)
_YEAR = (
    "What happened in {x}?",
    "Where were you in {x}?",
    "What did you do in {x}?",
    "Tell me about {x}.",
    "{x}, {key}?",
)
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


class EnglishPhrasing:
    def __init__(self, memories: Sequence[Memory]) -> None:
        self._memories = memories
        self._rarity = Counter(
            one for memory in memories for one in {stem(word) for word in _words(f"{memory.question} {memory.answer}")}
        )

    def questions(self, memory: Memory, count: int, rng: random.Random) -> list[str]:
        asking = _Asking(memory, self._rarity, rng)
        found = [memory.question] if memory.question else []
        tries = 0
        while len(found) < count and tries < 40 * count:
            tries += 1
            question = asking.one()
            if question not in found:
                found.append(question)
        return found[:count]

    def about(self, name: str, rng: random.Random) -> str:
        return rng.choice(_ABOUT).format(name)

    def unanswerable(self, rng: random.Random) -> list[str]:
        """Half whole questions, half a grid of small ones; some about people whom memories do hold."""
        told = self._told()
        whole = [one for one in lists.QUESTIONS if _is_unknown(one, told)]
        grid = self._grid(told, rng)
        rng.shuffle(grid)
        rng.shuffle(whole)
        mixed = [one for pair in zip(whole, grid, strict=False) for one in pair]
        return list(dict.fromkeys(mixed + grid[len(whole) :] + whole[len(grid) :]))

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

    def _grid(self, told: frozenset[str], rng: random.Random) -> list[str]:
        things = [one for one in lists.THINGS if _is_unknown(one, told)]
        acts = [one for one in lists.ACTS if _is_unknown(one, told)]
        grid: list[str] = []
        for owner in lists.OWNERS:
            grid += [
                rng.choice(_OWNERS_THING).format(o=owner, t=thing) for thing in rng.sample(things, min(5, len(things)))
            ]
            grid += [rng.choice(_OWNERS_ACT).format(o=owner, a=act) for act in rng.sample(acts, min(4, len(acts)))]
        grid += [rng.choice(_YOUR_THING).format(t=thing) for thing in things]
        grid += [rng.choice(_YOUR_ACT).format(a=act) for act in acts]
        grid += [
            rng.choice(lists.PLACE_QUESTIONS).format(x=place) for place in lists.PLACES if _is_unknown(place, told)
        ]
        years = [str(year) for year in range(1925, 2015) if str(year) not in told]
        return grid + [
            rng.choice(lists.YEAR_QUESTIONS).format(x=year) for year in rng.sample(years, min(8, len(years)))
        ]


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
_YOUR_THING = ("What was your {t}?", "Tell me about your {t}.", "Did you have a {t}?")
_YOUR_ACT = (
    "Did you ever {a}?",
    "When did you {a}?",
    "Where did you {a}?",
    "Who did you {a} with?",
    "How did you {a}?",
)


class _Asking:
    """An endless supply of ways to ask for one memory."""

    def __init__(self, memory: Memory, rarity: Counter[str], rng: random.Random) -> None:
        self._rng = rng
        self._question = memory.question or "What do you remember?"
        self._keys = content_words(memory.question) or content_words(memory.answer)[:4]
        told = sorted(set(content_words(memory.answer)), key=lambda word: (rarity[stem(word)], word))
        self._told = [word for word in told if rarity[stem(word)] <= 3] or told or self._keys
        self._names = _names(memory.answer)
        self._years = re.findall(r"\b1[89]\d\d\b|\b20\d\d\b", memory.answer)
        self._clauses = _clauses(memory.answer)

    def one(self) -> str:
        ways: list[tuple[float, Callable[[], str]]] = [
            (3.0, self._reworded),
            (2.0, self._topic),
            (2.5, self._clause),
            (2.5, self._told_words),
            (2.0, self._mixed),
        ]
        if self._names:
            ways.append((1.5, self._name))
        if self._years:
            ways.append((0.7, self._year))
        way = self._rng.choices([one for _, one in ways], [weight for weight, _ in ways])[0]
        return _tidy(way(), self._rng)

    def _reworded(self) -> str:
        question = _swap_synonyms(self._question, self._rng, 0.6)
        if self._rng.random() < 0.5:
            question = question[0].lower() + question[1:]
        return self._rng.choice(_LEAD_INS).format(question)

    def _topic(self) -> str:
        words = " ".join(_drop_some(self._keys, self._rng))
        return self._rng.choice(_TOPIC).format(_swap_synonyms(words, self._rng, 0.5))

    def _clause(self) -> str:
        clause = _swap_synonyms(_you_for_i(self._rng.choice(self._clauses)), self._rng, 0.4)
        clause, wh = _blank(clause, self._rng)
        return self._rng.choice(_CLAUSE).format(c=clause, wh=wh)

    def _told_words(self) -> str:
        some = self._rng.sample(self._told[:14], min(self._rng.choice((1, 1, 2, 2, 3)), len(self._told[:14])))
        return self._rng.choice(_TOLD).format(_swap_synonyms(" and the ".join(some), self._rng, 0.4))

    def _mixed(self) -> str:
        pool = self._keys + self._told[:10]
        some = self._rng.sample(pool, min(len(pool), self._rng.choice((2, 3, 3, 4))))
        return self._rng.choice(_MIXED).format(_swap_synonyms(" ".join(some), self._rng, 0.5))

    def _name(self) -> str:
        return self._rng.choice(_ABOUT).format(self._rng.choice(self._names))

    def _year(self) -> str:
        key = " ".join(_drop_some(self._keys, self._rng))
        return self._rng.choice(_YEAR).format(x=self._rng.choice(self._years), key=key)


def stem(word: str) -> str:
    """A crude stem: possessives, plurals, -ed and -ing off."""
    word = re.sub(r"['’]s?$", "", word.lower())
    for end in ("ings", "ing", "ies", "ied", "ed", "es", "s"):
        if word.endswith(end) and len(word) - len(end) >= 3:
            word = word[: -len(end)] + ("y" if end in ("ies", "ied") else "")
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def content_words(text: str) -> list[str]:
    return [word for word in _words(text) if word.lower().replace("’", "'") not in lists.STOP and len(word) > 1]


def _words(text: str) -> list[str]:
    return re.findall(r"[A-Za-zÀ-ÿ0-9]+(?:['’][a-z]+)?", text)


def _is_unknown(text: str, told: frozenset[str]) -> bool:
    keys = [stem(word) for word in content_words(text)]
    return bool(keys) and not any(key in told for key in keys)


def _names(text: str) -> list[str]:
    """Capitalised runs that do not open a sentence."""
    found = re.findall(r"(?<![.!?\"“] )(?<!^)\b([A-Z][a-zà-ÿ]+(?:[ -][A-Z][a-zà-ÿ]+)*)", text)
    return sorted({one for one in found if one.lower() not in lists.STOP})


def _clauses(text: str) -> list[str]:
    parts = re.split(r"(?<=[.!?;])\s+|,\s+(?:and|but|so)\s+|;\s+|,\s+", text)
    parts = [part.strip(' .!?;,"“”') for part in parts]
    return [part for part in parts if len(part.split()) >= 3] or [text.strip(" .!?")]


def _you_for_i(clause: str) -> str:
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


def _blank(clause: str, rng: random.Random) -> tuple[str, str]:
    """Leave out one telling word; the question word that asks for it."""
    words = clause.split()
    spots = [place for place, word in enumerate(words) if content_words(word)]
    if len(spots) < 2 or rng.random() < 0.3:
        return clause, rng.choice(("what", "when", "how", "where"))
    place = rng.choice(spots)
    before = words[place - 1].lower() if place else ""
    is_led = before in _PREPOSITIONS or before in ("a", "the", "an")
    cut = place - 1 if place and is_led else place
    return " ".join(words[:cut] + words[place + 1 :]), _question_word(words[place], before, place)


def _question_word(word: str, before: str, place: int) -> str:
    if re.fullmatch(r"\W*\d{4}\W*", word):
        return "when"
    if word[0].isdigit():
        return "how many"
    if before in _PREPOSITIONS:
        return "where"
    return "who" if word[0].isupper() and place else "what"


def _swap_synonyms(text: str, rng: random.Random, chance: float) -> str:
    """Up to two words swapped, each from another group."""
    swapped = 0
    for group in lists.SYNONYMS:
        for word in group:
            pattern = rf"\b{word}\b"
            if swapped < 2 and re.search(pattern, text, re.IGNORECASE) and rng.random() < chance / (1 + swapped):
                other = rng.choice([one for one in group if one != word])
                text = re.sub(pattern, other, text, count=1, flags=re.IGNORECASE)
                swapped += 1
                break
    return text


def _drop_some(items: Sequence[str], rng: random.Random) -> list[str]:
    kept = [item for item in items if rng.random() > 0.2] or list(items)
    if rng.random() < 0.2:
        rng.shuffle(kept)
    return kept


def _tidy(question: str, rng: random.Random) -> str:
    question = re.sub(r"\s+", " ", question).strip()
    question = re.sub(r"[.,;]+\?", "?", question)
    if rng.random() < 0.1:
        return question.lower()
    return question[:1].upper() + question[1:]
