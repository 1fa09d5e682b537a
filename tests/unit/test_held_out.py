"""What the family measures with reaches no generator: no such question, nor a near copy, whoever thought of it."""

import copy
import functools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel.evaluation import Probe
from kernel.held_out import HeldOut
from kernel.memory import Memories
from kernel.question import Questions
from tests.elders import held_out, sample_memories
from tests.unit.test_generators import Life

LANGUAGES = ("en", "zh")
PROBES = {language: [one.question for one in held_out(language)] for language in LANGUAGES}
CLOTHES = {
    "en": ("{}", "  {}", "Can you tell me: {}", "{} Do you remember?", "Tell me, {}", "Please, {}"),
    "zh": ("{}", "{}？", "请问{}", "奶奶，{}", "我想知道{}", "{}您还记得吗？"),
}


@functools.cache
def life_of(language: str) -> Life:
    return Life(language)


def probe(question: str) -> Probe:
    return Probe(question=question, expects=(("x",),))


def near_copies(language: str) -> st.SearchStrategy[tuple[str, str]]:
    """(a held-out question, the same in other clothes)."""

    def dressed(question: str, clothes: str, is_lower: bool) -> tuple[str, str]:
        asked = clothes.format(question)
        return question, asked.lower() if is_lower else asked

    return st.builds(dressed, st.sampled_from(PROBES[language]), st.sampled_from(CLOTHES[language]), st.booleans())


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(data=st.data())
def test_a_held_out_question_in_other_clothes_is_held_out(language: str, data: st.DataObject) -> None:
    question, asked = data.draw(near_copies(language))
    assert HeldOut([probe(question)]).holds(asked)


@pytest.mark.parametrize("language", LANGUAGES)
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(data=st.data())
def test_a_planted_one_is_in_no_sample(language: str, data: st.DataObject) -> None:
    """Planted as a memory's own question and as what a teacher thought of, answered, unanswered and needed."""
    planted = data.draw(st.lists(near_copies(language), min_size=4, max_size=4, unique_by=lambda pair: pair[0]))
    life = copy.copy(life_of(language))
    guard = HeldOut([probe(question) for question, _ in planted])
    (_, own), (_, answered), (_, near), (_, need) = planted
    life.memories = _asked(life.memories, own)
    thought = Questions(memory_id=life.ids[0], answered=(answered,), unanswered=(near,), needs=(need,))
    leaky = life.samples((thought,), held_out=HeldOut([]), context=1)
    assert any(_holds(guard, one.prompt[-1].content) for one in leaky.items), "without the guard it leaks"
    made = life.samples((thought,), held_out=guard, context=1)
    for sample in made.items:
        for turn in sample.prompt[1:]:
            assert turn.role != "user" or not _holds(guard, turn.content)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_probe_is_held_out_and_no_question_of_a_memory_is(language: str) -> None:
    """None of the sample elders' own questions is lost to the guard."""
    guard = HeldOut([probe(question) for question in PROBES[language]])
    assert all(guard.holds(question) for question in PROBES[language])
    assert not any(guard.holds(memory.question) for memory in sample_memories(language).items)


@pytest.mark.parametrize(
    ("question", "other"),
    [
        ("When did you marry?", "Where did you marry?"),
        ("What was your mum's first name?", "What was your dad's first name?"),
        ("您是哪年结婚的？", "您是在哪里结婚的？"),
        ("您母亲叫什么名字？", "您父亲叫什么名字？"),
        ("Who taught you to read?", "Who taught you to drive?"),
    ],
)
def test_another_question_with_the_same_words_is_not_a_copy(question: str, other: str) -> None:
    assert not HeldOut([probe(question)]).holds(other)


def test_a_question_of_stop_words_alone_holds_only_itself() -> None:
    guard = HeldOut([probe("And then?")])
    assert guard.holds("and then") and not guard.holds("What about it?") and not HeldOut([]).holds("And then?")


def _asked(memories: Memories, question: str) -> Memories:
    first, *others = memories.items
    return replace(memories, items=(replace(first, question=question), *others))


def _holds(guard: HeldOut, content: str) -> bool:
    """The question behind what is shown; of a critique, the need before the expert's answer."""
    asked = content.rpartition("\n\n")[2]
    return any(guard.holds(one) for one in (asked, asked.split(" An expert")[0], asked.split("有位专家")[0]))
