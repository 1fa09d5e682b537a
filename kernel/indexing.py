"""Indexing: a teacher reads the notes, where there is one that can; GraphRAG joins what was found into one graph."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kernel.entity_extraction import read_notes
from kernel.timeline import find_happenings

if TYPE_CHECKING:
    from kernel.graph import EntityGraph
    from kernel.note import Notes
    from kernel.ports import GraphIndexer, Report, Teacher

READ = 0.5  #: share of the work that is done when the teacher has read the notes


def index_graph(notes: Notes, *, teacher: Teacher, indexer: GraphIndexer, scratch: Path, report: Report) -> EntityGraph:
    """A note that the teacher could not read is named in the graph, and counted in the progress."""
    whole = max(1, len(notes.items))
    readings = read_notes(
        notes,
        teacher=teacher,
        on_progress=lambda read, failed: report(READ * read / whole, notes=read, failed_notes=failed),
    )
    graph = indexer.index(
        notes,
        readings,
        scratch=scratch,
        report=lambda fraction, **facts: report(READ + (1 - READ) * fraction, **facts),
    )
    failed = {reading.memory_id for reading in readings if reading.has_failed}.union(graph.failed_memory_ids)
    report(1.0, notes=len(notes.items), failed_notes=len(failed))
    return replace(graph, failed_memory_ids=tuple(sorted(failed)), happenings=find_happenings(notes, graph))
