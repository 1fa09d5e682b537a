"""Models: a family's own `afs_elder_` models, their versions and measures; and the memories as training data."""

from dataclasses import asdict

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from kernel.ids import TenantId, elder_id
from kernel.jsonl_builder import JSONLBuilder
from kernel.version import ModelVersion
from modelserver.answering import Answering, Asked, prepare, spoken, whole
from modelserver.auth import Family, Provided
from modelserver.interruption import while_listened
from modelserver.schemas.chat import ChatIn
from modelserver.schemas.models import (
    ArmOut,
    ComparedOut,
    CompareIn,
    Deleted,
    ModelDetails,
    ModelOut,
    ModelsOut,
    VersionIn,
    VersionRetired,
)
from modelserver.services import Services

router = APIRouter(tags=["models"])


@router.get("/models")
def list_models(services: Provided, tenant: Family) -> ModelsOut:
    return ModelsOut(models=[_out(version) for version in services.models.list_models(tenant)])


@router.get("/models/{elder}")
def model_details(elder: str, services: Provided, tenant: Family) -> ModelDetails:
    known = services.elders.get(tenant, elder_id(elder))
    versions = [_out(version) for version in services.models.details(tenant, known.id)]
    active = next((version for version in versions if version.is_active), None)
    return ModelDetails(
        elder_id=known.id,
        active=active,
        versions=versions,
        versions_bytes=sum(version.size_bytes for version in versions),
        training_bytes=services.models.disk_bytes(tenant, known.id),
    )


@router.get("/models/{elder}/compare")
def compare_versions(elder: str, a: int, b: int, services: Provided, tenant: Family) -> ComparedOut:
    """Two versions side by side, with what was measured when each was made."""
    known = services.elders.get(tenant, elder_id(elder))
    return _compared(*(services.models.version(tenant, known.id, number) for number in (a, b)))


@router.post("/models/{elder}/compare")
async def compare_answers(
    request: Request, elder: str, body: CompareIn, services: Provided, tenant: Family
) -> ComparedOut:
    """The same with both versions' answers to a question, which is in the body: addresses end in logs."""
    return await while_listened(request, _asked_both(services, tenant, elder, body))


@router.post("/models/{elder}/activate")
def activate_version(elder: str, body: VersionIn, services: Provided, tenant: Family) -> ModelOut:
    """The version that the family talks with from here on; answers under way end as they began."""
    known = services.elders.get(tenant, elder_id(elder))
    return _out(services.models.activate(tenant, known.id, body.version))


@router.post("/models/{elder}/rollback")
def roll_back(elder: str, services: Provided, tenant: Family) -> ModelOut:
    """To the version before the one in use."""
    known = services.elders.get(tenant, elder_id(elder))
    return _out(services.models.roll_back(tenant, known.id))


@router.delete("/models/{elder}/versions/{version}")
def retire_version(elder: str, version: int, services: Provided, tenant: Family) -> VersionRetired:
    """One version and its weights, never the one in use."""
    known = services.elders.get(tenant, elder_id(elder))
    gone = services.models.retire(tenant, known.id, version)
    return VersionRetired(elder_id=known.id, version=gone.number, freed_bytes=gone.size_bytes)


@router.delete("/models/{elder}")
def delete_model(elder: str, services: Provided, tenant: Family) -> Deleted:
    """Every version, its weights and what training made on the way, of a failed one too. The memories stay."""
    known = services.elders.get(tenant, elder_id(elder))
    return Deleted(elder_id=known.id, deleted_versions=services.models.delete_model(tenant, known.id))


@router.get("/export-jsonl/{elder}")
def export_jsonl(elder: str, services: Provided, tenant: Family) -> Response:
    """The elder's memories, one conversation a line; POST /elders/{elder}/answers/bulk reads it back."""
    known = services.elders.get(tenant, elder_id(elder))
    lines = JSONLBuilder(services.elders, services.config.get_prompts()).build_jsonl(tenant, known.id)
    return Response(
        "".join(lines),
        media_type="application/x-ndjson",
        headers={"Content-Disposition": f'attachment; filename="{known.id}.jsonl"'},
    )


async def _asked_both(services: Services, tenant: TenantId, elder: str, body: CompareIn) -> ComparedOut:
    """Each as chat asks it: with the memories that the question finds, and at temperature 0."""
    async with services.turnstile.passed(tenant):
        pair = await run_in_threadpool(_pair, services, tenant, elder, body)
    answers = [await whole(spoken(services, tenant, Answering(asked), is_pinned=True)) for asked in pair]
    return _compared(*(asked.version for asked in pair)).model_copy(update={"answers": answers})


def _pair(services: Services, tenant: TenantId, elder: str, body: CompareIn) -> list[Asked]:
    known, said = services.elders.get(tenant, elder_id(elder)), ChatIn(elder_id=elder, message=body.question)
    versions = [services.models.version(tenant, known.id, number) for number in (body.a, body.b)]
    return [prepare(services, tenant, said, version=version) for version in versions]


def _compared(a: ModelVersion, b: ModelVersion) -> ComparedOut:
    is_same = bool(a.questions) and a.questions == b.questions
    return ComparedOut(elder_id=a.elder, a=_out(a), b=_out(b), is_same_questions=is_same)


def _out(version: ModelVersion) -> ModelOut:
    return ModelOut(
        elder_id=version.elder,
        name=version.name,
        version=version.number,
        is_active=version.is_active,
        base=version.base,
        quantisation=version.quantisation,
        storage=version.storage,
        engine=version.engine,
        size_bytes=version.size_bytes,
        created_at=version.created_at,
        answerable=version.answerable,
        unanswerable=version.unanswerable,
        arms=[ArmOut(**asdict(one)) for one in version.arms],
    )
