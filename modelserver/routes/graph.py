"""The graph: who, where, when and what the elder told of, what came when, and who is whose relative.

Of the model in use. What was taken back since then is left out; what was told since then is not in it yet.
"""

from dataclasses import asdict

from fastapi import APIRouter

from kernel.errors import GraphNotFound
from kernel.graph import EntityGraph
from kernel.ids import ElderId, TenantId, elder_id
from kernel.kinship import kinship
from kernel.note import Notes
from modelserver.auth import Family, Provided
from modelserver.schemas.graph import GraphOut, HappeningOut, KinshipOut, RelativeOut, TimelineOut
from modelserver.services import Services, memories_of

router = APIRouter(prefix="/elders", tags=["graph"])


@router.get("/{elder}/graph")
def graph(elder: str, services: Provided, tenant: Family) -> GraphOut:
    """Entities, how they are related, and the communities that they form, each with its memories."""
    found, _ = _made(services, tenant, known := elder_id(elder))
    return GraphOut(elder_id=known, **{name: value for name, value in asdict(found).items() if name != "happenings"})


@router.get("/{elder}/timeline")
def timeline(elder: str, services: Provided, tenant: Family) -> TimelineOut:
    """By year; what was told without a year ("the year of the flood") comes last."""
    found, _ = _made(services, tenant, known := elder_id(elder))
    return TimelineOut(elder_id=known, happenings=[HappeningOut(**asdict(one)) for one in found.timeline()])


@router.get("/{elder}/kinship")
def relatives(elder: str, services: Provided, tenant: Family) -> KinshipOut:
    """Only what is said: a relative without a name in the memories has none here."""
    found, notes = _made(services, tenant, known := elder_id(elder))
    return KinshipOut(elder_id=known, relatives=[RelativeOut(**asdict(one)) for one in kinship(notes, found)])


def _made(services: Services, tenant: TenantId, elder: ElderId) -> tuple[EntityGraph, Notes]:
    """As far as it is still told. Raises ElderNotFound, ModelNotFound; GraphNotFound where the artefacts are gone."""
    told = frozenset(memory.id for memory in memories_of(services.elders, tenant, elder).items)
    job = services.jobs.get(tenant, services.versions.active(tenant, elder).job)
    found = services.artefact(job, "index_graph", EntityGraph)
    notes = services.artefact(job, "write_notes", Notes)
    if found is None or notes is None:
        raise GraphNotFound(elder=elder)
    return found.told_in(told), notes.of(told)
