"""English phrasing: whole questions from the elder's clauses, and refusals that hold nothing the elder told."""

import random

import pytest

from kernel.english import EnglishPhrasing
from kernel.english_asking import content_words, stem
from kernel.english_clause import base_form, clauses_of
from kernel.memory import Answer, collect_memories
from tests.elders import sample_memories


@pytest.mark.parametrize(
    ("past", "base"),
    [
        ("made", "make"),
        ("built", "build"),
        ("married", "marry"),
        ("stopped", "stop"),
        ("baked", "bake"),
        ("danced", "dance"),
        ("carried", "carry"),
        ("rented", "rent"),
        ("asked", "ask"),
        ("crossed", "cross"),
        ("buried", "bury"),
    ],
)
def test_a_past_verb_finds_its_base_form(past: str, base: str) -> None:
    assert base_form(past) == base


def test_a_clause_is_asked_for_by_each_of_its_parts() -> None:
    asked = {question for clause in clauses_of("Edwin built a boat in 1934.") for question in clause.questions()}
    assert {
        "who built a boat in 1934?",
        "when did Edwin build a boat?",
        "which year did Edwin build a boat?",
        "what did Edwin build in 1934?",
        "did Edwin build a boat in 1934?",
    } <= asked


def test_i_is_you_and_she_is_named_where_one_woman_is_told_of() -> None:
    mine, hers = clauses_of("I worked in a shop with my mother, Dora. She made the dresses by the window.")
    assert (mine.subject, " ".join(mine.rest)) == ("you", "in a shop with your mother")
    assert hers.subject == "your mother"


def test_a_sentence_without_a_past_verb_makes_no_clause() -> None:
    assert clauses_of("Only my brother Tom. A slow tide still fills the harbour.") == []


def test_every_memory_can_be_asked_for_in_forty_ways_that_all_differ() -> None:
    memories = sample_memories("en").items
    phrasing = EnglishPhrasing(memories)
    for memory in memories:
        questions = phrasing.questions(memory, 40, random.Random(7))
        assert len(set(questions)) == 40 and questions[0] == memory.question


def test_what_nobody_told_is_asked_with_words_that_no_memory_holds() -> None:
    """But for who it is about: "your father's passport" is asked although the father is told of."""
    memories = collect_memories(
        [Answer(question="Who was your friend?", answer="Orla kept white pigeons and a piano in Dunmore.")],
        elder_name="M",
        language="en",
    )
    told = {stem(word) for word in content_words("Orla kept white pigeons and a piano in Dunmore")}
    asked = EnglishPhrasing(memories.items).unanswerable(random.Random(7))
    assert len(asked) > 300
    assert not [question for question in asked if told & {stem(word) for word in content_words(question)}]
