"""Models: a family's own `afs_elder_` models, their versions and measures; and the memories as training data."""

from dataclasses import asdict

from fastapi import APIRouter
from fastapi.responses import Response

from kernel.ids import elder_id
from kernel.jsonl_builder import JSONLBuilder
from kernel.version import ModelVersion
from modelserver.auth import Family, Provided
from modelserver.schemas import ArmOut, Deleted, ModelDetails, ModelOut, ModelsOut

router = APIRouter(tags=["models"])


@router.get("/models")
def list_models(services: Provided, tenant: Family) -> ModelsOut:
    return ModelsOut(models=[_out(version) for version in services.models.list_models(tenant)])


@router.get("/models/{elder}")
def model_details(elder: str, services: Provided, tenant: Family) -> ModelDetails:
    known = services.elders.get(tenant, elder_id(elder))
    versions = [_out(version) for version in services.models.details(tenant, known.id)]
    active = next((version for version in versions if version.is_active), None)
    return ModelDetails(elder_id=known.id, active=active, versions=versions)


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


def _out(version: ModelVersion) -> ModelOut:
    return ModelOut(
        elder_id=version.elder,
        name=version.name,
        version=version.number,
        is_active=version.is_active,
        base=version.base,
        quantisation=version.quantisation,
        engine=version.engine,
        size_bytes=version.size_bytes,
        created_at=version.created_at,
        arms=[ArmOut(**asdict(one)) for one in version.arms],
    )
