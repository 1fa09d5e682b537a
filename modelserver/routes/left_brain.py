"""The left brain: what it was measured at, and the golden set that a person reviews to measure it with."""

from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.responses import Response

from kernel.errors import ElderNotFound, LeftBrainNotFound
from kernel.golden import golden_lines, keep_golden, read_golden
from kernel.ids import elder_id
from kernel.removal import is_gone
from modelserver.auth import Family, Provided
from modelserver.schemas.body import Total
from modelserver.schemas.left_brain import ExtractionScoreOut, LeftBrainOut
from modelserver.services import memories_of

router = APIRouter(prefix="/elders", tags=["left brain"])

Lines = Annotated[bytes, Body(media_type="application/x-ndjson")]


@router.get("/{elder}/left-brain")
def left_brain(elder: str, services: Provided, tenant: Family) -> LeftBrainOut:
    """The one in use, against its teacher where a person reviewed what both were asked."""
    known = services.elders.get(tenant, elder_id(elder))
    found = services.left_brains.in_use(tenant, known.id)
    if found is None:
        raise LeftBrainNotFound(elder=known.id)
    report = found.report
    return LeftBrainOut(
        elder_id=known.id,
        version=found.number,
        base=found.base,
        memories=report.memories,
        small_talk=report.small_talk,
        is_reviewed=report.is_reviewed,
        scores=[ExtractionScoreOut(**asdict(one)) for one in report.scores],
    )


@router.get("/{elder}/golden")
def read_golden_set(elder: str, services: Provided, tenant: Family) -> Response:
    """The memories that are kept out of the left brain's training, one {"memory_id", "input", "output", "approved"} a
    line: to be corrected, approved, and sent back."""
    known = services.elders.get(tenant, elder_id(elder))
    lines = golden_lines(
        known.id,
        memories_of(services.elders, tenant, known.id),
        services.left_brains.notes(tenant, known.id),
        calls=services.replies.calls(tenant, known.id),
        golden=services.golden.of_elder(tenant, known.id),
    )
    return Response(
        "".join(lines),
        media_type="application/x-ndjson",
        headers={"Content-Disposition": f'attachment; filename="{known.id}.golden.jsonl"'},
    )


@router.put("/{elder}/golden")
def review_golden_set(elder: str, services: Provided, tenant: Family, lines: Lines = b"") -> Total:
    """The lines as a person corrected them. One that is approved is measured with from now on and never taught; one
    that is not leaves the set. A bad line is named, and then nothing is saved."""
    known = services.elders.get(tenant, elder_id(elder))
    reviewed = read_golden(lines, memories_of(services.elders, tenant, known.id))
    total = keep_golden(tenant, known.id, reviewed, services.golden)
    if is_gone(tenant, known, services.elders):
        services.golden.delete(tenant, known.id)
        raise ElderNotFound(elder=known.id)
    return Total(total=total)
