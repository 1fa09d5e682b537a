"""The model manager: which models a family has, how one version takes another's place, and how they go.

It sees `afs_elder_` models only, and only the tenant's: the list comes from the versions that we published,
never from what an engine happens to hold.

Switching writes one field in the store. The engine keeps every version that is listed, so what was begun with the
version before is answered to its end by that one, and the next question by the new one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kernel.errors import EngineUnavailable, JobRunning, ModelNotFound, VersionNotFound
from kernel.ids import ElderId, TenantId
from kernel.ports import Engine, Jobs, Versions
from kernel.version import ModelVersion


class WeightStore(Protocol):
    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        """Remove every artefact of the elder, weights included."""

    def size_bytes(self, tenant: TenantId, elder: ElderId) -> int:
        """Of every artefact of the elder on disk."""


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
        found = [one for one in self.versions.of_elder(tenant, elder) if not one.is_retired]
        if not found:
            raise ModelNotFound(elder=elder)
        return found

    def version(self, tenant: TenantId, elder: ElderId, number: int) -> ModelVersion:
        """Raises ModelNotFound, VersionNotFound."""
        found = (one for one in self.details(tenant, elder) if one.number == number)
        if version := next(found, None):
            return version
        raise VersionNotFound(elder=elder, version=number)

    def activate(self, tenant: TenantId, elder: ElderId, number: int) -> ModelVersion:
        """The version that the family talks with from here on.

        Raises ModelNotFound, VersionNotFound, and EngineUnavailable when the engine does not have it.
        """
        version = self.version(tenant, elder, number)
        if not self.engine.has(version):
            raise EngineUnavailable(engine=self.engine.name, reason=f"it has no model {version.tag}; train again")
        self.engine.activate(version)
        self.versions.activate(tenant, elder, number)
        return self.version(tenant, elder, number)

    def roll_back(self, tenant: TenantId, elder: ElderId) -> ModelVersion:
        """To the newest version that is older than the one in use. Raises ModelNotFound, VersionNotFound."""
        in_use = self.versions.active(tenant, elder)
        older = [one for one in self.details(tenant, elder) if one.number < in_use.number]
        if not older:
            raise VersionNotFound(elder=elder, version=f"< {in_use.number}")
        return self.activate(tenant, elder, older[0].number)

    def retire(self, tenant: TenantId, elder: ElderId, number: int) -> ModelVersion:
        """Remove one version with its weights, never the one in use; what it is answering is answered to its end.

        One that the engine did not let go is asked for again. Raises VersionNotFound, VersionInUse, JobRunning,
        EngineUnavailable.
        """
        self.refuse_while_training(tenant, elder)
        version = next((one for one in self.versions.of_elder(tenant, elder) if one.number == number), None)
        if version is None:
            raise VersionNotFound(elder=elder, version=number)
        self.versions.retire(tenant, elder, number)
        self.engine.delete(version, at_once=False)
        self.versions.remove(tenant, elder, number)
        return version

    def disk_bytes(self, tenant: TenantId, elder: ElderId) -> int:
        """Of the artefacts that training made; the versions' own files are beside those."""
        return self.weights.size_bytes(tenant, elder)

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
