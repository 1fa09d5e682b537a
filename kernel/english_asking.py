"""English asking: the many ways in which one memory may be asked for.

The same frames are filled with what a memory tells of (here) and with what no memory tells of (kernel/english.py),
so that the model cannot tell from its wording whether a question has an answer.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence

from kernel import english_words as lists
from kernel.english_clause import as_you, clauses_of, is_past
from kernel.memory import Memory

_LEAD_INS = (
    "{}",
    "{}",
    "{}",
    "Can you tell me: {}",
    "I would like to know, {}",
    "{} Do you remember?",
    "Do you remember: {}",
)
TOPIC = ("Tell me about {}.", "{}?", "What about {}?", "What can you tell me about {}?", "{}")
THING = (
    "What was the name of the {}?",
    "What was your {}?",
    "What was the {} like?",
    "What kind of {} was it?",
    "Which {} was it?",
    "Whose {} was it?",
    "Who had the {}?",
    "Who gave you the {}?",
    "Who was there with the {}?",
    "Did you have a {}?",
    "Did you ever see a {}?",
    "Was there a {}?",
    "Where was the {}?",
    "Where did you get the {}?",
    "When was the {}?",
    "When did you have the {}?",
    "Which year was the {}?",
    "What colour was the {}?",
    "What was the {} made of?",
    "What did you do with the {}?",
    "What happened with the {}?",
    "What do you remember about the {}?",
    "How much did the {} cost?",
    "How did you come by the {}?",
    "Why the {}?",
)
MIXED = (
    "What did you {}?",
    "Where did you {}?",
    "Who {}?",
    "How did you {}?",
    "When {}?",
    "Why did you {}?",
    "How many {}?",
    "Which {} did you have?",
    "{}",
)
ABOUT = (
    "Who was {}?",
    "What do you remember about {}?",
    "Tell me about {}.",
    "What about {}?",
    "What can you tell me about {}?",
    "What did {} do?",
    "How did you know {}?",
)
YEAR = ("What happened in {}?", "Where were you in {}?", "What did you do in {}?", "Tell me about {}.")


class Asking:
    """An endless supply of ways to ask for one memory. `rarity`: in how many memories each stem is."""

    def __init__(self, memory: Memory, rarity: Counter[str], rng: random.Random) -> None:
        self._rng = rng
        self._question = memory.question or "What do you remember?"
        self._keys = content_words(memory.question) or content_words(memory.answer)[:4]
        told = sorted(set(content_words(memory.answer)), key=lambda word: (rarity[stem(word)], word))
        self._told = [word for word in told if rarity[stem(word)] <= 3][:14] or told or self._keys
        self._things = _things(memory.answer) or self._told
        self._names = _names(memory.answer)
        self._years = re.findall(r"\b1[89]\d\d\b|\b20\d\d\b", memory.answer)
        asked = [question for clause in clauses_of(memory.answer) for question in clause.questions()]
        self._whole = [question for question in asked if len(content_words(question)) > 1]

    def one(self) -> str:
        ways: list[tuple[float, Callable[[], str]]] = [
            (2.0, self._reworded),
            (1.0, self._topic),
            (3.5, self._thing),
            (1.5, self._mixed),
        ]
        if self._whole:
            ways.append((5.0, self._clause))
        if self._names:
            ways.append((1.0, self._name))
        if self._years:
            ways.append((0.5, self._year))
        way = self._rng.choices([one for _, one in ways], [weight for weight, _ in ways])[0]
        return tidy(way(), self._rng)

    def _reworded(self) -> str:
        return led_in(swapped(self._question, self._rng, 0.6), self._rng)

    def _topic(self) -> str:
        words = " ".join(_drop_some(self._keys, self._rng))
        return self._rng.choice(TOPIC).format(swapped(words, self._rng, 0.5))

    def _clause(self) -> str:
        return led_in(swapped(self._rng.choice(self._whole), self._rng, 0.5), self._rng)

    def _thing(self) -> str:
        some = self._rng.sample(self._things, min(self._rng.choice((1, 1, 1, 2)), len(self._things)))
        return self._rng.choice(THING).format(swapped(" and the ".join(some), self._rng, 0.4))

    def _mixed(self) -> str:
        pool = self._keys + self._told[:10]
        some = self._rng.sample(pool, min(len(pool), self._rng.choice((2, 3, 3, 4))))
        return self._rng.choice(MIXED).format(swapped(" ".join(some), self._rng, 0.5))

    def _name(self) -> str:
        return self._rng.choice(ABOUT).format(self._rng.choice(self._names))

    def _year(self) -> str:
        return self._rng.choice(YEAR).format(self._rng.choice(self._years))


def stem(word: str) -> str:
    """A crude stem: possessives, plurals, -ed and -ing off."""
    word = re.sub(r"['’]s?$", "", word.lower())
    for end in ("ings", "ing", "ies", "ied", "ed", "es", "s"):
        if word.endswith(end) and len(word) - len(end) >= 3:
            word = word[: -len(end)] + ("y" if end in ("ies", "ied") else "")
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


def content_words(text: str) -> list[str]:
    return [word for word in words_of(text) if word.lower().replace("’", "'") not in lists.STOP and len(word) > 1]


def words_of(text: str) -> list[str]:
    return re.findall(r"[A-Za-zÀ-ÿ0-9]+(?:['’][a-z]+)?", text)


def _names(text: str) -> list[str]:
    """Capitalised runs that do not open a sentence."""
    found = re.findall(r"(?<![.!?\"“] )(?<!^)\b([A-Z][a-zà-ÿ]+(?:[ -][A-Z][a-zà-ÿ]+)*)", text)
    return sorted({one for one in found if one.lower() not in lists.STOP})


def _things(answer: str) -> list[str]:
    """Runs of telling words, three at most: "biscuit tin", "churchyard yew"."""
    found: list[str] = []
    for part in re.split(r"[^\w'’ -]+", as_you(answer)):
        run: list[str] = []
        for word in [*part.split(), ""]:
            if word[:1].islower() and content_words(word) and not is_past(word):
                run.append(word)
                continue
            if run:
                found.append(" ".join(run[-3:]))
            run = []
    return list(dict.fromkeys(found))


def led_in(question: str, rng: random.Random) -> str:
    """Now and then with words before or behind it."""
    if rng.random() < 0.5:
        question = question[0].lower() + question[1:]
    return rng.choice(_LEAD_INS).format(question)


def swapped(text: str, rng: random.Random, chance: float) -> str:
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


def tidy(question: str, rng: random.Random) -> str:
    question = whole(question)
    return question.lower() if rng.random() < 0.1 else question


def whole(question: str) -> str:
    question = re.sub(r"\s+", " ", question).strip()
    question = re.sub(r"[ .,;]+\?", "?", question)
    return question[:1].upper() + question[1:]
