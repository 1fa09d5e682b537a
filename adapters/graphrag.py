"""GraphRAG: the entity graph, indexed in a subprocess of its own.

Importing graphrag patches asyncio for the whole process and leaves half-written tables behind when it fails:
so each build is one program (adapters/graphrag_program.py) with one fresh folder, and is rebuilt in full.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter

from adapters.program import run_program
from kernel.graph import EntityGraph

if TYPE_CHECKING:
    from kernel.note import Notes
    from kernel.ports import Report


class GraphRagIndexer:
    """Implements kernel.ports.GraphIndexer."""

    def index(self, notes: Notes, *, scratch: Path, report: Report) -> EntityGraph:
        """The same notes give the same graph, byte for byte. Raises StageFailed."""
        request = {
            "language": notes.language,
            "folder": str(scratch),
            "notes": [{"id": note["memory_id"], "text": note["text"]} for note in map(asdict, notes.items)],
        }
        found = run_program("adapters.graphrag_program", request, folder=scratch, report=report)
        return TypeAdapter(EntityGraph).validate_python(found)
