"""MongoDB: what teachers were asked and replied. One document a call, of one elder of one tenant."""

from dataclasses import asdict

from pymongo import ASCENDING
from pymongo.collection import Collection
from pymongo.database import Database

from adapters.mongo import Document, decode, of_tenant, translated
from kernel.ids import ElderId, JobId, MemoryId, TenantId
from kernel.language_model import Call, Reply, Spent


class MongoReplies:
    """Implements kernel.ports.Replies."""

    def __init__(self, database: Database[Document]) -> None:
        self._calls: Collection[Document] = database.teacher_calls

    def find(self, tenant: TenantId, elder: ElderId, key: str) -> Call | None:
        with translated():
            row = self._calls.find_one(of_tenant(tenant) | {"elder": elder, "key": key})
        return decode(Call, row) if row else None

    def keep(self, tenant: TenantId, elder: ElderId, key: str, call: Call) -> None:
        mine = of_tenant(tenant) | {"elder": elder, "key": key}
        with translated():
            self._calls.update_one(mine, {"$set": asdict(call)}, upsert=True)

    def calls(self, tenant: TenantId, elder: ElderId) -> list[Call]:
        with translated():
            rows = self._calls.find(of_tenant(tenant) | {"elder": elder}).sort("_id", ASCENDING)
            return [decode(Call, row) for row in rows]

    def spent(self, tenant: TenantId, job: JobId) -> Spent:
        with translated():
            rows = list(self._calls.find(of_tenant(tenant) | {"job": job}, {"reply": True}))
        replies = [decode(Reply, row["reply"]) for row in rows]
        return Spent(calls=len(replies), tokens=sum(one.tokens_read + one.tokens_written for one in replies))

    def forget(self, tenant: TenantId, elder: ElderId, memory: MemoryId) -> int:
        held = of_tenant(tenant) | {"elder": elder, "task.memory_ids": memory}
        with translated():
            return self._calls.delete_many(held).deleted_count

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        with translated():
            self._calls.delete_many(of_tenant(tenant) | {"elder": elder})
