"""The quality filter: what is at fault is dropped with its reason, the elder's own words never are."""

from dataclasses import replace

import pytest

from kernel.evaluation import Probe
from kernel.held_out import HeldOut
from kernel.memory import Answer, Memories, collect_memories
from kernel.sample import Fault, Message, Sample
from kernel.sample_filter import LONGEST, MOST_EXAMPLES, SampleFilter
from tests.elders import sample_memories
from tests.offline import FINDER

NOBODYS = HeldOut([])
BOAT = "Father's boat was the Kittiwake. Uncle Elias built her at Cley in 1934."
TOLD = {
    "en": collect_memories(
        [Answer(question="Tell me about the boat.", answer=BOAT)], elder_name="Margaret Hale", language="en"
    ),
    "zh": collect_memories(
        [Answer(question="您父亲是做什么的？", answer="我爹陈长根撑了一辈子竹筏，运到百官镇去卖。")],
        elder_name="沈阿巧",
        language="zh",
    ),
}


def sample(memories: Memories, completion: str, question: str = "What was she called?") -> Sample:
    prompt = (Message(role="system", content="s"), Message(role="user", content=question))
    return Sample(
        kind="memory_qa", prompt=prompt, completion=completion, memory_ids=(memories.items[0].id,), language="en"
    )


def fault(language: str, completion: str, question: str = "What was she called?") -> Fault | None:
    memories = TOLD[language]
    checked = SampleFilter(memories, held_out=NOBODYS, finder=FINDER)
    if checked.passes(sample(memories, completion, question), [question]):
        assert not checked.dropped
        return None
    [dropped] = checked.dropped
    assert dropped.count == 1 and dropped.examples[0].completion == completion
    return dropped.fault


@pytest.mark.parametrize(
    ("language", "completion", "wrong"),
    [
        ("en", "I remember that Uncle Elias built her at Cley in 1934.", None),
        ("en", "I remember that Uncle Horace built her.", Fault.UNGROUNDED),
        ("en", "I remember that she was built in 1943.", Fault.UNGROUNDED),
        ("en", "我记得那条船是蓝色的。", Fault.LANGUAGE),
        ("en", "Margaret remembers the boat well.", Fault.PERSON),
        ("en", "You told the family about the boat.", Fault.PERSON),
        ("en", "The old woman remembers her boat.", Fault.PERSON),
        ("en", "I am Margaret Hale. Ask me about my boat.", None),
        ("en", "As an AI language model, I have no boat.", Fault.ASSISTANT),
        ("en", "I'm just an AI, but I think she was blue.", Fault.ASSISTANT),
        ("en", "  ", Fault.LENGTH),
        ("en", "I remember her well. " * 40, Fault.LENGTH),
        ("zh", "说得对，我就是这么讲的：我爹撑了一辈子竹筏。", None),
        ("zh", "我记得他是一九四三年走的。", Fault.UNGROUNDED),
        ("zh", "I remember that he had a raft.", Fault.LANGUAGE),
        ("zh", "沈阿巧的父亲是撑竹筏的。", Fault.PERSON),
        ("zh", "老人家的父亲是撑竹筏的。", Fault.PERSON),
        ("zh", "作为一个AI助手，我没有父亲。", Fault.ASSISTANT),
        ("zh", "我是人工智能，没有父亲。", Fault.ASSISTANT),
        ("zh", "我爹撑了一辈子竹筏。" * 40, Fault.LENGTH),
    ],
)
def test_each_fault_is_found_and_a_good_answer_has_none(language: str, completion: str, wrong: Fault | None) -> None:
    assert fault(language, completion) == wrong


def test_a_name_of_the_question_may_be_in_the_answer() -> None:
    assert fault("en", "I don't remember Horace.", question="Who was Horace?") is None
    assert fault("en", "I don't remember Horace.") is Fault.UNGROUNDED


def test_the_same_question_with_the_same_answer_is_taught_once() -> None:
    memories = TOLD["en"]
    checked = SampleFilter(memories, held_out=NOBODYS, finder=FINDER)
    asked = [
        "Who built the boat?",
        "Who built the boat ?",
        "Who built, the boat",
        "who built the boat?",
        "Who built it?",
    ]
    passed = [one for one in asked if checked.passes(sample(memories, BOAT, one), [one])]
    assert passed == ["Who built the boat?", "who built the boat?", "Who built it?"]
    shown = replace(
        sample(memories, BOAT), prompt=(Message(role="user", content=f"My memories:\n- {BOAT}\n\nWho built the boat?"),)
    )
    assert checked.passes(shown, ["Who built the boat?"]), "with a memory in the prompt it is another one"
    assert [(one.fault, one.count) for one in checked.dropped] == [(Fault.COPY, 2)]


def test_what_the_family_measures_with_is_dropped_in_any_turn() -> None:
    memories = TOLD["en"]
    held_out = HeldOut([Probe(question="Who built your father's boat?", expects=(("Elias",),))])
    checked = SampleFilter(memories, held_out=held_out, finder=FINDER)
    assert not checked.passes(sample(memories, BOAT), ["And who was with you?", "Who built your dad's boat?"])
    assert checked.passes(sample(memories, BOAT), ["Where was your father's boat built?"])
    assert [one.fault for one in checked.dropped] == [Fault.HELD_OUT]


def test_only_a_few_examples_of_a_fault_are_kept() -> None:
    memories = TOLD["en"]
    checked = SampleFilter(memories, held_out=NOBODYS, finder=FINDER)
    for number in range(9):
        checked.passes(sample(memories, f"I sold {number + 20} boats."), ["?"])
    [dropped] = checked.dropped
    assert (dropped.count, len(dropped.examples)) == (9, MOST_EXAMPLES)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_memory_of_a_sample_elder_is_at_fault(language: str) -> None:
    memories = sample_memories(language)
    checked = SampleFilter(memories, held_out=NOBODYS, finder=FINDER)
    for memory in memories.items:
        told = replace(sample(memories, memory.text, memory.question), memory_ids=(memory.id,))
        assert checked.passes(told, [memory.question])
    assert LONGEST > max(len(memory.text) for memory in memories.items)
