"""Versions of the elders' models in MongoDB, and which of them is in use."""

from dataclasses import asdict

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection
from pymongo.database import Database

from adapters.mongo import Document, decode, of_tenant, translated
from kernel.errors import ModelNotFound, VersionInUse, VersionNotFound
from kernel.ids import ElderId, TenantId
from kernel.version import ModelVersion


class MongoVersions:
    def __init__(self, database: Database[Document]) -> None:
        self._versions: Collection[Document] = database.versions

    def add(self, tenant: TenantId, version: ModelVersion) -> None:
        with translated():
            self._versions.replace_one(
                of_tenant(tenant) | {"elder": version.elder, "number": version.number},
                asdict(version) | of_tenant(tenant),
                upsert=True,
            )

    def of_elder(self, tenant: TenantId, elder: ElderId) -> list[ModelVersion]:
        with translated():
            rows = self._versions.find(of_tenant(tenant) | {"elder": elder}).sort("number", DESCENDING)
            return [decode(ModelVersion, row) for row in rows]

    def active(self, tenant: TenantId, elder: ElderId) -> ModelVersion:
        with translated():
            row = self._last(of_tenant(tenant) | {"elder": elder, "is_active": True})
        if row is None:
            raise ModelNotFound(elder=elder)
        return decode(ModelVersion, row)

    def activate(self, tenant: TenantId, elder: ElderId, number: int) -> None:
        """The new one first, then those before it off: at every moment at least one is active.

        Two at once may take the same turn; then the higher number comes after. A version's turn never falls, and
        what switches one off is active and comes after it, so that the last is switched off by none.
        """
        mine = of_tenant(tenant) | {"elder": elder}
        with translated():
            turn = int((self._last(mine) or {}).get("activated_at", 0)) + 1
            found = self._versions.update_one(
                mine | {"number": number, "is_retired": {"$ne": True}},
                {"$set": {"is_active": True}, "$max": {"activated_at": turn}},
            )
            if not found.matched_count:
                raise VersionNotFound(elder=elder, version=number)
            if last := self._last(mine | {"is_active": True}):
                turn, number = last["activated_at"], last["number"]
                not_before = [{"activated_at": {"$gt": turn}}, {"activated_at": turn, "number": {"$gte": number}}]
                self._versions.update_many(mine | {"$nor": not_before}, {"$set": {"is_active": False}})

    def retire(self, tenant: TenantId, elder: ElderId, number: int) -> None:
        """In one write, which an activation that comes at the same time either finds or stops."""
        mine = of_tenant(tenant) | {"elder": elder, "number": number}
        with translated():
            found = self._versions.update_one(mine | {"is_active": False}, {"$set": {"is_retired": True}})
            if not found.matched_count:
                is_there = self._versions.find_one(mine) is not None
                raise (VersionInUse if is_there else VersionNotFound)(elder=elder, version=number)

    def all(self, tenant: TenantId) -> list[ModelVersion]:
        with translated():
            rows = self._versions.find(of_tenant(tenant)).sort([("elder", ASCENDING), ("number", DESCENDING)])
            return [decode(ModelVersion, row) for row in rows]

    def remove(self, tenant: TenantId, elder: ElderId, number: int) -> None:
        with translated():
            self._versions.delete_one(of_tenant(tenant) | {"elder": elder, "number": number})

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        with translated():
            self._versions.delete_many(of_tenant(tenant) | {"elder": elder})

    def _last(self, wanted: Document) -> Document | None:
        """The one that was activated last."""
        return self._versions.find_one(wanted, sort=[("activated_at", DESCENDING), ("number", DESCENDING)])
