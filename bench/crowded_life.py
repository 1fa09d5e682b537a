"""A life of thousands of memories: the sample elder's own, among invented ones that are like each other.

Each invented memory has its own person, place, year and thing, and shares each of them with fifty others or more. It is
asked for in other words than it was told in: of those a question keeps the first name or the place, and every second
question the thing as well. The same numbers always make the same life.
"""

import json
import random
from dataclasses import dataclass
from pathlib import Path

import yaml

from config.settings import ROOT
from kernel.ids import MemoryId, memory_id
from kernel.memory import Answer, Memories, collect_memories

SAMPLES = ROOT / "config" / "sample_elders"
LIVES = Path(__file__).parent / "crowded_lives"
YEARS = range(1935, 1996)


@dataclass(frozen=True, kw_only=True)
class Asked:
    question: str
    memory: MemoryId  #: the one that answers


@dataclass(frozen=True, kw_only=True)
class Life:
    memories: Memories
    asked: dict[str, list[Asked]]  #: by where the questions are from


def crowded_life(language: str, *, memories: int, questions: int, seed: int = 7) -> Life:
    """At most 5,000 invented memories besides the sample elder's."""
    own = {row["id"]: Answer(question=row["question"], answer=row["answer"]) for row in _rows(language, "memories")}
    invented = _invented(language, random.Random(seed))[: memories - len(own)]
    told = [*own.values(), *(one.answer for one in invented)]
    some = invented[:questions]
    return Life(
        memories=collect_memories(told, elder_name="bench", language=language),
        asked={
            "sample elder": [_asked(row["question"], own[row["memory"]]) for row in _rows(language, "held_out")],
            "invented": [_asked(one.in_other_words, one.answer) for one in some[::2]],
            "invented, thing named": [_asked(one.naming_the_thing, one.answer) for one in some[1::2]],
        },
    )


@dataclass(frozen=True, kw_only=True)
class _Invented:
    answer: Answer
    in_other_words: str  #: a question
    naming_the_thing: str  #: the same


def _invented(language: str, rng: random.Random) -> list[_Invented]:
    """Every thing with every first name and every place once, in a mixed order."""
    life = yaml.safe_load((LIVES / f"{language}.yaml").read_text(encoding="utf-8"))
    made = []
    for event in life["events"]:
        for thing, other_words in event["things"].items():
            places = rng.sample(life["places"], len(life["places"]))
            for first, place in zip(life["first_names"], places, strict=True):
                facts = {"first": first, "last": rng.choice(life["last_names"]), "place": place}
                told = event["told"].format(**facts, year=rng.choice(YEARS), thing=thing)
                after = ("" if language == "zh" else " ").join(["", *rng.sample(life["after"], 2)])
                asked = rng.choice(event["asked"])
                made.append(
                    _Invented(
                        answer=Answer(question=event["question"], answer=told + after),
                        in_other_words=asked.format(**facts, thing=other_words),
                        naming_the_thing=asked.format(**facts, thing=thing),
                    )
                )
    rng.shuffle(made)
    return made


def _asked(question: str, answer: Answer) -> Asked:
    return Asked(question=question, memory=memory_id(answer.question, answer.answer))


def _rows(language: str, name: str) -> list[dict[str, str]]:
    lines = (SAMPLES / language / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]
