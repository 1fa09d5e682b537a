"""Tenants and elders: a family, the key that opens its door, and whose memories these are."""

from dataclasses import dataclass
from datetime import datetime

from kernel.ids import ElderId, TenantId


@dataclass(frozen=True, kw_only=True, slots=True)
class Tenant:
    id: TenantId
    name: str
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class ApiKey:
    """Kept as a digest; the key itself is shown once."""

    sha256: str
    tenant: TenantId
    created_at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Consent:
    """That a teacher model outside this machine may read what the elder told."""

    by: str  #: who gave it: the elder, or who speaks for them
    at: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Elder:
    id: ElderId
    name: str
    language: str  #: "zh" or "en": of the conversation
    base_model: str  #: key in the registry; "" for the one that fits the language
    created_at: datetime
    engine: str = ""  #: which serves what is trained from now on; "" for the configured one
    consent: Consent | None = None  #: None: not given, or withdrawn
    is_leaving: bool = False  #: the removal has begun: nothing more is kept of them
