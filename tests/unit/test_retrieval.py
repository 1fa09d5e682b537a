"""Retrieval: the right memory is among the first three, however the family asks."""

import math

import pytest

from kernel.ids import ElderId, TenantId
from kernel.language import weight
from kernel.memory import EXCERPT, Answer, collect_memories
from kernel.retrieval import Bm25, Retriever, heard_as
from tests.elders import held_out, sample_memories
from tests.fakes import Letters, MemoryIndex, Reads
from tests.offline import EMBEDDER

TENANT, ELDER = TenantId("hale"), ElderId("margaret")


@pytest.fixture(scope="module", params=["en", "zh"])
def language(request):
    return request.param


@pytest.fixture(scope="module")
def index():
    return MemoryIndex(EMBEDDER)


@pytest.fixture(scope="module")
def plain():
    """Where it does not matter how near things are."""
    return MemoryIndex(Letters())


@pytest.fixture(scope="module")
def retriever(language, index):
    return Retriever(sample_memories(language), index=index, reranker=Reads(), tenant=TENANT, elder=ElderId(language))


@pytest.mark.slow
def test_a_question_never_seen_finds_its_memory_among_the_first_three(retriever, language):
    """Measured: 0.988 in both languages; BM25 alone 0.94; vectors without the readings 0.96-0.98."""
    asked = held_out(language)
    found = sum(one.memory in [memory.id for memory in retriever.find(one.question, 3)] for one in asked)
    assert found / len(asked) >= {"en": 0.97, "zh": 0.95}[language]


@pytest.mark.slow
def test_a_memorys_own_question_finds_it_first(retriever, language):
    for memory in sample_memories(language).items:
        assert retriever.find(memory.question, 1) == [memory]


def test_no_more_are_found_than_were_asked_for(plain, language):
    retriever = Retriever(
        sample_memories(language), index=plain, reranker=Reads(), tenant=TENANT, elder=ElderId(language)
    )
    found = [len(retriever.find_unread("boat 船", limit).memories) for limit in (0, 1, 5, 100)]
    assert found == [0, 1, 5, 42]


@pytest.mark.slow
def test_a_memory_that_stands_out_is_found_alone_and_is_the_right_one(retriever, language):
    """Measured: 0.74 of the held-out questions in English and 0.76 in Chinese, and the right one for each."""
    asked = held_out(language)
    alone = [(one, found[0]) for one in asked if len(found := retriever.find(one.question, 3)) == 1]
    assert len(alone) >= len(asked) / 2
    assert sum(found.id == one.memory for one, found in alone) >= 0.95 * len(alone)


def test_the_index_is_synced_once(plain):
    memories = sample_memories("en")
    retriever = Retriever(memories, index=plain, reranker=Reads(), tenant=TENANT, elder=ELDER)
    before = plain.embeds
    retriever.find("boat", 1)
    retriever.find("school", 1)
    assert plain.embeds - before == 3 * len(memories.items)


def test_an_index_that_was_changed_or_lost_behind_its_back_is_made_again(index):
    told = [Answer(question="The cat?", answer="Our cat was Ginger."), Answer(question="Bread?", answer="I baked it.")]
    memories = collect_memories(told, elder_name="M", language="en")
    retriever = Retriever(memories, index=index, reranker=Reads(), tenant=TENANT, elder=ElderId("lost"))
    found = retriever.find("kitty", 2)
    index.similarities(TENANT, ElderId("lost"), "kitty", digest="an older set", texts=["Our cat was Ginger."])
    assert retriever.find("kitty", 2) == found
    index.delete(TENANT, ElderId("lost"))
    assert retriever.find("kitty", 2) == found
    assert index.has(TENANT, ElderId("lost"))


def test_an_elder_without_memories_has_none_to_find(index):
    memories = collect_memories([], elder_name="Margaret", language="en")
    assert Retriever(memories, index=index, reranker=Reads(), tenant=TENANT, elder=ELDER).find("boat", 3) == []


def test_a_grandchilds_grandpa_is_the_elders_husband(index):
    answers = [
        Answer(question="How did you meet your husband?", answer="I met Arthur at a dance in 1958."),
        Answer(question="What did your grandfather do?", answer="My grandfather Josiah kept the lighthouse."),
        Answer(question="Did you keep a garden?", answer="I grew dahlias as big as dinner plates."),
    ]
    memories = collect_memories(answers, elder_name="Margaret", language="en")
    retriever = Retriever(memories, index=index, reranker=Reads(), tenant=TENANT, elder=ElderId("grandpa"))
    assert "Arthur" in retriever.find("Where did you first see Grandpa?", 1)[0].answer
    assert "Josiah" in retriever.find("What was your grandfather's work?", 1)[0].answer


def test_the_memory_that_names_a_relative_is_found_for_the_name(index):
    answers = [
        Answer(question="What work did your mother do?", answer="My mother, Dora, took in sewing."),
        Answer(question="What did your mother teach you?", answer="My mother taught me never to waste a thing."),
        Answer(question="What were you called at school?", answer="My first name at school was Peg."),
    ]
    memories = collect_memories(answers, elder_name="Margaret", language="en")
    retriever = Retriever(memories, index=index, reranker=Reads(), tenant=TENANT, elder=ElderId("dora"))
    assert list(retriever.names("What was your mum's first name?")) == [1, 0, 0]
    assert list(retriever.names("What did your mum sew?")) == [0, 0, 0]
    assert "Dora" in retriever.find("What was your mum's first name?", 1)[0].answer


@pytest.mark.parametrize(
    ("asked", "heard"),
    [
        ("What year did we lose Grandpa?", "What year did your husband die?"),
        ("Where were you when we lost your mother?", "Where were you when your mother died?"),
        ("When did your dad pass away?", "When did your dad die?"),
        ("Where did you lose your mother's ring?", "Where did you lose your mother's ring?"),
        ("爷爷是哪一年离开我们的？", "您老伴是哪一年走的？"),
        ("您爹是哪一年过世的？", "您爹是哪一年走的？"),
    ],
)
def test_a_death_is_heard_as_the_old_tell_it(asked, heard):
    assert heard_as(asked) == heard


SEA = [
    Answer(question="Did you fish?", answer="Father's boat was the Kittiwake, and I mended the nets."),
    Answer(question="Did you swim?", answer="I swam off Father's boat when I was six."),
    Answer(question="Did you keep a garden?", answer="I grew dahlias as big as dinner plates."),
]


def over_the_sea(index, elder, **nats):
    memories = collect_memories(SEA, elder_name="Margaret", language="en")
    reranker = Reads(**nats)
    return Retriever(memories, index=index, reranker=reranker, tenant=TENANT, elder=ElderId(elder)), reranker


def test_the_likeliest_after_reading_is_first(index):
    unread, _ = over_the_sea(index, "unread")
    first, second = unread.find("Father's boat?", 2)
    for likeliest in (first, second):
        word = "Kittiwake" if "Kittiwake" in likeliest.answer else "swam"
        read, _ = over_the_sea(index, word, **{word: 4.0})
        assert read.find("Father's boat?", 2)[0] == likeliest


def test_a_memory_that_reading_makes_sure_of_is_found_alone(index):
    read, _ = over_the_sea(index, "sure", Kittiwake=30.0)
    assert ["Kittiwake" in memory.answer for memory in read.find("Father's boat?", 3)] == [True]
    read, _ = over_the_sea(index, "unsure", Kittiwake=0.1)
    assert len(read.find("Father's boat?", 3)) == 3


@pytest.mark.slow
def test_what_stands_out_is_not_alone_after_reading_says_that_it_does_not_fit(index, language):
    memories = sample_memories(language)
    memory = memories.items[0]
    for nats, found in ((0.0, True), (-30.0, False)):
        reranker = Reads(**{memory.answer[:9]: nats})
        read = Retriever(memories, index=index, reranker=reranker, tenant=TENANT, elder=ElderId(language))
        assert read.find_unread(memory.question, 3).is_sure
        assert (read.find(memory.question, 3) == [memory]) is found


LONG = " ".join(
    [
        "We had a dog called Bramble, who had three legs and slept in the pantry behind the flour bin all winter.",
        "My aunt kept bees on the hill, forty skeps of them, and sold the honey in Ludlow on the first of each month.",
        "The cart that took it there had belonged to a circus, and you could still make out the elephants on its side.",
        "Our school was a single room over the smithy, where the floor grew so warm that nobody ever wore their shoes.",
        "My brother walked to Shrewsbury and came back with a gramophone on his shoulders and one record, a foxtrot.",
        "When the snow came in 1947 we dug a tunnel to the byre, and milked by the light of a candle in a jam jar.",
    ]
)


def test_of_a_long_memory_what_was_asked_about_is_shown_under_its_id(index):
    memories = collect_memories([Answer(question="The farm?", answer=LONG), *SEA], elder_name="M", language="en")
    whole = memories.items[0]
    elder = ElderId("long")
    read = Retriever(memories, index=index, reranker=Reads(honey=9.0), tenant=TENANT, elder=elder)
    found = read.find("What did your aunt sell?", 1)[0]
    assert found.id == whole.id and found.answer.startswith("We had a dog") and "tunnel" not in found.answer
    assert "honey" in found.answer and weight(found.answer) <= EXCERPT
    unread = read.find_unread("Did you dig a tunnel in the snow?", 1).memories[0]
    assert unread.id == whole.id and unread.answer.startswith("My brother walked") and "tunnel" in unread.answer


def test_three_are_read_however_few_are_shown_and_no_more_however_many(index, plain):
    for limit in (1, 2, 3):
        read, reranker = over_the_sea(index, f"few-{limit}", swam=0.1)
        assert len(read.find("Father's boat?", limit)) == limit
        assert reranker.texts == 3
    reranker = Reads(boat=-30.0)
    read = Retriever(sample_memories("en"), index=plain, reranker=reranker, tenant=TENANT, elder=ElderId("many"))
    assert len({found.id for found in read.find("boat", 30)}) == 30
    assert reranker.texts == 3


def test_nothing_is_read_for_samples(plain, language):
    reranker = Reads(a=1.0)
    read = Retriever(sample_memories(language), index=plain, reranker=reranker, tenant=TENANT, elder=ElderId(language))
    read.find_unread("boat 船", 3)
    assert reranker.texts == 0


def test_a_question_of_unknown_words_weighs_little():
    words = Bm25([["boat", "blue"], ["school", "stove"]])
    assert max(words.shares(["zeppelin", "boat"])) < max(words.shares(["boat"]))
    assert words.shares(["zeppelin"]).tolist() == [0.0, 0.0]
    assert words.shares([]).tolist() == [0.0, 0.0]


def test_it_is_said_how_sure_the_best_is(index):
    for elder, nats, is_sure in (("some", 6.0, False), ("much", 30.0, True)):
        read, _ = over_the_sea(index, elder, Kittiwake=nats, swam=-1.0, dahlias=-1.0)
        found = read.find_read("Where did you go dancing?", 2)
        assert found.is_sure == is_sure
        assert found.memories == read.find("Where did you go dancing?", 2)


def test_a_words_weight_is_that_of_robertson_and_zaragoza():
    documents = [["boat", "blue", "boat"], ["boat", "stove"], ["school"]]
    shares = Bm25(documents).shares(["boat", "stove", "zeppelin"])
    rare, both, unknown = (math.log(1 + (3 - n + 0.5) / (n + 0.5)) for n in (1, 2, 0))

    def held(count, length):
        return count * 2.2 / (count + 1.2 * (1 - 0.4 + 0.4 * length / 2))

    wanted = [both * held(2, 3), both * held(1, 2) + rare * held(1, 2), 0.0]
    assert shares == pytest.approx([one / (rare + both + unknown) for one in wanted])
