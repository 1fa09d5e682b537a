"""Samples and pairs: only the elder's words are right, refusals are taught, the measured mixture stays as it is."""

import functools
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.admission import admits_not_remembering
from kernel.bio import Bio
from kernel.english_asking import content_words, stem
from kernel.graph import Entity, EntityGraph, EntityType
from kernel.held_out import HeldOut
from kernel.judge import Background, GroundedJudge
from kernel.memory import PART, Answer, Memories, collect_memories
from kernel.mixture import make_samples
from kernel.note import Notes
from kernel.pair import Candidate, ask_candidates, judge_pair, make_pairs, perturb
from kernel.question import Questions
from kernel.retrieval import Found
from kernel.sample import Samples
from kernel.topic import Topics
from tests.offline import FINDER

CONFIG = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=ROOT, environ={})
PROMPTS = CONFIG.get_prompts()


@dataclass
class FirstOnes:
    """A retriever that always shows the first memories."""

    memories: Memories

    def find_unread(self, question: str, limit: int) -> Found:
        return Found(memories=self.memories.items[:limit], is_sure=False)


def _memories(language: str) -> Memories:
    rows = (ROOT / "config" / "sample_elders" / language / "memories.jsonl").read_text(encoding="utf-8").splitlines()
    told = [Answer(question=row["question"], answer=row["answer"]) for row in map(json.loads, rows)]
    return collect_memories(told, elder_name="Margaret", language=language)


def _bio() -> Bio:
    return Bio(elder_name="M", first_person="", second_person="", third_person="", memory_ids=())


def _background() -> Background:
    graph = EntityGraph(entities=(), relationships=(), communities=())
    return Background(bio=_bio(), notes=Notes(language="en", items=()), graph=graph)


@functools.cache
def _samples(language: str) -> tuple[Memories, Samples]:
    memories = _memories(language)
    return memories, _make(memories, language)


def _make(memories: Memories, language: str, asked: Sequence[Questions] = ()) -> Samples:
    first = memories.items[0]
    entity = Entity(title="X", type=EntityType.PERSON, description="", memory_ids=(first.id,))
    return make_samples(
        memories,
        Notes(language=language, items=()),
        Topics(items=(), shades=()),
        _bio(),
        EntityGraph(entities=(entity,), relationships=(), communities=()),
        asked=asked,
        held_out=HeldOut([]),
        retriever=FirstOnes(memories),  # type: ignore[arg-type]
        finder=FINDER,
        prompts=PROMPTS,
        shown=3,
        seed=7,
        counts=CONFIG.get_recipe(CONFIG.get_current_model(language), threads=1).samples,
    )


@pytest.fixture(params=["en", "zh"], scope="module")
def made(request: pytest.FixtureRequest) -> tuple[Memories, Samples]:
    return _samples(request.param)


def test_a_right_answer_is_a_memorys_own_words_or_a_refusal(made: tuple[Memories, Samples]) -> None:
    memories, samples = made
    texts = {memory.id: memory.text for memory in memories.items}
    for sample in samples.items:
        if sample.memory_ids:
            assert sample.completion == texts[sample.memory_ids[0]]
        elif sample.is_refusal:
            assert admits_not_remembering(sample.completion)


def test_every_memory_is_asked_for_with_and_without_memories_in_the_prompt(
    made: tuple[Memories, Samples],
) -> None:
    memories, samples = made
    head = PROMPTS[memories.language].memories_head
    for memory in memories.items:
        mine = [sample for sample in samples.items if sample.memory_ids == (memory.id,)]
        shown = [sample for sample in mine if sample.prompt[-1].content.startswith(head)]
        assert shown and len(mine) > len(shown)
        assert all(memory.text in sample.prompt[-1].content for sample in shown)
        for some in (shown, [sample for sample in mine if sample not in shown]):
            assert any(not sample.is_opening for sample in some), "a text that nothing teaches whole is never learnt"


def test_a_refusal_is_never_taught_while_its_memory_is_shown(made: tuple[Memories, Samples]) -> None:
    memories, samples = made
    own = {memory.question for memory in memories.items}
    refused = [sample.prompt[-1].content.rpartition("\n\n")[2] for sample in samples.items if sample.is_refusal]
    assert len(refused) > len(samples.items) / 20
    assert not own & set(refused)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_held_out_question_is_among_the_samples(language: str) -> None:
    _, samples = _samples(language)
    folder = ROOT / "config" / "sample_elders" / language
    held_out = {
        json.loads(line)["question"]
        for file in ("held_out.jsonl", "unanswerable.jsonl")
        for line in (folder / file).read_text(encoding="utf-8").splitlines()
    }
    asked = {sample.prompt[-1].content.rpartition("\n\n")[2] for sample in samples.items}
    assert not asked & held_out


@pytest.mark.parametrize("language", ["en", "zh"])
def test_honesty_is_not_taught_with_the_questions_it_is_measured_with(language: str) -> None:
    """No refusal asks for what an unanswerable question of the sample asks for, in whatever words."""
    _, samples = _samples(language)
    refused = [sample.prompt[-1].content.rpartition("\n\n")[2] for sample in samples.items if sample.is_refusal]
    lines = (ROOT / "config" / "sample_elders" / language / "unanswerable.jsonl").read_text(encoding="utf-8")
    for asked in (_telling(json.loads(line)["question"], language) for line in lines.splitlines()):
        near = [one for one in refused if len(asked & _telling(one, language)) > 0.6 * len(asked)]
        assert not near


def _telling(question: str, language: str) -> set[str]:
    if language == "zh":
        return {question[at : at + 2] for at in range(len(question) - 2)}
    return {stem(word) for word in content_words(question)} - {"first", "name", "colour", "tim"}


def test_the_same_memories_and_seed_give_the_same_samples() -> None:
    assert _samples.__wrapped__("en") == _samples("en")


def test_what_a_teacher_thought_of_is_asked_first_and_what_is_near_is_refused_with_memories_in_sight() -> None:
    memories = _memories("en")
    first = memories.items[0]
    thought = Questions(
        memory_id=first.id, answered=("Whereabouts did you arrive?",), unanswered=("Who was the midwife?",)
    )
    samples = _make(memories, "en", [thought])
    asked = [one for one in samples.items if one.prompt[-1].content.endswith(thought.answered[0])]
    assert asked and all(one.memory_ids == (first.id,) and one.completion == first.text for one in asked)
    near = [one for one in samples.items if one.prompt[-1].content.endswith(thought.unanswered[0])]
    assert near and all(one.is_refusal and first.text in one.prompt[-1].content for one in near)
    assert len(samples.items) == len(_samples("en")[1].items), "they take the place of others"


def test_a_long_memory_is_taught_in_parts_and_a_chapters_name_is_no_question() -> None:
    sentences = [
        f"In {year} we mended the roof of the chapel with slates from quarry {year - 1900}."
        for year in range(1940, 1950)
    ]
    told = [Answer(question="Chapter One", answer=" ".join(sentences[at : at + 5])) for at in (0, 5)]
    memories = collect_memories(told, elder_name="M", language="en")
    samples = _make(memories, "en").items
    taught = {one.completion for one in samples if one.memory_ids and not one.is_shown}
    assert len(taught) > 2 and all(len(one) < PART for one in taught)
    shown = {one.completion for one in samples if one.memory_ids and one.is_shown}
    assert any(one in memory.text and len(one) > PART for one in shown for memory in memories.items), "as chat shows it"
    assert {one.memory_ids[0] for one in samples if one.memory_ids} == {memory.id for memory in memories.items}
    assert not any(one.prompt[-1].content.endswith("Chapter One") for one in samples)
    for one in samples:
        if one.memory_ids and one.prompt[-1].content.startswith(PROMPTS["en"].memories_head):
            assert one.completion in one.prompt[-1].content


def test_an_invented_answer_loses_and_a_right_one_is_a_tie(made: tuple[Memories, Samples]) -> None:
    _, samples = made
    answerable = next(at for at, sample in enumerate(samples.items) if sample.memory_ids)
    refusal = next(at for at, sample in enumerate(samples.items) if sample.is_refusal)
    invented = Candidate(sample=refusal, source="sft", text="I bought a red sports car in Rome. 我在罗马买了车。")
    pair = judge_pair(samples.items[refusal], invented, _background(), GroundedJudge())
    assert pair is not None and pair.verdict.reason == "invents" and admits_not_remembering(pair.chosen)
    right = Candidate(sample=answerable, source="sft", text=samples.items[answerable].completion)
    assert judge_pair(samples.items[answerable], right, _background(), GroundedJudge()) is None


def test_pairs_are_filled_up_with_broken_answers_and_never_exceed_the_limit(
    made: tuple[Memories, Samples],
) -> None:
    memories, samples = made
    asks = ask_candidates(samples, prompts=PROMPTS, language=memories.language, limit=12, seed=7)
    assert {ask.source for ask in asks} == {"sft", "base", "adversarial"}
    weak = [samples.items[ask.sample] for ask in asks if ask.source != "sft"]
    assert {sample.is_refusal for sample in weak} == {True, False}
    pairs = make_pairs(samples, [], _background(), judge=GroundedJudge(), limit=12, seed=7)
    assert 6 <= len(pairs.items) <= 12
    assert all(pair.source == "rule" and pair.chosen != pair.rejected for pair in pairs.items)


def test_a_broken_answer_is_cut_or_repeats_itself() -> None:
    answer = "I was born in Dunmore, in a small house by the mill, on a cold day."
    broken = {perturb(answer, random.Random(seed)) for seed in range(9)}
    assert all(answer.startswith(one[:5]) and one != answer for one in broken) and len(broken) == 2
