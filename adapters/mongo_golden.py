"""MongoDB: the golden sets. One document a reviewed memory, of one elder of one tenant."""

from dataclasses import asdict

from pymongo import ASCENDING
from pymongo.collection import Collection
from pymongo.database import Database

from adapters.mongo import Document, decode, of_tenant, translated
from kernel.extraction import Extract
from kernel.ids import ElderId, MemoryId, TenantId


class MongoGoldenSets:
    """Implements kernel.ports.GoldenSets."""

    def __init__(self, database: Database[Document]) -> None:
        self._lines: Collection[Document] = database.golden

    def of_elder(self, tenant: TenantId, elder: ElderId) -> dict[MemoryId, Extract]:
        with translated():
            rows = self._lines.find(of_tenant(tenant) | {"elder": elder}).sort("_id", ASCENDING)
            return {MemoryId(row["memory"]): decode(Extract, row["wanted"]) for row in rows}

    def approve(self, tenant: TenantId, elder: ElderId, memory: MemoryId, wanted: Extract) -> None:
        mine = of_tenant(tenant) | {"elder": elder, "memory": memory}
        with translated():
            self._lines.update_one(mine, {"$set": {"wanted": asdict(wanted)}}, upsert=True)

    def forget(self, tenant: TenantId, elder: ElderId, memory: MemoryId) -> None:
        with translated():
            self._lines.delete_many(of_tenant(tenant) | {"elder": elder, "memory": memory})

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        with translated():
            self._lines.delete_many(of_tenant(tenant) | {"elder": elder})
