"""The split: a family that gives no questions is measured all the same, with some that nothing is taught from."""

import functools
import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from adapters.documents import read_upload
from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.ability import Ability
from kernel.adapter import Gguf
from kernel.bio import Bio
from kernel.builtin_teacher import BuiltinTeacher
from kernel.evaluation import Probe
from kernel.feedback import Feedback
from kernel.graph import EntityGraph
from kernel.held_out import HeldOut
from kernel.memory import Answer, Memories, Memory, collect_memories
from kernel.mixture import make_samples
from kernel.note import write_notes
from kernel.pipeline import PIPELINE
from kernel.question import Questions
from kernel.retrieval import Found, Retriever
from kernel.sample import Samples
from kernel.split import MOST, UNANSWERABLE, split_off
from kernel.topic import Topics
from tests.elders import sample_memories
from tests.fakes import Letters, MemoryIndex, Reads
from tests.offline import FINDER

CONFIG = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=ROOT, environ={})
PROMPTS = CONFIG.get_prompts()
RECIPE = CONFIG.get_recipe(CONFIG.get_base_model("qwen2.5-7b-instruct"), threads=1)  # every generator has its share
BIO = Bio(elder_name="M", first_person="", second_person="", third_person="", memory_ids=())
NO_GRAPH = EntityGraph(entities=(), relationships=(), communities=())
LIVES = [(life, language) for life in ("elder", "memoir") for language in ("en", "zh")]
every_life = pytest.mark.parametrize(("life", "language"), LIVES)


@functools.cache
def memories_of(life: str, language: str) -> Memories:
    if life == "elder":
        return sample_memories(language)
    body = (ROOT / "tests" / "memoirs" / language / "memoir.txt").read_bytes()
    told = read_upload("memoir.txt", body, sender="", max_answer_bytes=200_000)
    return collect_memories(told, elder_name="H", language=language)


@functools.cache
def split_of(life: str, language: str) -> tuple[Probe, ...]:
    return split_off(memories_of(life, language), seed=7, finder=FINDER)


@every_life
def test_a_third_of_the_memories_are_asked_for_what_the_question_leaves_out(life: str, language: str) -> None:
    memories = memories_of(life, language)
    answered = [one for one in split_of(life, language) if one.expects]
    assert len(answered) == math.ceil(len(memories.items) / 3)
    for one in answered:
        [group] = one.expects
        assert any(fact in memory.answer for memory in memories.items for fact in group)
        assert not any(fact.casefold() in one.question.casefold() for fact in group)


@every_life
def test_twenty_more_have_no_answer(life: str, language: str) -> None:
    unanswerable = [one.question for one in split_of(life, language) if not one.expects]
    assert len(set(unanswerable)) == UNANSWERABLE


@every_life
def test_nothing_split_off_is_taught_whoever_thought_of_it(life: str, language: str) -> None:
    """A teacher thinks of each of them, as what a memory answers and as what it does not."""
    guard = HeldOut(split_of(life, language))
    leaky, made = samples_of(life, language)
    planted = {one.question for one in split_of(life, language)}
    assert len(planted.intersection(asked_in(leaky))) > 0.9 * len(planted), "without the guard they are"
    assert not [one for one in asked_in(made) if guard.holds(one)]


@every_life
def test_the_mixture_stays_as_it_is(life: str, language: str) -> None:
    """Nearly as many samples as without the guard, as many of them refusals; every memory is still taught whole."""
    memories = memories_of(life, language)
    plain, made = (samples.items for samples in samples_of(life, language))
    assert len(made) > 0.95 * len(plain)
    shares = [sum(one.is_refusal for one in some) / len(some) for some in (plain, made)]
    assert shares[1] == pytest.approx(shares[0], abs=0.02)
    taught = {id for one in made if not one.is_opening for id in one.memory_ids}
    assert taught == {memory.id for memory in memories.items}


@every_life
def test_no_memorys_own_question_is_split_off(life: str, language: str) -> None:
    guard = HeldOut(split_of(life, language))
    assert not any(guard.holds(memory.question) for memory in memories_of(life, language).items)


def test_the_same_memories_and_seed_give_the_same_questions_and_another_seed_others() -> None:
    memories = memories_of("elder", "en")
    assert split_off(memories, seed=7, finder=FINDER) == split_of("elder", "en")
    assert split_off(memories, seed=8, finder=FINDER) != split_of("elder", "en")


@pytest.mark.parametrize(
    "answer", ["I was always happy there.", "We had a dog and a cat and we loved them.", "我那时候天天高兴。", "!"]
)
def test_a_memory_that_nothing_tells_apart_gives_no_question(answer: str) -> None:
    memories = collect_memories([Answer(question="", answer=answer)], elder_name="M", language="en")
    assert not any(one.expects for one in split_off(memories, seed=7, finder=FINDER))


def test_what_many_memories_tell_is_not_expected_and_of_a_long_life_not_all_is_asked() -> None:
    told = [
        Answer(question="", answer=f"I met Arthur at Dunmore market in {year}, and sold him {year + 3000} eggs there.")
        for year in range(1820, 2000)
    ]
    found = split_off(collect_memories(told, elder_name="M", language="en"), seed=7, finder=FINDER)
    answered = [one for one in found if one.expects]
    assert 0 < len(answered) <= MOST
    assert not any(fact in ("Arthur", "Dunmore") for one in answered for [group] in [one.expects] for fact in group)


# ---- the pipeline -----------------------------------------------------------------------------------------------


def test_the_evaluation_asks_what_the_samples_were_split_from_and_says_whose_questions_they_are(tmp_path: Path) -> None:
    memories = memories_of("memoir", "en")
    (tmp_path / "model.gguf").write_bytes(b"GGUF")
    gguf = Gguf(base="b", quantisation="q8_0", same_answers=1, asked=1, folder=tmp_path)
    own = (Probe(question="When did the pony die?", expects=(("1950",),)),)
    split, familys = (_stage("evaluate").run(_desk(probes), gguf, memories) for probes in ((), own))
    assert {one.question for one in split.results} == {one.question for one in split_of("memoir", "en")}
    assert {one.question for one in familys.results} == {"When did the pony die?"}
    assert (split.is_familys, familys.is_familys) == (False, True)
    settings = _stage("evaluate").settings
    assert settings(_desk(())) != settings(_desk((), seed=8))


def test_what_is_split_off_is_in_no_sample_of_the_pipeline(tmp_path: Path) -> None:
    boat = "My father built the Kittiwake at Stiffkey in 1934, and sold her at Cley in 1951."
    told = [Answer(question="Tell me about the boat.", answer=boat)]
    memories = collect_memories(told, elder_name="M", language="en")
    split = split_off(memories, seed=7, finder=FINDER)
    assert split[0].expects

    def think(memory: Memory) -> Questions:
        return Questions(memory_id=memory.id, answered=(split[0].question, "Was she a good boat, the Kittiwake?"))

    teacher = SimpleNamespace(think_of_questions=think)
    made = {"collect_memories": memories, "write_notes": write_notes(memories, teacher=BuiltinTeacher(FINDER))}
    made |= {"find_topics": Topics(items=(), shades=()), "write_bio": BIO, "index_graph": NO_GRAPH}
    stage = _stage("make_samples")
    taught = []
    for probes in (split[1:], ()):
        desk = _desk(probes, teacher=teacher, folder=tmp_path)
        taught.append(set(asked_in(stage.run(desk, *(made[name] for name in stage.reads)))))
    assert split[0].question in taught[0] and "Was she a good boat, the Kittiwake?" in taught[1]
    assert not any(HeldOut(split).holds(one) for one in taught[1])


def test_a_correction_of_what_was_split_off_makes_no_pair() -> None:
    memories = memories_of("memoir", "en")
    made = {"train_sft": None, "make_samples": Samples(items=()), "write_notes": None, "write_bio": BIO}
    made |= {"index_graph": None, "collect_memories": memories}
    split = split_of("memoir", "en")[0].question
    for question, pairs in ((split, 0), ("Who mended the clock?", 1)):
        feedback = Feedback(
            member="", question=question, answer="Nobody.", memory_ids=(), model="", is_up=False, correction="Mr Rudd.",
            given_at=None,  # type: ignore[arg-type]
        )  # fmt: skip
        stage = _stage("make_pairs")
        found = stage.run(_desk((), feedback=(feedback,)), *(made[name] for name in stage.reads))
        assert len(found.items) == pairs


def _stage(name: str) -> Any:
    return next(stage for stage in PIPELINE if stage.name == name)


def _desk(probes: tuple[Probe, ...], *, seed: int = 7, feedback: tuple[Feedback, ...] = (), **more: Any) -> Any:
    def answer(model: object, prompts: list[object], **_: object) -> list[str]:
        return ["I was born in Dunmore."] * len(prompts)

    def retriever(memories: Memories) -> Retriever:
        return Retriever(memories, index=MemoryIndex(Letters()), reranker=Reads(), tenant="t", elder="e")  # type: ignore[arg-type]

    base = SimpleNamespace(key="b", gguf_path=ROOT / "README.md")
    recipe = replace(RECIPE, seed=seed, base=base)  # type: ignore[arg-type]
    return SimpleNamespace(
        probes=probes,
        feedback=feedback,
        recipe=recipe,
        recipe_for=lambda _: recipe,
        trainer=SimpleNamespace(answer=answer, propose=lambda *_, **__: []),
        retriever=retriever,
        finder=FINDER,
        prompts=PROMPTS,
        language="en",
        read_language="en",
        reranker=Reads(),
        judge=None,
        scratch=ROOT,
        ability={"en": Ability(system="s", probes=())},
        begins_with=0,
        earlier=tuple,
        report=lambda *_, **__: None,
        **more,
    )


# ---- samples --------------------------------------------------------------------------------------------------------


class LastOnes:
    """A retriever that always shows the last memories."""

    def __init__(self, memories: Memories) -> None:
        self._memories = memories

    def find_unread(self, question: str, limit: int) -> Found:
        return Found(memories=self._memories.items[-limit:], is_sure=False)


@functools.cache
def samples_of(life: str, language: str) -> tuple[Samples, Samples]:
    """Without the guard and with it."""
    memories, split = memories_of(life, language), split_of(life, language)
    near = tuple(one.question for one in split if not one.expects)
    answered = [one.question for one in split if one.expects]
    thought = [
        Questions(memory_id=memory.id, answered=(question,), unanswered=near)
        for memory, question in zip(memories.items, answered, strict=False)
    ]

    def made(held_out: HeldOut) -> Samples:
        return make_samples(
            memories,
            write_notes(memories, teacher=BuiltinTeacher(FINDER)),
            Topics(items=(), shades=()),
            BIO,
            NO_GRAPH,
            asked=thought,
            held_out=held_out,
            retriever=LastOnes(memories),  # type: ignore[arg-type]
            finder=FINDER,
            prompts=PROMPTS,
            shown=2,
            seed=7,
            counts=RECIPE.samples,
        )

    return made(HeldOut([])), made(HeldOut(split))


def asked_in(samples: Samples) -> list[str]:
    """All that the family says in them, without the memories that are shown before it."""
    turns = [turn.content for one in samples.items for turn in one.prompt[1:] if turn.role == "user"]
    return [turn.rpartition("\n\n")[2] for turn in turns]
