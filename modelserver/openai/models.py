"""Models: a family's elders by their ids, and each kept version by its `afs_elder_…:v3`."""

from fastapi import APIRouter

from kernel.errors import ElderNotFound, NoSuchModel
from kernel.ids import ElderId, TenantId, model_name
from kernel.version import ModelVersion
from modelserver.auth import Family, Provided
from modelserver.openai.schemas import ModelObject, Page
from modelserver.services import Services

router = APIRouter(prefix="/v1/models", tags=["openai"])


@router.get("")
def list_models(services: Provided, tenant: Family) -> Page[ModelObject]:
    """An elder's id stands for the version in use, whichever that will be; a tag for one, as long as it is kept."""
    names = {elder.id: elder.name for elder in services.elders.all(tenant)}
    known = [one for one in services.versions.all(tenant) if one.elder in names and not one.is_retired]
    in_use = [_out(version.elder, version, names[version.elder]) for version in known if version.is_active]
    return Page(data=in_use + [_out(version.tag, version, names[version.elder]) for version in known])


@router.get("/{model}")
def retrieve_model(model: str, services: Provided, tenant: Family) -> ModelObject:
    version = find_model(services, tenant, model)
    return _out(model, version, services.elders.get(tenant, version.elder).name)


def find_model(services: Services, tenant: TenantId, model: str) -> ModelVersion:
    """By the elder's id, `afs_elder_…` or its tag. Raises NoSuchModel; ModelNotFound for an elder who has none yet."""
    elder = _elder_of(services, tenant, model)
    if ":" not in model:
        return services.versions.active(tenant, elder)
    for version in services.models.details(tenant, elder):
        if version.tag == model:
            return version
    raise NoSuchModel(model=model)


def _elder_of(services: Services, tenant: TenantId, model: str) -> ElderId:
    try:
        return services.elders.get(tenant, ElderId(model)).id
    except ElderNotFound:
        for elder in services.elders.all(tenant):
            if model_name(tenant, elder.id) == model.partition(":")[0]:
                return elder.id
    raise NoSuchModel(model=model)


def _out(name: str, version: ModelVersion, elder_name: str) -> ModelObject:
    return ModelObject(
        id=name,
        created=int(version.created_at.timestamp()),
        name=elder_name,
        elder_id=version.elder,
        version=version.number,
        base=version.base,
    )
