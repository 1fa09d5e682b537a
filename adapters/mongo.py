"""MongoDB: the connection, what every store in it shares, and the families. Each other store is a file of its own.

Every filter begins with the tenant (`of_tenant`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, TypeVar

from pydantic import TypeAdapter
from pymongo import ASCENDING, DESCENDING, MongoClient
from pymongo.database import Database
from pymongo.errors import PyMongoError

from kernel.elder import ApiKey, Tenant
from kernel.errors import StoreUnavailable
from kernel.ids import TenantId

Document = dict[str, Any]
T = TypeVar("T")

_TIMEOUT_MS = 5_000


def connect(url: str, database: str) -> Database[Document]:
    """A database whose calls fail within seconds when nothing answers. Times come back aware, in UTC."""
    client: MongoClient[Document] = MongoClient(
        url,
        tz_aware=True,
        serverSelectionTimeoutMS=_TIMEOUT_MS,
        connectTimeoutMS=_TIMEOUT_MS,
        socketTimeoutMS=4 * _TIMEOUT_MS,
        appname="heirloom",
    )
    return client[database]


def create_indexes(database: Database[Document]) -> None:
    """The uniqueness that the rules rest on; harmless when they are there."""
    with translated():
        database.api_keys.create_index("sha256", unique=True)
        database.elders.create_index([("tenant", ASCENDING), ("id", ASCENDING)], unique=True)
        database.answers.create_index(
            [("tenant", ASCENDING), ("elderId", ASCENDING), ("digest", ASCENDING)], unique=True
        )
        database.jobs.create_index([("tenant", ASCENDING), ("id", ASCENDING)], unique=True)
        database.jobs.create_index(
            [("tenant", ASCENDING), ("elder", ASCENDING)],
            unique=True,
            partialFilterExpression={"is_live": True},
            name="one_live_job_an_elder",
        )
        database.events.create_index([("tenant", ASCENDING), ("job", ASCENDING), ("number", ASCENDING)], unique=True)
        database.teacher_calls.create_index(
            [("tenant", ASCENDING), ("elder", ASCENDING), ("key", ASCENDING)], unique=True
        )
        database.teacher_calls.create_index([("tenant", ASCENDING), ("job", ASCENDING)])
        database.golden.create_index([("tenant", ASCENDING), ("elder", ASCENDING), ("memory", ASCENDING)], unique=True)
        database.conversations.create_index([("tenant", ASCENDING), ("id", ASCENDING)], unique=True)
        database.conversations.create_index(
            [("tenant", ASCENDING), ("elder", ASCENDING), ("updated_at", DESCENDING)],
        )
        database.feedback.create_index([("tenant", ASCENDING), ("elder", ASCENDING), ("id", ASCENDING)], unique=True)
        database.versions.create_index(
            [("tenant", ASCENDING), ("elder", ASCENDING), ("number", ASCENDING)], unique=True
        )


class MongoFamilies:
    def __init__(self, database: Database[Document]) -> None:
        self._database = database

    def add(self, tenant: Tenant, key: ApiKey) -> None:
        with translated():
            self._database.tenants.insert_one(asdict(tenant))
            self._database.api_keys.insert_one(asdict(key))

    def tenant_of_key(self, key_sha256: str) -> TenantId | None:
        with translated():
            row = self._database.api_keys.find_one({"sha256": key_sha256})
        return TenantId(row["tenant"]) if row else None

    def replace_key(self, tenant: TenantId, old_sha256: str, new: ApiKey) -> bool:
        with translated():
            found = self._database.api_keys.replace_one(
                of_tenant(tenant) | {"sha256": old_sha256}, asdict(new) | of_tenant(tenant)
            )
        return found.matched_count == 1

    def all(self) -> list[Tenant]:
        with translated():
            return [decode(Tenant, row) for row in self._database.tenants.find()]


def of_tenant(tenant: TenantId) -> Document:
    """Where every filter and every document begins."""
    return {"tenant": tenant}


def decode(kind: type[T], row: Document) -> T:
    return TypeAdapter(kind).validate_python(row)


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        raise StoreUnavailable from error


def ping(database: Database[Document]) -> str:
    """The server's version. Raises StoreUnavailable."""
    with translated():
        database.command("ping")
        return str(database.client.server_info()["version"])
