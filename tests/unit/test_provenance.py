"""Everything that was made leads to its memories, and a memory to everything made of it."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from kernel.bio import Bio
from kernel.conversation import Turn
from kernel.errors import MadeNotFound
from kernel.graph import Community, Entity, EntityGraph, EntityType
from kernel.ids import MemoryId, TurnId
from kernel.memory import LONGEST, Answer, collect_memories
from kernel.note import Note, Notes
from kernel.pair import Pairs, PreferencePair, Verdict
from kernel.provenance import Life, why
from kernel.sample import Message, Sample, Samples
from kernel.topic import Topic, Topics

LONG = "I rowed to the island and back again. " * (LONGEST // 20)
ANSWERS = [
    Answer(question="Where?", answer="I was born in Dunmore, by the harbour."),
    Answer(question="And then?", answer=LONG),
]
MEMORIES = collect_memories(ANSWERS, elder_name="Ann", language="en")
BIRTH, ROWED, *_ = MEMORIES.items


def sample(completion: str, *memories: MemoryId) -> Sample:
    return Sample(
        kind="memory_qa",
        prompt=(Message(role="user", content="Where?"),),
        completion=completion,
        memory_ids=memories,
    )


BORN, REFUSED = sample(BIRTH.text, BIRTH.id), sample("I don't remember.")
PAIR = PreferencePair(
    prompt=BORN.prompt,
    chosen=BORN.completion,
    rejected="In Rome.",
    source="base",
    verdict=Verdict(chosen_score=1.0, rejected_score=0.0, reason="invents"),
    memory_ids=(BIRTH.id,),
)
TURN = Turn(
    id=TurnId("u_1"), question="Where, Gran?", answer="In Dunmore.", memory_ids=(BIRTH.id,), model="v1",
    asked_at=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip
BY_ITSELF = replace(TURN, id=TurnId("u_2"), answer="Good morning.", memory_ids=())
LIFE = Life(
    answers=ANSWERS,
    memories=MEMORIES,
    notes=Notes(
        language="en",
        items=tuple(
            Note(
                memory_id=memory.id, title=f"Note {n}", summary="", insight="", keywords=(), people=(), places=(),
                dates=(), text=memory.text, teacher="builtin",
            )
            for n, memory in enumerate(MEMORIES.items)
        ),
    ),
    topics=Topics(items=(Topic(name="harbour", keywords=("boat",), memory_ids=(BIRTH.id, ROWED.id)),), shades=()),
    bio=Bio(elder_name="Ann", first_person="", second_person="", third_person="Born by the harbour, she rowed.",
            memory_ids=(BIRTH.id, ROWED.id)),
    graph=EntityGraph(
        entities=(Entity(title="DUNMORE", type=EntityType.PLACE, description="", memory_ids=(BIRTH.id,)),),
        relationships=(),
        communities=(Community(level=0, titles=("DUNMORE", "HARBOUR"), memory_ids=(BIRTH.id,)),),
    ),
    samples=Samples(items=(BORN, REFUSED)),
    pairs=Pairs(items=(PAIR,), ties_dropped=0),
    turns=(TURN, BY_ITSELF),
)  # fmt: skip


def test_a_memory_leads_to_all_that_was_made_of_it() -> None:
    origin = why(LIFE, BIRTH.id)
    assert origin.memories == (BIRTH,)
    assert [made.id for made in origin.made] == [
        "Note 0", "harbour", "biography", "DUNMORE", "0: DUNMORE, HARBOUR", BORN.id, PAIR.id, TURN.id
    ]  # fmt: skip


@pytest.mark.parametrize("thing", [BORN.id, PAIR.id, TURN.id])
def test_a_sample_a_pair_and_a_turn_lead_to_their_memory_and_not_to_themselves(thing: str) -> None:
    origin = why(LIFE, thing)
    assert origin.memories == (BIRTH,)
    assert thing not in {made.id for made in origin.made} and len(origin.made) == 7


def test_a_long_answer_leads_to_each_of_its_memories() -> None:
    origin = why(LIFE, ANSWERS[1].id)
    assert len(origin.memories) > 1 and BIRTH not in origin.memories


def test_an_answer_of_many_lines_leads_to_its_memories_and_a_short_one_to_its_own_alone() -> None:
    lines = Answer(question="The war?", answer="\r\n".join(f"In year {n} we went hungry again." for n in range(80)))
    short = Answer(question="Who?", answer="In Dunmore")
    memories = collect_memories([*ANSWERS, lines, short], elder_name="Ann", language="en")
    life = replace(LIFE, answers=[*ANSWERS, lines, short], memories=memories)
    assert len(why(life, lines.id).memories) >= 2
    assert [memory.text for memory in why(life, short.id).memories] == ["In Dunmore"]


@pytest.mark.parametrize("thing", [REFUSED.id, BY_ITSELF.id])
def test_a_refusal_and_an_answer_that_was_given_nothing_came_from_no_memory(thing: str) -> None:
    origin = why(LIFE, thing)
    assert (origin.memories, origin.made) == ((), ())


def test_of_what_was_taken_back_nothing_is_left_nor_of_what_rests_on_it_too() -> None:
    left = LIFE.told_in(frozenset(memory.id for memory in MEMORIES.items if memory != BIRTH))
    for gone in (BIRTH.id, BORN.id, PAIR.id, TURN.id):
        with pytest.raises(MadeNotFound):
            why(left, gone)
    assert [made.id for made in why(left, ROWED.id).made] == ["Note 1"]  # topic and biography were made of both
    assert why(left, REFUSED.id).memories == ()


def test_a_memory_that_was_only_shown_beside_the_right_one_is_not_printed() -> None:
    shown = Message(role="user", content=f"My memories:\n- {BIRTH.text}\n- We buried the silver.\n\nWhere?")
    life = replace(LIFE, samples=Samples(items=(replace(BORN, prompt=(shown,)),)))
    text = next(made.text for made in why(life, BIRTH.id).made if made.kind == "sample")
    assert text == f"Where?\n-> {BIRTH.text}"


def test_what_was_never_made_is_said() -> None:
    with pytest.raises(MadeNotFound, match="s_nothing"):
        why(LIFE, "s_nothing")
