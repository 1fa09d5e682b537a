"""Evaluation: what counts as remembered, and what as admitted."""

import pytest

from kernel.evaluation import Probe, admits_not_remembering, is_right, own_questions
from kernel.memory import Answer, collect_memories


@pytest.mark.parametrize(
    "answer",
    [
        "I don't remember that.",
        "That I don’t remember, dear.",
        "I'm sorry, I can't recall.",
        "I have forgotten.",
        "这个我不记得了。",
        "孩子，这事我记不得了。",
    ],
)
def test_an_admission_is_recognised(answer: str) -> None:
    assert admits_not_remembering(answer)


@pytest.mark.parametrize("answer", ["I was born in Dunmore.", "我记得那年发大水。", "I remember it well.", ""])
def test_an_answer_is_no_admission(answer: str) -> None:
    assert not admits_not_remembering(answer)


def test_every_group_must_be_in_the_answer_by_one_of_its_alternatives() -> None:
    probe = Probe(question="q", expects=(("1962", "sixty-two"), ("Orla",)))
    assert is_right(probe, "In sixty-two, with ORLA.")
    assert not is_right(probe, "In 1962.")


def test_an_unanswerable_question_is_right_only_when_admitted() -> None:
    probe = Probe(question="q", expects=())
    assert is_right(probe, "I don't remember.") and not is_right(probe, "In Rome.")


def test_without_held_out_questions_the_memories_own_are_asked_and_marked() -> None:
    told = [Answer(question="Where?", answer="I was born in Dunmore."), Answer(question="When?", answer="In 1938.")]
    probes = own_questions(collect_memories(told, elder_name="n", language="en"))
    assert [probe.expects for probe in probes] == [(("Dunmore",),), (("1938",),)]
    assert not any(probe.is_held_out for probe in probes)
