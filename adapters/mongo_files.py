"""MongoDB: uploaded training files, in GridFS beside the answers that come of them.

Why not on disk: the words stay in one store, which is backed up whole and which every API process sees; a file is
there whole or not at all, since GridFS writes its record last. The record's `metadata` is ours; its tenant comes first.
"""

from contextlib import suppress

from gridfs import GridFSBucket, NoFile
from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection
from pymongo.database import Database

from adapters.mongo import Document, decode, of_tenant, translated
from kernel.errors import TrainingFileNotFound
from kernel.ids import ElderId, FileId, TenantId
from kernel.training_file import TrainingFile

_BUCKET = "training_files"


def create_file_indexes(database: Database[Document]) -> None:
    with translated():
        database[f"{_BUCKET}.files"].create_index(
            [("metadata.tenant", ASCENDING), ("metadata.id", ASCENDING)], unique=True
        )


class MongoFiles:
    """Implements kernel.ports.Files."""

    def __init__(self, database: Database[Document]) -> None:
        self._bucket = GridFSBucket(database, bucket_name=_BUCKET)
        self._records: Collection[Document] = database[f"{_BUCKET}.files"]

    def add(self, tenant: TenantId, file: TrainingFile, content: bytes) -> None:
        ours = of_tenant(tenant) | {"id": file.id, "created_at": file.created_at, "elders": list(file.elders)}
        with translated():
            self._bucket.upload_from_stream(file.name, content, metadata=ours)

    def get(self, tenant: TenantId, file: FileId) -> TrainingFile:
        return _file(self._record(tenant, file))

    def content(self, tenant: TenantId, file: FileId) -> bytes:
        key = self._record(tenant, file)["_id"]
        with translated():
            try:
                return self._bucket.open_download_stream(key).read()
            except NoFile as error:
                raise TrainingFileNotFound(file=file) from error

    def all(self, tenant: TenantId) -> list[TrainingFile]:
        return self._found(_of_tenant(tenant))

    def give(self, tenant: TenantId, file: FileId, elder: ElderId) -> None:
        mine = _of_tenant(tenant) | {"metadata.id": file}
        with translated():
            found = self._records.update_one(mine, {"$addToSet": {"metadata.elders": elder}})
        if not found.matched_count:
            raise TrainingFileNotFound(file=file)

    def of_elder(self, tenant: TenantId, elder: ElderId) -> list[TrainingFile]:
        return self._found(_of_tenant(tenant) | {"metadata.elders": elder})

    def delete(self, tenant: TenantId, file: FileId) -> None:
        with translated():
            for row in self._records.find(_of_tenant(tenant) | {"metadata.id": file}):
                with suppress(NoFile):
                    self._bucket.delete(row["_id"])

    def _record(self, tenant: TenantId, file: FileId) -> Document:
        with translated():
            row = self._records.find_one(_of_tenant(tenant) | {"metadata.id": file})
        if row is None:
            raise TrainingFileNotFound(file=file)
        return row

    def _found(self, wanted: Document) -> list[TrainingFile]:
        newest_first = [("metadata.created_at", DESCENDING), ("_id", DESCENDING)]
        with translated():
            return [_file(row) for row in self._records.find(wanted).sort(newest_first)]


def _of_tenant(tenant: TenantId) -> Document:
    return {"metadata.tenant": tenant}


def _file(row: Document) -> TrainingFile:
    return decode(TrainingFile, row["metadata"] | {"name": row["filename"], "size_bytes": row["length"]})
