"""The model manager: which models a family has, and how they go.

It sees `afs_elder_` models only, and only the tenant's: the list comes from the versions that we published,
never from what an engine happens to hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kernel.errors import JobRunning, ModelNotFound
from kernel.ids import ElderId, TenantId
from kernel.ports import Engine, Jobs, Versions
from kernel.version import ModelVersion


class WeightStore(Protocol):
    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        """Remove every artefact of the elder, weights included."""


@dataclass(frozen=True, kw_only=True)
class ModelManager:
    versions: Versions
    jobs: Jobs
    engine: Engine
    weights: WeightStore

    def list_models(self, tenant: TenantId) -> list[ModelVersion]:
        """The active version of each elder."""
        return [version for version in self.versions.all(tenant) if version.is_active]

    def details(self, tenant: TenantId, elder: ElderId) -> Sequence[ModelVersion]:
        """Every version, newest first. Raises ModelNotFound."""
        found = self.versions.of_elder(tenant, elder)
        if not found:
            raise ModelNotFound(elder=elder)
        return found

    def delete_model(self, tenant: TenantId, elder: ElderId) -> int:
        """Remove every version from the engine, and all that training made; memories stay. Returns how many versions.

        None at all is no error: a training that failed leaves weights too. Raises JobRunning while the elder is
        being trained. The engine goes first: what it still holds stays listed, so that a failure halfway can be
        tried again.
        """
        self.refuse_while_training(tenant, elder)
        found = self.versions.of_elder(tenant, elder)
        for version in found:
            self.engine.delete(version)
        self.weights.delete(tenant, elder)
        self.versions.delete(tenant, elder)
        return len(found)

    def refuse_while_training(self, tenant: TenantId, elder: ElderId) -> None:
        """Raises JobRunning."""
        if running := self.jobs.live(tenant, elder):
            raise JobRunning(job_id=running.id)
