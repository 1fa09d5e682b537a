"""Feedback reaches the next training: corrections as pairs, praise as questions that are asked again."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.ability import Ability
from kernel.adapter import Gguf
from kernel.bio import Bio
from kernel.evaluation import Probe
from kernel.feedback import (
    MOST_REGRESSIONS,
    Feedback,
    family_pairs,
    lessons,
    not_held_by_memories,
    regression_questions,
)
from kernel.gate import regressed
from kernel.graph import EntityGraph
from kernel.judge import Background, GroundedJudge
from kernel.memory import PART, Answer, collect_memories
from kernel.note import Notes
from kernel.pair import PreferencePair, make_pairs
from kernel.pipeline import PIPELINE
from kernel.retrieval import Retriever
from kernel.sample import Message, Sample, Samples
from tests.fakes import Letters, MemoryIndex, Names, Reads

YEARS = range(1950, 1960)
NOON = datetime(2026, 1, 2, tzinfo=UTC)
PROMPTS = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=ROOT, environ={}).get_prompts()
MEMORIES = collect_memories(
    [
        Answer(question="Where were you born?", answer="I was born in Dunmore in 1938."),
        Answer(question="Did you have a dog?", answer="Our dog Captain walked me to school."),
        Answer(
            question="The flood?",
            answer=" ".join(f"In {year} the river rose over the quay and we carried the beds up." for year in YEARS),
        ),
    ],
    elder_name="Ann",
    language="en",
)
BORN, DOG, FLOOD = MEMORIES.items
GRAPH = EntityGraph(entities=(), relationships=(), communities=())
BIO = Bio(elder_name="Ann", first_person="", second_person="", third_person="", memory_ids=())
BACKGROUND = Background(bio=BIO, notes=Notes(language="en", items=()), graph=GRAPH)


def said(answer: str = "In Rome.", *, minute: int = 0, **told: Any) -> Feedback:
    known = {"member": "Mia", "question": "Where were you born?", "memory_ids": (BORN.id,), "model": "", "is_up": False}
    return Feedback(answer=answer, given_at=NOON + timedelta(minutes=minute), **known | told)


def pairs(*feedback: Feedback, probes: Sequence[Probe] = ()) -> list[PreferencePair]:
    return list(family_pairs(lessons(feedback, probes), MEMORIES, BACKGROUND, prompts=PROMPTS))


def expected(*feedback: Feedback) -> list[tuple[str, tuple[tuple[str, ...], ...]]]:
    return [(one.question, one.expects) for one in regression_questions(feedback, MEMORIES, Names())]


# ---- pairs --------------------------------------------------------------------------------------------------


def test_a_correction_is_chosen_over_the_answer_with_what_the_answer_was_shown() -> None:
    [pair] = pairs(said(correction="I was born in Tuam."))
    assert (pair.chosen, pair.rejected, pair.source) == ("I was born in Tuam.", "In Rome.", "family")
    assert (pair.verdict.reason, pair.verdict.judge, pair.memory_ids) == ("corrected", "family", (BORN.id,))
    system, asked = pair.prompt
    assert system.content.startswith("You are Ann") and asked.content.endswith("Where were you born?")
    assert BORN.text in asked.content and DOG.text not in asked.content


def test_of_a_long_memory_the_part_that_was_shown_is_in_the_prompt() -> None:
    [pair] = pairs(said("In 1957.", question="When?", memory_ids=(FLOOD.id,), correction="In 1958 it was."))
    assert "1957" in pair.prompt[-1].content and "1950" not in pair.prompt[-1].content
    assert len(pair.prompt[-1].content) < PART * 1.5


def test_a_thumb_down_alone_is_a_pair_only_where_the_memory_was_surely_meant_and_says_it_better() -> None:
    [pair] = pairs(said("I was born in Rome, dear, and lived in Paris."))
    assert (pair.chosen, pair.source, pair.verdict.judge) == (BORN.text, "family", GroundedJudge.name)
    assert pairs(said(BORN.text)) == [], "the memory's own words are no better than themselves"
    assert pairs(said(memory_ids=(BORN.id, DOG.id))) == [], "neither may be the answer"
    assert pairs(said(memory_ids=())) == []


def test_praise_an_unchanged_answer_and_a_memory_that_is_gone_make_no_pair() -> None:
    assert pairs(said(is_up=True)) == []
    assert pairs(said("in rome", correction="In Rome.")) == []
    assert pairs(said(memory_ids=("m_gone",))) == []


def test_the_newest_word_on_an_answer_is_heard() -> None:
    newest = said(correction="I was born in Tuam.", minute=9)
    assert [one.chosen for one in pairs(newest, said(member="Jo", correction="In Cork."))] == ["I was born in Tuam."]
    assert pairs(said(member="Jo", is_up=True, minute=9), said(correction="In Cork.")) == []


@pytest.mark.parametrize("kept", ["where were you  born", "Can you tell me where you were born, Grandma?"])
def test_neither_a_held_out_question_nor_a_near_copy_is_trained_on(kept: str) -> None:
    probe = Probe(question=kept, expects=(("Dunmore",),))
    assert pairs(said(correction="I was born in Tuam."), probes=[probe]) == []


def test_a_question_that_fills_a_small_models_prompt_is_not_trained_on() -> None:
    assert pairs(said(question="Where? " * 100, correction="I was born in Tuam.")) == []


def _samples() -> Samples:
    told = [
        Sample(
            kind="memory_qa",
            prompt=(Message(role="system", content="s"), Message(role="user", content=f"q{number}")),
            completion=f"I mended net number {number} by the old harbour wall, and went home.",
            memory_ids=(BORN.id,),
        )
        for number in range(20)
    ]
    return Samples(items=tuple(told))


@pytest.mark.parametrize(("family", "made"), [(0, 8), (3, 5), (30, 4)])
def test_the_familys_pairs_are_all_in_and_first_and_half_of_the_others_stay(family: int, made: int) -> None:
    own = pairs(*(said(question=f"Where {number}?", correction="I was born in Tuam.") for number in range(family)))
    found = make_pairs(_samples(), [], BACKGROUND, judge=GroundedJudge(), limit=8, seed=1, family=own).items
    assert list(found[:family]) == own
    assert len(found) - family == made and all(pair.source == "rule" for pair in found[family:])


# ---- the pipeline -----------------------------------------------------------------------------------------------


def _stage(name: str) -> Any:
    return next(stage for stage in PIPELINE if stage.name == name)


def _desk(*feedback: Feedback, **more: Any) -> Any:
    dpo, base = SimpleNamespace(max_pairs=4), SimpleNamespace(key="b", gguf_path=ROOT / "README.md")
    recipe = SimpleNamespace(dpo=dpo, base=base, seed=1, retrieved_memories=2, max_new_tokens=9, recalls_first=False)
    known = {
        "recipe": recipe,
        "recipe_for": lambda _: recipe,
        "judge": GroundedJudge(),
        "prompts": PROMPTS,
        "language": "en",
        "probes": (),
    }
    known |= {"reranker": Reads(), "read_language": "en", "finder": Names(), "report": lambda *_, **__: None}
    known |= {
        "begins_with": 0,
        "earlier": tuple,
        "ability": {"en": Ability(system="s", probes=(Probe(question="2 + 3?", expects=()),))},
    }
    return SimpleNamespace(feedback=feedback, **known | more)


def test_a_correction_comes_to_the_pairs_of_the_next_training() -> None:
    trainer = SimpleNamespace(propose=lambda *_, **__: [])
    desk = _desk(said(correction="I was born in Tuam."), trainer=trainer, scratch=ROOT)
    made = {"train_sft": None, "make_samples": _samples(), "write_notes": BACKGROUND.notes, "write_bio": BIO}
    made |= {"index_graph": GRAPH, "collect_memories": MEMORIES}
    stage = _stage("make_pairs")
    first, *rest = stage.run(desk, *(made[name] for name in stage.reads)).items
    assert (first.source, first.chosen) == ("family", "I was born in Tuam.") and rest


@pytest.mark.parametrize("name", ["make_pairs", "evaluate"])
def test_what_is_made_with_feedback_is_made_anew_when_it_changes_and_not_when_it_is_said_again(name: str) -> None:
    settings = _stage(name).settings
    before = settings(_desk(said(correction="In Tuam.")))
    assert settings(_desk(said(correction="In Tuam.", minute=5))) == before
    assert settings(_desk(said(correction="In Cork."))) != before != settings(_desk())


def test_what_was_praised_is_asked_again_of_the_new_version_and_counts_for_no_share(
    tmp_path: Path,
) -> None:
    asked: list[int] = []

    def answer(model: Any, prompts: Sequence[Any], **_: Any) -> list[str]:
        asked.append(len(prompts))
        return ["I was born in Dunmore in 1938."] * len(prompts)

    def retriever(memories: Any) -> Retriever:
        return Retriever(memories, index=MemoryIndex(Letters()), reranker=Reads(), tenant="t", elder="e")  # type: ignore[arg-type]

    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    probes = (Probe(question="When?", expects=(("1938",),)),)
    praised = said(BORN.text, is_up=True)
    mended = said("Rex.", question="The dog?", correction="It was our Captain.")
    found = [
        _stage("evaluate").run(
            _desk(*feedback, trainer=SimpleNamespace(answer=answer), retriever=retriever, probes=probes),
            Gguf(base="b", quantisation="q8_0", same_answers=1, asked=1, folder=tmp_path),
            MEMORIES,
        )
        for feedback in ((), (praised, mended))
    ]
    assert asked == [2, 1, 2, 1, 2, 1, 2, 3]
    plain, judged = found
    assert (plain.arms, plain.questions, plain.results) == (judged.arms, judged.questions, judged.results)
    assert [one.is_right for one in judged.regressions] == [True, False]
    assert regressed(judged) == ("The dog?",) and regressed(plain) == ()


# ---- regression questions -----------------------------------------------------------------------------------------


def test_praise_and_a_correction_are_asked_again_with_their_facts() -> None:
    praised = said("I was born in Dunmore in 1938.", is_up=True)
    mended = said("Rex.", question="What was the dog called?", correction="We called him Captain.")
    assert expected(praised, mended) == [
        ("Where were you born?", (("Dunmore",), ("1938",))),
        ("What was the dog called?", (("Captain",),)),
    ]
    held = {one.question: one.is_held_out for one in regression_questions([praised, mended], MEMORIES, Names())}
    assert held == {"Where were you born?": True, "What was the dog called?": False}, "a correction is trained on"


def test_an_answer_that_rightly_did_not_remember_must_not_be_made_up_later() -> None:
    assert expected(said("I don't remember that.", question="In Rome?", is_up=True)) == [("In Rome?", ())]


def test_what_cannot_be_checked_is_not_asked_and_the_question_gives_no_fact_away() -> None:
    assert expected(said("it was lovely.", is_up=True), said(question="b?")) == []
    assert expected(said("I saw Rome with Tom.", question="Did you see Rome?", is_up=True)) == [
        ("Did you see Rome?", (("Tom",),))
    ]


def test_a_question_is_asked_again_once_and_only_the_newest_are() -> None:
    assert expected(
        said("I lived in Tuam.", minute=2, is_up=True),
        said("I lived in Cork.", question="where were you BORN", is_up=True),
    ) == [("Where were you born?", (("Tuam",),))]
    many = [said("I lived in Tuam.", question=f"q{number}", is_up=True) for number in range(MOST_REGRESSIONS + 9)]
    assert len(expected(*many)) == MOST_REGRESSIONS


def test_a_correction_is_flagged_where_it_names_what_no_memory_holds() -> None:
    flagged = not_held_by_memories("I was born in Dunmore in 1940, near Tuam.", "q", MEMORIES, Names())
    assert flagged == ("Tuam", "1940")
    assert not_held_by_memories("I was born near Tuam.", "Was it Tuam?", MEMORIES, Names()) == ()
