"""The graph's one interface: neighbours, memories, communities and a timeline; and what of it is still told."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pydantic import TypeAdapter

from kernel.entity_extraction import Reading
from kernel.graph import Community, Entity, EntityGraph, EntityType, Relationship
from kernel.ids import MemoryId
from kernel.indexing import index_graph
from kernel.job import Fact
from kernel.note import Note, Notes
from kernel.ports import Report
from kernel.timeline import Happening, find_happenings
from tests.unit.test_entity_extraction import note, told
from tests.unit.test_llm_teacher import Model, teacher

M1, M2, M3 = MemoryId("m_1"), MemoryId("m_2"), MemoryId("m_3")


def entity(title: str, kind: EntityType, *memories: MemoryId) -> Entity:
    return Entity(title=title, type=kind, description=f"About {title}.", memory_ids=memories)


def edge(source: str, target: str, weight: float, *memories: MemoryId) -> Relationship:
    return Relationship(source=source, target=target, description="together", weight=weight, memory_ids=memories)


def happening(text: str, year: int | None, memory: MemoryId) -> Happening:
    return Happening(told=text, year=year, text=text, titles=(), memory_id=memory)


GRAPH = EntityGraph(
    entities=(
        entity("CLEY", EntityType.PLACE, M1, M2),
        entity("ELIAS", EntityType.PERSON, M1),
        entity("TOM", EntityType.PERSON, M2),
    ),
    relationships=(edge("CLEY", "ELIAS", 1.0, M1), edge("CLEY", "TOM", 3.0, M2)),
    communities=(
        Community(level=0, titles=("CLEY", "ELIAS", "TOM"), memory_ids=(M1, M2)),
        Community(level=1, titles=("CLEY", "TOM"), memory_ids=(M2,)),
    ),
    happenings=(
        happening("the year of the flood", None, M1),
        happening("May 1950", 1950, M2),
        happening("March 1950", 1950, M3),
        happening("一九四八年", 1948, M3),
    ),
)


def test_neighbours_are_the_heaviest_first_whatever_case_the_title_is_in() -> None:
    assert GRAPH.neighbours("Cley") == ("TOM", "ELIAS")
    assert GRAPH.neighbours("ELIAS") == ("CLEY",)
    assert GRAPH.neighbours("nobody") == ()


def test_an_entity_leads_to_its_memories_and_a_memory_to_its_entities() -> None:
    assert GRAPH.memories_of("cley") == (M1, M2) and GRAPH.memories_of("nobody") == ()
    assert [one.title for one in GRAPH.entities_of(M2, M1)] == ["CLEY", "ELIAS", "TOM"]
    assert [one.title for one in GRAPH.told_by_alone(M1)] == ["ELIAS"]
    assert GRAPH.entities_of(M3) == ()


def test_communities_of_an_entity_come_from_the_widest_to_the_closest() -> None:
    assert [(one.level, one.memory_ids) for one in GRAPH.communities_of("Tom")] == [(0, (M1, M2)), (1, (M2,))]
    assert [one.level for one in GRAPH.communities_of("ELIAS")] == [0]


def test_the_timeline_goes_by_year_and_month_and_what_has_no_year_is_kept_as_told() -> None:
    assert [one.told for one in GRAPH.timeline()] == ["一九四八年", "March 1950", "May 1950", "the year of the flood"]


def test_what_was_taken_back_is_told_no_more_nor_a_description_that_may_be_its_own() -> None:
    left = GRAPH.told_in(frozenset({M2}))
    assert [(one.title, one.description, one.memory_ids) for one in left.entities] == [
        ("CLEY", "", (M2,)),
        ("TOM", "About TOM.", (M2,)),
    ]
    assert [one.target for one in left.relationships] == ["TOM"]
    assert [(one.titles, one.memory_ids) for one in left.communities] == [(("CLEY", "TOM"), (M2,))] * 2
    assert [one.told for one in left.happenings] == ["May 1950"]
    assert GRAPH.told_in(frozenset({M1, M2, M3})) == GRAPH


def test_an_artefact_is_read_back_as_it_was_and_one_from_before_has_no_happenings() -> None:
    GRAPH.neighbours("CLEY")  # what it remembers for itself is no part of it
    kept = json.loads(json.dumps(asdict(GRAPH)))
    assert TypeAdapter(EntityGraph).validate_python(kept) == GRAPH
    del kept["happenings"]
    assert TypeAdapter(EntityGraph).validate_python(kept).timeline() == ()


class Indexer:
    """A GraphIndexer that joins nothing: one entity for each that was read."""

    def __init__(self) -> None:
        self.readings: Sequence[Reading] = ()

    def index(self, notes: Notes, readings: Sequence[Reading] = (), *, scratch: Path, report: Report) -> EntityGraph:
        self.readings = readings
        report(1.0, notes=len(notes.items))
        entities = [
            entity(one.title.upper(), one.type, reading.memory_id) for reading in readings for one in reading.entities
        ]
        return EntityGraph(entities=tuple(entities), relationships=(), communities=(), failed_memory_ids=(M3,))


def indexed(*notes: Note) -> tuple[EntityGraph, list[tuple[float, dict[str, Fact]]], Indexer]:
    said: list[tuple[float, dict[str, Fact]]] = []

    def report(fraction: float, **facts: Fact) -> None:
        said.append((fraction, facts))

    model = Model(
        lambda task: told(("Cley", "place", "")) if "Cley" in task.messages[-1].content else told(("Rome", "place", ""))
    )
    indexer = Indexer()
    graph = index_graph(
        Notes(language="en", items=notes), teacher=teacher(model), indexer=indexer, scratch=Path(), report=report
    )
    return graph, said, indexer


def test_indexing_names_each_note_that_could_not_be_read_and_says_how_many_there_are() -> None:
    graph, said, indexer = indexed(
        note("We sailed from Cley in 1950.", 1), note("We sang.", 2), note("Cley was cold.", 3)
    )
    assert graph.failed_memory_ids == (M2, M3), "the teacher's and the finder's"
    assert [one.has_failed for one in indexer.readings] == [False, True, False]
    fractions = [fraction for fraction, _ in said]
    assert fractions == sorted(fractions) and fractions[-1] == 1.0
    assert said[1][1] == {"notes": 2, "failed_notes": 1}
    assert said[-1][1] == {"notes": 3, "failed_notes": 2}


def test_a_person_is_in_a_dated_sentence_by_the_first_name_where_the_whole_one_is_in_another_memory() -> None:
    notes = Notes(language="en", items=(note("Arthur died in 2009. We sang in 2010.", 1),))
    graph = EntityGraph(
        entities=(entity("ARTHUR WHITCOMBE", EntityType.PERSON, M1, M2),), relationships=(), communities=()
    )
    assert [one.titles for one in find_happenings(notes, graph)] == [("ARTHUR WHITCOMBE",), ()]


def test_indexing_dates_what_the_notes_date_with_the_entities_around() -> None:
    graph, _, _ = indexed(note("We sailed from Cley in 1950. It was cold.", 1))
    assert graph.happenings == (
        Happening(told="1950", year=1950, text="We sailed from Cley in 1950.", titles=("CLEY",), memory_id=M1),
    )
