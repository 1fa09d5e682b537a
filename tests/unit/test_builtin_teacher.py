"""The built-in teacher: it says nothing that the elder did not say."""

import re

import pytest

from kernel.bio import write_bio
from kernel.builtin_teacher import BIO_CHARACTERS, BuiltinTeacher
from kernel.language import sentences, years
from kernel.memory import Answer, collect_memories
from kernel.note import write_notes
from kernel.topic import find_topics
from tests.elders import sample_memories
from tests.fakes import Letters
from tests.offline import FINDER


@pytest.fixture(scope="module")
def teacher():
    return BuiltinTeacher(FINDER)


@pytest.fixture(scope="module", params=["en", "zh"])
def life(request, teacher):
    """(memories, notes, topics, bio) of a sample elder."""
    memories = sample_memories(request.param)
    notes = write_notes(memories, teacher=teacher)
    topics = find_topics(notes, teacher=teacher, embedder=Letters())
    return memories, notes, topics, write_bio(memories, notes, topics, teacher=teacher)


def test_every_name_and_date_of_a_note_stands_in_its_memory(life):
    memories, notes, _, _ = life
    for memory, note in zip(memories.items, notes.items, strict=True):
        said = (*note.people, *note.places, *note.dates, *note.keywords)
        assert all(word in memory.answer for word in said), memory.id


def test_every_number_of_a_note_stands_in_its_memory(life):
    memories, notes, _, _ = life
    for memory, note in zip(memories.items, notes.items, strict=True):
        written = f"{note.title} {note.summary} {note.insight}"
        assert set(re.findall(r"\d+", written)) <= set(re.findall(r"\d+", memory.answer))


def test_summary_and_insight_are_the_elders_own_sentences(life):
    memories, notes, _, _ = life
    for memory, note in zip(memories.items, notes.items, strict=True):
        told = sentences(memory.answer)
        assert note.summary in told
        assert note.insight == "" or note.insight in told


def test_every_note_has_a_short_title_and_keywords(life):
    _, notes, _, _ = life
    assert all(0 < len(note.title) <= 60 and note.keywords for note in notes.items)


def test_notes_find_most_of_the_people_places_and_dates(life):
    _, notes, _, _ = life
    assert sum(bool(note.people) for note in notes.items) >= 28
    assert sum(bool(note.dates) for note in notes.items) >= 15
    assert sum(bool(note.places) for note in notes.items) >= 10


def test_every_memory_is_in_one_topic_and_every_topic_has_another_name(life):
    memories, _, topics, _ = life
    placed = [one for topic in topics.items for one in topic.memory_ids]
    assert sorted(placed) == sorted(memory.id for memory in memories.items)
    assert 4 <= len(topics.items) <= 10
    assert len({topic.name for topic in topics.items}) == len(topics.items)


def test_a_shade_shows_its_evidence(life):
    memories, _, topics, _ = life
    known = {memory.id for memory in memories.items}
    assert topics.shades
    assert all(len(shade.memory_ids) >= 2 and known.issuperset(shade.memory_ids) for shade in topics.shades)


def test_the_same_notes_give_the_same_topics(life, teacher):
    _, notes, topics, _ = life
    assert find_topics(notes, teacher=teacher, embedder=Letters()) == topics


def test_the_biography_is_the_elders_own_sentences(life):
    _, notes, _, bio = life
    summaries = {note.memory_id: note.summary for note in notes.items}
    body = bio.first_person.removeprefix(f"I am {bio.elder_name}. ").removeprefix(f"我是{bio.elder_name}。")
    for memory in bio.memory_ids:
        assert summaries[memory] in body
        body = body.replace(summaries[memory], "", 1)
    assert body.strip() == ""


def test_the_biography_follows_the_years_and_ends_with_what_names_none(life):
    _, notes, _, bio = life
    texts = {note.memory_id: note.text for note in notes.items}
    told = [min(years(texts[memory]), default=9999) for memory in bio.memory_ids]
    assert told == sorted(told) and len(set(told)) > 3


def test_the_other_persons_tell_the_same_in_quotation_marks(life):
    _, _, _, bio = life
    assert bio.elder_name in bio.second_person and bio.elder_name in bio.third_person
    quoted = [text[text.index("“") + 1 : text.rindex("”")] for text in (bio.second_person, bio.third_person)]
    assert all(quote in bio.first_person for quote in quoted)


def test_the_biography_keeps_to_its_length(life):
    _, _, _, bio = life
    assert 400 < len(bio.first_person) <= BIO_CHARACTERS + 100


def test_a_life_with_nothing_told_has_an_empty_biography(teacher):
    memories = collect_memories([], elder_name="Margaret", language="en")
    notes = write_notes(memories, teacher=teacher)
    topics = find_topics(notes, teacher=teacher, embedder=Letters())
    bio = write_bio(memories, notes, topics, teacher=teacher)
    assert bio.first_person == "I am Margaret."
    assert bio.memory_ids == ()


@pytest.mark.parametrize(
    ("language", "told", "dates"),
    [
        ("en", "In the year of the flood we lost the hay.", ("the year of the flood",)),
        ("en", "We married in September nineteen fifty-two.", ("September nineteen fifty-two",)),
        ("en", "I went to sea when I was nine. We came home at Easter.", ("when I was nine", "Easter")),
        ("en", "He was born on 3rd May 1961, and in 1961 we moved.", ("3rd May 1961",)),
        ("zh", "1956年8月12日，我到了苏州。", ("1956年8月12日",)),
        ("zh", "小梅出嫁那天下了大雪。", ("小梅出嫁那天",)),
    ],
)
def test_dates_are_those_of_the_calendar_and_those_of_a_life(teacher, language, told, dates):
    [memory] = collect_memories([Answer(question="", answer=told)], elder_name="M", language=language).items
    note = teacher.write_note(memory)
    assert note.dates == dates
    assert not {"1956", "1961"} & set(note.keywords), "half a date"
