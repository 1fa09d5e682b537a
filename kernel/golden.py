"""The golden set: what a person says a memory's note should be, to measure both teacher and left brain with.

A line is {"memory_id", "input", "output", "approved"}. It is sent out with what the teacher said; a person mends
`output` and sets `approved` to true. A line that is sent back without it takes its memory out of the set again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kernel.errors import BadInput, BadLine, NothingExtracted
from kernel.extraction import LISTS, TEXTS, Extract, held_out_ids, latest_notes, read_extract, said_of
from kernel.ids import MemoryId
from kernel.upload import has_surrogate, read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kernel.ids import ElderId, TenantId
    from kernel.language_model import Call
    from kernel.memory import Memories
    from kernel.note import Notes
    from kernel.ports import GoldenSets

LONGEST = 8_000  #: characters of one output


def golden_lines(
    elder: ElderId,
    memories: Memories,
    notes: Notes | None,
    *,
    calls: Sequence[Call],
    golden: Mapping[MemoryId, Extract],
) -> Iterator[str]:
    """The memories that are held out, in the order they were told, as JSONL. `notes`: of the last training.

    Raises NothingExtracted where no teacher has read any of them.
    """
    apart = held_out_ids([memory.id for memory in memories.items], golden)
    plain = {note.memory_id: note for note in (notes.items if notes else ())}
    logged = latest_notes(calls)
    lines = []
    for memory in memories.items:
        output = golden.get(memory.id) or said_of(memory.id, plain, logged)
        if memory.id in apart and output is not None:
            row = {"memory_id": memory.id, "input": memory.source, "output": asdict(output)}
            lines.append(json.dumps(row | {"approved": memory.id in golden}, ensure_ascii=False) + "\n")
    if not lines:
        raise NothingExtracted(elder=elder)
    yield from lines


def read_golden(body: bytes, memories: Memories) -> dict[MemoryId, Extract | None]:
    """What each line says of its memory; None where it is not approved. Raises BadLine, BadInput."""
    known = {memory.id for memory in memories.items}
    found: dict[MemoryId, Extract | None] = {}
    for number, row in read_rows(body):
        memory = row.get("memory_id")
        if not isinstance(memory, str) or memory not in known:
            raise BadLine(line=number, reason="'memory_id' is of no memory of this elder")
        if not isinstance(row.get("approved"), bool):
            raise BadLine(line=number, reason="'approved' must be true or false")
        found[MemoryId(memory)] = _output(row, number) if row["approved"] else None
    if not found:
        raise BadInput(reason="The file is empty.")
    return found


def keep_golden(tenant: TenantId, elder: ElderId, lines: Mapping[MemoryId, Extract | None], sets: GoldenSets) -> int:
    """Returns how many memories the elder's golden set holds now."""
    for memory, wanted in lines.items():
        if wanted is None:
            sets.forget(tenant, elder, memory)
        else:
            sets.approve(tenant, elder, memory, wanted)
    return len(sets.of_elder(tenant, elder))


def _output(row: dict[str, Any], number: int) -> Extract:
    extract = read_extract(row.get("output"))
    if extract is None:
        raise BadLine(line=number, reason="'output' has other fields than it was sent out with")
    words = "".join(_texts(extract))
    if len(words) > LONGEST:
        raise BadLine(line=number, reason=f"'output' is longer than {LONGEST} characters")
    if "\x00" in words:
        raise BadLine(line=number, reason="'output' holds a NUL character")
    if has_surrogate(words):
        raise BadLine(line=number, reason="'output' holds half a character")
    return extract


def _texts(extract: Extract) -> Iterator[str]:
    yield from (getattr(extract, name) or "" for name in TEXTS)
    for name in LISTS:
        yield from getattr(extract, name)
