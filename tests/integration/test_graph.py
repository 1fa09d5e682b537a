"""The entity graph: real GraphRAG in its own process, on the sample elders."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from adapters.entity_finder import OfflineEntityFinder
from adapters.graph_extraction import extract
from adapters.graphrag import GraphRagIndexer
from kernel.errors import Cancelled
from kernel.graph import EntityType
from kernel.note import Note, Notes
from tests.elders import sample_memories

pytestmark = pytest.mark.integration


def silent(fraction, **facts):
    pass


def notes_of(*texts: str, language: str = "en") -> Notes:
    items = tuple(
        Note(
            memory_id=f"m_{number}",
            title="",
            summary="",
            insight="",
            keywords=(),
            people=(),
            places=(),
            dates=(),
            text=text,
            teacher="",
        )
        for number, text in enumerate(texts)
    )
    return Notes(language=language, items=items)


@pytest.fixture(scope="module", params=["en", "zh"])
def built(request, tmp_path_factory):
    """(language, notes, graph) of a sample elder; the notes' ids are m_0, m_1 ..."""
    memories = sample_memories(request.param)
    notes = notes_of(*(memory.answer for memory in memories.items), language=request.param)
    graph = GraphRagIndexer().index(notes, scratch=tmp_path_factory.mktemp("graph"), report=silent)
    return request.param, notes, graph


def test_the_same_notes_give_the_same_bytes(built, tmp_path):
    _, notes, graph = built
    again = GraphRagIndexer().index(notes, scratch=tmp_path, report=silent)
    assert json.dumps(asdict(again)) == json.dumps(asdict(graph))


def test_every_kind_of_entity_is_found(built):
    _, _, graph = built
    assert {entity.type for entity in graph.entities} >= {
        EntityType.PERSON,
        EntityType.PLACE,
        EntityType.TIME,
        EntityType.OBJECT,
        EntityType.EVENT,
        EntityType.ORGANISATION,
    }


def test_a_known_name_stands_beside_what_is_told_of_it(built):
    language, _, graph = built
    if language == "en":
        assert "EDWIN" in graph.neighbours("FATHER")
        assert {"1958", "MELTON CROSSING"} <= set(graph.neighbours("ARTHUR WHITCOMBE"))
    else:
        assert {"西安", "一九八四年"} <= set(graph.neighbours("老周"))


def test_an_entity_belongs_to_the_memories_that_name_it(built):
    _, notes, graph = built
    text = {note.memory_id: note.text.casefold() for note in notes.items}
    for entity in graph.entities:
        first_word = entity.title.casefold().split()[0]
        assert entity.memory_ids
        assert all(first_word in text[memory] for memory in entity.memory_ids), entity.title


def test_communities_are_of_the_graphs_own_entities(built):
    _, _, graph = built
    titles = {entity.title for entity in graph.entities}
    assert len(graph.communities) > 3
    assert all(len(one.titles) > 1 and titles.issuperset(one.titles) for one in graph.communities)
    assert any(len(one.memory_ids) > 1 for one in graph.communities)


def test_everything_is_sorted_and_nothing_is_left_in_scratch(tmp_path):
    notes = notes_of("Tom sailed to Canada with Vera.", "Vera danced with Tom in Whitby in 1958.")
    graph = GraphRagIndexer().index(notes, scratch=tmp_path, report=silent)
    titles = [entity.title for entity in graph.entities]
    assert titles == sorted(titles)
    assert "TOM" in titles
    assert list(tmp_path.iterdir()) == []


def test_notes_that_name_nothing_give_an_empty_graph(tmp_path):
    graph = GraphRagIndexer().index(notes_of("Yes.", "No, never."), scratch=tmp_path, report=silent)
    assert graph.entities == graph.relationships == graph.communities == ()


def test_entities_without_a_relationship_are_a_graph_too(tmp_path):
    graph = GraphRagIndexer().index(notes_of("It was Canada."), scratch=tmp_path, report=silent)
    assert [entity.title for entity in graph.entities] == ["CANADA"]
    assert graph.communities == ()


def test_equal_notes_keep_both_their_memories(tmp_path):
    notes = notes_of("Tom sailed to Canada.", "Tom sailed to Canada.")
    graph = GraphRagIndexer().index(notes, scratch=tmp_path, report=silent)
    assert {entity.memory_ids for entity in graph.entities} == {("m_0", "m_1")}


def test_a_cancel_leaves_neither_program_nor_files(tmp_path):
    def cancel(fraction, **facts):
        raise Cancelled()

    with pytest.raises(Cancelled):
        GraphRagIndexer().index(notes_of("Tom sailed."), scratch=tmp_path, report=cancel)
    assert list(Path(tmp_path).iterdir()) == []


def test_a_note_whose_extraction_fails_is_named_and_the_others_stay():
    class Failing(OfflineEntityFinder):
        def find(self, text, language):
            if "poison" in text:
                raise ValueError("no")
            return super().find(text, language)

    notes = [
        {"memory_id": "m_0", "text": "Tom sailed to Canada."},
        {"memory_id": "m_1", "text": "Vera sang. It was poison."},
    ]
    extraction = extract(notes, "en", Failing(), silent)
    assert extraction.failed == ["m_1"]
    assert {"TOM", "CANADA"} <= set(extraction.nodes)
    assert "VERA" not in extraction.nodes


@pytest.mark.parametrize(
    ("language", "text", "typed"),
    [
        (
            "en",
            "I sang in the chapel choir at the county show.",
            {"CHAPEL CHOIR": "organisation", "COUNTY SHOW": "event"},
        ),
        ("zh", "他在机床厂当钳工，婚礼那天还在上班。", {"机床厂": "organisation", "婚礼": "event"}),
    ],
)
def test_a_plain_noun_may_be_an_organisation_or_an_event(language, text, typed):
    extraction = extract([{"memory_id": "m_0", "text": text}], language, OfflineEntityFinder(), silent)
    assert {title: extraction.nodes[title].type for title in typed} == typed


def test_a_teachers_reading_takes_the_place_of_the_finders():
    reading = {
        "entities": [
            {"title": "the Kittiwake", "type": "object", "description": "A boat."},
            {"title": "Tom", "type": "person", "description": ""},
        ],
        "ties": [{"source": "Tom", "target": "the Kittiwake", "description": "He sailed her.", "strength": 5}],
    }
    notes = [
        {"memory_id": "m_0", "text": "Tom sailed the Kittiwake to Canada.", "reading": reading},
        {"memory_id": "m_1", "text": "Tom Orford sang.", "reading": {"entities": [], "ties": []}},
    ]
    extraction = extract(notes, "en", OfflineEntityFinder(), silent)
    assert "CANADA" not in extraction.nodes, "the teacher did not name it"
    assert extraction.nodes["TOM ORFORD"].memory_ids == {"m_0", "m_1"}, "one man, read by both"
    assert extraction.edges["THE KITTIWAKE", "TOM ORFORD"].weight == 1.0
