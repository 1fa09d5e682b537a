"""The generators: what each asks is rightly answered, by quoting or admitting, in both languages and each prompt."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.admission import admits_not_remembering
from kernel.builtin_teacher import BuiltinTeacher
from kernel.generators import (
    GENERATOR_OF,
    GENERATORS,
    ContextGenerator,
    DialogueGenerator,
    DiversityDataGenerator,
    Draft,
    MemoryQA,
    NegativeSampling,
    PreferenceQAGenerator,
    SelfQA,
)
from kernel.graph import Community, Entity, EntityGraph, EntityType
from kernel.held_out import HeldOut
from kernel.language import sentences
from kernel.memory import Answer, Memories, collect_memories
from kernel.mixture import make_samples
from kernel.note import Notes, write_notes
from kernel.phrasing import Phrasing, phrasing_of
from kernel.question import Questions
from kernel.retrieval import Found
from kernel.sample import Sample, Samples
from kernel.topic import Topic, Topics
from kernel.wording import Wording, wording_of
from tests.offline import FINDER

CONFIG = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=ROOT, environ={})
PROMPTS = CONFIG.get_prompts()
TEACHER = BuiltinTeacher(FINDER)
BIGGER = CONFIG.get_recipe(CONFIG.get_base_model("qwen2.5-7b-instruct"), threads=1).samples
COUNTS = replace(BIGGER, recall=6, recall_whole=2, grounded=3, grounded_whole=2)

LIVES = {
    "en": (
        (
            "Do you remember the great flood?",
            "The flood came in January 1953. Mr Orford rowed us out in his duck punt.",
        ),
        ("Tell me about your father's boat.", "He loved the Kittiwake. My father Edwin built her at Stiffkey in 1934."),
        ("Who was your first teacher?", "Miss Pettigrew was my first teacher. I was always afraid of her glass eye."),
        ("What did Miss Pettigrew read?", "On Fridays Miss Pettigrew read us Treasure Island, and I was so happy."),
    ),
    "zh": (
        ("您遇到过大水吗？", "一九五六年八月刮大台风。金婆婆带我们一家躲进了龙王庙。"),
        ("您父亲是做什么的？", "我爹撑了一辈子竹筏，我心里总惦记他。陈长根是他的名字，他常去百官镇。"),
        ("您的启蒙老师是谁？", "头一个教我的是骆文清先生。他冬天总围一条灰围巾，我至今难忘。"),
        ("骆文清先生教过什么？", "骆文清先生教我写自己的名字，我高兴得哭了。"),
    ),
}
SHARED = {"en": "MISS PETTIGREW", "zh": "骆文清"}
ALONE = {"en": ("KITTIWAKE", EntityType.OBJECT, 1), "zh": ("竹筏", EntityType.OBJECT, 1)}
FELT = {"en": ("EDWIN", EntityType.PERSON, 1), "zh": ("陈长根", EntityType.PERSON, 1)}


class Life:
    """One language's elder, with everything that generators read."""

    def __init__(self, language: str) -> None:
        told = [Answer(question=question, answer=answer) for question, answer in LIVES[language]]
        self.memories: Memories = collect_memories(
            told, elder_name="Margaret Hale" if language == "en" else "沈阿巧", language=language
        )
        self.notes: Notes = write_notes(self.memories, teacher=TEACHER)
        self.ids = [memory.id for memory in self.memories.items]
        both = (self.ids[2], self.ids[3])
        entities = [Entity(title=SHARED[language], type=EntityType.PERSON, description="", memory_ids=both)]
        for title, kind, place in (ALONE[language], FELT[language]):
            entities.append(Entity(title=title, type=kind, description="", memory_ids=(self.ids[place],)))
        titles = (SHARED[language], ALONE[language][0])
        communities = (Community(level=0, titles=titles, memory_ids=(self.ids[1], *both)),)
        self.graph = EntityGraph(entities=tuple(entities), relationships=(), communities=communities)
        topic = Topic(name={"en": "School", "zh": "学校"}[language], keywords=(), memory_ids=both)
        self.topics = Topics(items=(topic,), shades=())
        self.bio = TEACHER.tell_bio(self.memories, self.notes, self.topics)
        self.phrasing: Phrasing = phrasing_of(language, self.memories.items)
        self.wording: Wording = wording_of(language)
        self.words = PROMPTS[language]
        self.language = language

    def samples(
        self, asked: tuple[Questions, ...] = (), *, held_out: HeldOut | None = None, **counts: float
    ) -> Samples:
        return make_samples(
            self.memories,
            self.notes,
            self.topics,
            self.bio,
            self.graph,
            asked=asked,
            held_out=held_out or HeldOut([]),
            retriever=self,  # type: ignore[arg-type]
            finder=FINDER,
            prompts=PROMPTS,
            shown=2,
            seed=7,
            counts=replace(COUNTS, **counts),  # type: ignore[arg-type]
        )

    def find_unread(self, question: str, limit: int) -> Found:
        """A retriever that shows the last memories: distracting ones for most questions."""
        return Found(memories=self.memories.items[-limit:], is_sure=False)


@pytest.fixture(scope="module", params=["en", "zh"])
def life(request: pytest.FixtureRequest) -> Life:
    return Life(request.param)


@pytest.fixture(scope="module")
def samples(life: Life) -> Samples:
    return life.samples(diversity=2, context=1, dialogues=2, reasoned_share=0.5)


def drafts(generator: object) -> list[Draft]:
    generate: Callable[[random.Random], Iterator[Draft]] = generator.generate  # type: ignore[attr-defined]
    found = list(generate(random.Random(7)))
    assert found == list(generate(random.Random(7))), "the same seed gives the same drafts"
    assert {draft.kind for draft in found} <= set(generator.kinds)  # type: ignore[attr-defined]
    return found


def of(samples: Samples, kind: str) -> list[Sample]:
    return [sample for sample in samples.items if sample.kind == kind]


def test_each_generator_is_found_by_the_seeds_name_and_each_kind_by_its_generator() -> None:
    names = {generator.__name__ for generator in GENERATORS}
    assert names >= {"SelfQA", "PreferenceQAGenerator", "DiversityDataGenerator", "ContextGenerator"}
    assert sum(len(generator.kinds) for generator in GENERATORS) == len(GENERATOR_OF)


def test_a_memory_is_asked_for_bare_and_shown_and_answered_by_its_words(life: Life) -> None:
    found = drafts(MemoryQA(life.memories, {life.ids[0]: ("Was it cold?",)}, life.phrasing, COUNTS))
    for memory in life.memories.items:
        mine = [draft for draft in found if draft.memory == memory]
        assert {draft.is_shown for draft in mine} == {True, False} and not any(draft.answer for draft in mine)
        assert memory.question in {draft.question for draft in mine}
    assert found[1].question == "Was it cold?" or "Was it cold?" in {draft.question for draft in found[:9]}


def test_the_elder_says_who_they_are_and_tells_the_life_in_quotations(life: Life) -> None:
    found = drafts(SelfQA(life.memories, life.bio, life.phrasing, life.words, life.wording, COUNTS))
    who = [draft for draft in found if draft.kind == "self_qa"]
    assert who and all(life.memories.elder_name in draft.answer for draft in who)
    told = [draft for draft in found if draft.kind == "self_qa_life"]
    assert len(told) == len(life.wording.life) and all(draft.answer in life.bio.first_person for draft in told)
    assert all(set(draft.quoted) <= set(life.ids) and draft.quoted for draft in told)
    small = [draft for draft in found if draft.kind == "small_talk"]
    assert small and not any(draft.quoted or draft.memory for draft in small)


def test_a_topic_is_answered_by_its_first_memory(life: Life) -> None:
    [draft] = drafts(PreferenceQAGenerator(life.memories, life.topics, life.phrasing))
    assert life.topics.items[0].name in draft.question and draft.memory == life.memories.items[2]


def test_the_graph_asks_for_recall_opinion_feeling_what_hangs_together_and_what_nobody_told(life: Life) -> None:
    counts = replace(COUNTS, diversity=3)
    found = drafts(DiversityDataGenerator(life.memories, life.notes, life.graph, life.phrasing, life.wording, counts))
    assert {draft.kind for draft in found} == set(DiversityDataGenerator.kinds)
    for draft in found:
        if draft.kind == "diversity_unanswerable":
            assert draft.memory is None and not draft.answer
        elif draft.kind == "diversity_open":
            assert draft.memory and draft.quoted and draft.memory.id not in draft.quoted
            texts = "".join(memory.text for memory in life.memories.items)
            assert all(sentence in texts for sentence in sentences(draft.answer))
        else:
            assert draft.memory == life.memories.items[1] and not draft.answer
            name = {"en": "Kittiwake", "zh": "竹筏"}[life.language]
            felt = {"en": "Edwin", "zh": "陈长根"}[life.language]
            assert (felt if draft.kind == "diversity_feeling" else name) in draft.question or draft.kind == "diversity"


def test_what_a_memory_does_tell_of_somebody_is_not_asked_as_unanswerable(life: Life) -> None:
    telling = {"en": "Miss Pettigrew played chess, had a passport and a tattoo.", "zh": "骆先生会下围棋，有护照。"}[
        life.language
    ]
    items = (*life.memories.items, replace(life.memories.items[0], answer=telling))
    generator = DiversityDataGenerator(
        replace(life.memories, items=items), life.notes, life.graph, life.phrasing, life.wording, COUNTS
    )
    asked = [draft.question for seed in range(40) for draft in generator._unanswerable(random.Random(seed))]
    assert any({"en": "Miss Pettigrew", "zh": "骆文清"}[life.language] in question for question in asked)
    assert asked and not any(
        word in question for question in asked for word in ("chess", "passport", "tattoo", "围棋", "护照")
    )


def test_a_second_question_is_answered_by_what_the_first_turn_left_out(life: Life) -> None:
    counts = replace(COUNTS, dialogues=3)
    found = drafts(DialogueGenerator(life.memories, life.notes, life.graph, life.phrasing, life.wording, counts))
    wording = life.wording
    rest = [draft for draft in found if draft.question in (*wording.who, *wording.where, *wording.when)]
    more = [draft for draft in found if draft.question in wording.more]
    assert rest and more and len(rest) + len(more) == len(found)
    for draft in found:
        asked, told = draft.history
        assert (asked.role, told.role) == ("user", "assistant") and draft.memory
        assert draft.answer in draft.memory.text and draft.answer not in told.content
        assert not any(name in draft.question for name in ("Orford", "Pettigrew", "骆文清", "金婆婆"))
    assert all(draft.history[1].content in draft.memory.text for draft in rest if draft.memory)
    flood = next(draft for draft in rest if draft.memory == life.memories.items[0])
    assert flood.question in wording.who and {"en": "Mr Orford", "zh": "金婆婆"}[life.language] in flood.answer
    shared = SHARED[life.language].casefold()
    assert all(draft.memory and shared in draft.answer.casefold() for draft in more)


def test_a_need_is_enriched_by_a_quotation_and_an_experts_answer_is_held_against_it(life: Life) -> None:
    counts = replace(COUNTS, context=1)
    needs = {life.ids[0]: ("I want to paint the flood. What was it like?",)}
    generator = ContextGenerator(life.memories, life.notes, needs, life.words, life.wording, counts)
    found = drafts(generator)
    assert len(found) == 8 and {draft.role for draft in found} == {"context", "judge"}
    assert {draft.is_shown for draft in found} == {True, False}
    for need, critique in zip(found[::2], found[1::2], strict=True):
        assert need.memory and need.memory == critique.memory
        assert need.answer == life.words.enriched.format(words=need.memory.text)
        assert critique.question.startswith(need.question)
        is_right = need.memory.text in critique.question
        wanted = life.words.agreed if is_right else life.words.missed
        assert critique.answer == wanted.format(words=need.memory.text)
    thought = [draft for draft in found if draft.memory == life.memories.items[0]]
    assert all(draft.question.startswith(needs[life.ids[0]][0]) for draft in thought)
    rights = [
        draft.memory is not None and draft.memory.text in draft.question
        for seed in range(9)
        for draft in generator.generate(random.Random(seed))
        if draft.kind == "judge"
    ]
    assert {True, False} == set(rights)


def test_negatives_are_a_share_of_the_others_and_those_near_a_memory_are_shown_first(life: Life) -> None:
    others = drafts(MemoryQA(life.memories, {}, life.phrasing, COUNTS))
    counts = replace(COUNTS, refusal_share=0.5, grounded_refusal_share=0.5)
    found = drafts(NegativeSampling(life.phrasing, ("Who was the midwife?",), counts, others, held_out=HeldOut([])))
    shown = sum(draft.is_shown for draft in others)
    assert sum(draft.is_shown for draft in found) == shown // 2
    assert len(found) == shown // 2 + (len(others) - shown) // 2
    assert next(draft for draft in found if draft.is_shown).question == "Who was the midwife?"
    assert not any(draft.memory or draft.answer for draft in found)


def test_every_kind_becomes_samples_and_none_is_dropped(samples: Samples) -> None:
    assert {sample.kind for sample in samples.items} == set(GENERATOR_OF)
    assert {one.fault.value for one in samples.dropped} <= {"copy"}


@pytest.mark.parametrize(
    ("kind", "prompt"), [("memory_qa", "memory"), ("context", "context"), ("judge", "judge"), ("dialogue", "memory")]
)
def test_each_kind_has_its_system_prompt_and_a_step_by_step_one(
    samples: Samples, life: Life, kind: str, prompt: str
) -> None:
    plain = getattr(life.words, "system" if prompt == "memory" else prompt).format(name=life.memories.elder_name)
    reasoned = getattr(life.words, f"{prompt}_cot").format(name=life.memories.elder_name)
    found = {(sample.is_reasoned, sample.prompt[0].content) for sample in of(samples, kind)}
    assert found == {(False, plain), (True, reasoned)}


def test_step_by_step_says_only_which_memory_answers_and_then_the_same_answer(samples: Samples, life: Life) -> None:
    texts = {memory.id: memory.text for memory in life.memories.items}
    heads = set()
    for sample in samples.items:
        if not sample.is_reasoned:
            continue
        reason, _, answer = sample.completion.partition("\n")
        if sample.is_refusal:
            assert reason == life.words.no_reason and admits_not_remembering(answer)
        else:
            before, after = life.words.reason.split("{subject}")
            subject = reason.removeprefix(before).removesuffix(after)
            assert subject in texts[sample.memory_ids[0]] and subject
            assert any(sentence in answer for id in sample.memory_ids for sentence in sentences(texts[id]))
        heads.add(sample.is_refusal)
    assert heads == {True, False}


def test_the_right_memory_is_shown_among_distracting_ones(samples: Samples, life: Life) -> None:
    texts = {memory.id: memory.text for memory in life.memories.items}
    for kind in ("memory_qa_shown", "dialogue", "context", "judge"):
        shown = [sample for sample in of(samples, kind) if sample.is_shown]
        assert shown
        for sample in shown:
            head, _, rest = sample.prompt[-1].content.partition("\n")
            memories = rest.rpartition("\n\n")[0]
            assert head == life.words.memories_head
            assert texts[sample.memory_ids[0]] in memories and memories.count("- ") > 1


def test_what_a_small_model_cannot_carry_is_off_for_it(life: Life) -> None:
    small = CONFIG.get_recipe(CONFIG.get_current_model(life.language), threads=1).samples
    assert (small.diversity, small.life, small.reasoned_share) == (0, 0, 0)
    made = life.samples(**{name: getattr(small, name) for name in small.__dataclass_fields__})
    assert not any(sample.is_reasoned for sample in made.items)
    later = [sample for sample in made.items if sample.kind in ("dialogue", "context", "judge")]
    assert 0 < len(later) <= 0.03 * len(made.items)


def test_more_of_the_later_kinds_leaves_the_first_ones_as_they_were(life: Life) -> None:
    """What was measured stays: the same words and prompts, whatever else is taught."""
    first = ("memory_qa", "memory_qa_shown", "diversity", "preference", "negative", "self_qa", "small_talk")

    def kept(samples: Samples) -> list[str]:
        return sorted(repr(sample) for sample in samples.items if sample.kind in first)

    off = dict.fromkeys(("diversity", "dialogues", "context", "reasoned_share"), 0) | {"life": 0}
    assert kept(life.samples(**off)) == kept(life.samples(**off | {"dialogues": 2, "context": 1, "life": 4}))


def test_greetings_are_learnt_as_often_as_was_asked(life: Life) -> None:
    once, often = (
        [repr(one) for kind in ("small_talk", "self_qa") for one in of(life.samples(small_talk=times), kind)]
        for times in (1, 6)
    )
    assert len(set(once)) == len(once) and sorted(often) == sorted(once * 6)


def test_an_elder_with_one_bare_memory_can_be_taught() -> None:
    one = Life("en")
    one.memories = replace(one.memories, items=(replace(one.memories.items[0], question="", answer="We sang."),))
    one.notes, one.graph = replace(one.notes, items=()), EntityGraph(entities=(), relationships=(), communities=())
    one.topics = Topics(items=(), shades=())
    assert of(one.samples(), "memory_qa")


def test_two_runs_with_one_seed_are_equal(life: Life, samples: Samples) -> None:
    assert life.samples(diversity=2, context=1, dialogues=2, reasoned_share=0.5) == samples
