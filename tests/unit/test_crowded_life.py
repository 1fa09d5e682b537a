"""The life that retrieval is measured in: nothing in it is a copy, and questions are in other words."""

import pytest
import yaml

from bench.crowded_life import LIVES, crowded_life
from kernel.language import tokens


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_life_is_as_long_as_was_asked_for_and_no_two_memories_are_the_same(language: str) -> None:
    life = crowded_life(language, memories=5000, questions=300)
    ids = {memory.id for memory in life.memories.items}
    assert len(ids) == 5000
    assert [len(asked) for asked in life.asked.values()] == [84, 150, 150]
    assert all(one.memory in ids for asked in life.asked.values() for one in asked)
    assert life == crowded_life(language, memories=5000, questions=300)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_other_words_for_a_thing_are_other_words(language: str) -> None:
    life = yaml.safe_load((LIVES / f"{language}.yaml").read_text(encoding="utf-8"))
    things = [pair for event in life["events"] for pair in event["things"].items()]
    long = {"en": 1, "zh": 2}[language]  # a single character is in too many words
    same = [(one, other) for one, other in things if {t for t in tokens(one) if len(t) >= long} & set(tokens(other))]
    assert len(things) == 100 and not same
