"""The left brain: the published extractor of one elder, and when a new one takes its place.

It is the conversion's artefact, served by no engine: whoever extracts loads the GGUF in process. It is named by the
artefact that publishing leaves behind, in the newest completed job of the left brain; so whatever deletes an elder's
weights deletes it, too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel.extraction_report import USED, ExtractionReport
from kernel.gate import Shortfall
from kernel.ids import MemoryId

if TYPE_CHECKING:
    from kernel.adapter import Gguf
    from kernel.extraction import Extractions
    from kernel.memory import Memories
    from kernel.ports import Report


@dataclass(frozen=True, kw_only=True, slots=True)
class LeftBrain:
    """Which one is in use, and what it was measured at."""

    number: int  #: 1, 2, 3 ... within the elder
    key: str  #: of the publication that made it: the same inputs are the same left brain
    gguf: str  #: key of the `convert_gguf` artefact
    base: str
    report: ExtractionReport
    memory_ids: tuple[MemoryId, ...]  #: what it was taught
    shortfall: Shortfall | None = None  #: why the one before was kept


def publish_left_brain(
    gguf: Gguf,
    measured: ExtractionReport,
    extractions: Extractions,
    memories: Memories,
    *,
    key: str,
    in_use: LeftBrain | None,
    progress: Report,
) -> LeftBrain:
    """The new one, unless on the same memories it finds less than the one in use, by more than chance explains.

    One that was taught what the family has taken back goes, whatever its successor is worth.
    """
    if in_use and in_use.key == key:
        return replace(in_use, shortfall=None)
    may_stay = in_use is not None and {memory.id for memory in memories.items}.issuperset(in_use.memory_ids)
    if in_use and may_stay and (worse := _shortfall(measured, in_use.report)):
        progress(1.0, kept=worse.measure, against=worse.against, got=worse.got, wanted=worse.wanted)
        return replace(in_use, shortfall=worse)
    number = in_use.number + 1 if in_use else 1
    taught = dict.fromkeys(memory for one in extractions.taught for memory in one.memory_ids)
    return LeftBrain(
        number=number, key=key, gguf=gguf.folder.name, base=gguf.base, report=measured, memory_ids=tuple(taught)
    )


def is_in_place(published: LeftBrain, in_use: LeftBrain | None) -> bool:
    """Whether the one that was kept is still the one in use; a new one was made in the same job."""
    return published.shortfall is None or (in_use is not None and in_use.gguf == published.gguf)


def _shortfall(new: ExtractionReport, old: ExtractionReport) -> Shortfall | None:
    got, before = new.score(USED), old.score(USED)
    if got is None or before is None or new.asked != old.asked or not new.memories:
        return None
    wanted = round(before.f1 - 1 / math.sqrt(new.memories), 4)
    return Shortfall(measure="f1", got=got.f1, wanted=wanted, against="in_use") if got.f1 < wanted else None
