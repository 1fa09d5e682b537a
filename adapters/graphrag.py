"""GraphRAG's parent side: the notes go to its program, the entity graph comes back.

One fresh folder a build, removed afterwards: a failed run leaves mixed files, and all of them hold the
elder's words.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from adapters.program import run_program
from kernel.graph import Community, Entity, EntityGraph, EntityType, Relationship

if TYPE_CHECKING:
    from kernel.entity_extraction import Reading
    from kernel.note import Notes
    from kernel.ports import Report


class GraphRagIndexer:
    """Implements kernel.ports.GraphIndexer. The same notes give the same graph, byte for byte."""

    def index(self, notes: Notes, readings: Sequence[Reading] = (), *, scratch: Path, report: Report) -> EntityGraph:
        """Raises StageFailed, and whatever `report` raises; then the program is gone."""
        scratch.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="graph-", dir=scratch))
        read = {reading.memory_id: asdict(reading) for reading in readings}
        request = {
            "language": notes.language,
            "folder": str(folder.resolve()),
            "notes": [
                {"memory_id": note.memory_id, "text": note.text, "reading": read.get(note.memory_id)}
                for note in notes.items
            ],
        }
        try:
            found = run_program("adapters.graphrag_program", request, folder=folder, report=report)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        return _graph(found)


def _graph(found: dict[str, Any]) -> EntityGraph:
    return EntityGraph(
        entities=tuple(
            Entity(
                title=one["title"],
                type=EntityType(one["type"]),
                description=one["description"],
                memory_ids=tuple(one["memory_ids"]),
            )
            for one in found["entities"]
        ),
        relationships=tuple(
            Relationship(**{**one, "memory_ids": tuple(one["memory_ids"])}) for one in found["relationships"]
        ),
        communities=tuple(
            Community(level=one["level"], titles=tuple(one["titles"]), memory_ids=tuple(one["memory_ids"]))
            for one in found["communities"]
        ),
        failed_memory_ids=tuple(found["failed"]),
    )
