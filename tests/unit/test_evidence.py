"""Evidence: an answer's words are found in the memory that they come from, and nothing is found that is not there."""

import pytest

from kernel.evidence import evidence_of, quotation_of, shared_words
from kernel.memory import Answer, collect_memories

EN = "I was born in Dunmore, County Galway, in March 1938. My mother kept hens behind the half-door."
ZH = "我一九三八年生在山东临沂的一个小村子，村口有棵大槐树，夏天全村人都在树下乘凉。"


@pytest.mark.parametrize(
    ("text", "answer", "words"),
    [
        (EN, "I was born in Dunmore in 1938, dear.", ("born in Dunmore", "1938")),
        (EN, "Mum kept hens.", ("mother kept hens",)),
        (EN, "She was keeping a hen.", ("kept hens",)),
        (EN, "I don't remember that.", ()),
        (EN, "It rained all summer in Rome.", ()),
        (EN, "", ()),
        (ZH, "我生在山东临沂，村口有棵大槐树。", ("山东临沂", "村口有棵大槐树")),
        (ZH, "这个我不记得了。", ()),
        (ZH, "我在罗马买了车。", ()),
    ],
)
def test_what_the_answer_shares_is_marked_as_the_memory_says_it(text: str, answer: str, words: tuple[str, ...]) -> None:
    assert shared_words(text, answer) == words
    assert all(piece in text for piece in words)


def test_only_memories_that_share_words_are_evidence() -> None:
    told = [Answer(question="Where?", answer=EN), Answer(question="Dog?", answer="Our dog was called Captain.")]
    born, dog = collect_memories(told, elder_name="n", language="en").items
    [found] = evidence_of("I was born in Dunmore.", [dog, born])
    assert (found.memory_id, found.words) == (born.id, ("born in Dunmore",))


@pytest.mark.parametrize(
    ("text", "answer", "is_one"),
    [
        (EN, "Well: I was born in Dunmore, County Galway, as you know.", True),
        (EN, "A friend was born in Dunmore.", False),
        ("Our dog was called Captain.", "The dog? We called him Captain.", True),
        ("I was a baker.", "The baker gave us bread.", False),
        (ZH, "夏天全村人都在树下乘凉，真热闹。", True),
        (ZH, "我有一棵小树。", False),
    ],
)
def test_a_quotation_is_told_from_a_word_in_common(text: str, answer: str, is_one: bool) -> None:
    told = [Answer(question="q", answer="The river froze over."), Answer(question="q", answer=text)]
    assert quotation_of(collect_memories(told, elder_name="n", language="en").items)(answer) is is_one
