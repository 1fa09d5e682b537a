"""Who asks: an API key names the tenant. Keys are kept as digests; a wrong one and a missing one look the same."""

import hashlib
import secrets
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import APIKeyHeader, HTTPAuthorizationCredentials, HTTPBearer

from kernel.elder import ApiKey, Tenant
from kernel.errors import Unauthorized
from kernel.ids import TenantId
from kernel.ports import Clock, Families
from modelserver.services import Services

KEY_PREFIX = "hl_"

_bearer = HTTPBearer(auto_error=False)
_header = APIKeyHeader(name="X-API-Key", auto_error=False)


def services_of(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Provided = Annotated[Services, Depends(services_of)]


def tenant_of(
    services: Provided,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)],
    header: Annotated[str | None, Depends(_header)],
) -> TenantId:
    """The tenant whose key it is. Raises Unauthorized."""
    key = bearer.credentials if bearer else header
    tenant = services.families.tenant_of_key(key_sha256(key)) if key else None
    if tenant is None:
        raise Unauthorized
    return tenant


Family = Annotated[TenantId, Depends(tenant_of)]


def add_family(families: Families, name: str, *, clock: Clock) -> tuple[Tenant, str]:
    """A new tenant and its API key, which is shown this once and kept only as a digest."""
    tenant = Tenant(id=TenantId("t_" + secrets.token_hex(8)), name=name, created_at=clock())
    key = KEY_PREFIX + secrets.token_urlsafe(32)
    families.add(tenant, ApiKey(sha256=key_sha256(key), tenant=tenant.id, created_at=clock()))
    return tenant, key


def replace_key(families: Families, key: str, *, clock: Clock) -> str:
    """The family's new key; the old one opens nothing from now on. Raises Unauthorized if it did not before."""
    old = key_sha256(key)
    tenant = families.tenant_of_key(old)
    new = KEY_PREFIX + secrets.token_urlsafe(32)
    if tenant is None or not families.replace_key(
        tenant, old, ApiKey(sha256=key_sha256(new), tenant=tenant, created_at=clock())
    ):
        raise Unauthorized
    return new


def key_sha256(key: str) -> str:
    """Keys are 256 random bits: a plain digest cannot be turned back, and needs no salt."""
    return hashlib.sha256(key.encode()).hexdigest()
