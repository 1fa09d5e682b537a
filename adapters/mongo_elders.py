"""Elders in MongoDB, with what they told and what their model is asked to measure it."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from pymongo import ASCENDING
from pymongo.database import Database
from pymongo.errors import BulkWriteError, DuplicateKeyError

from adapters.mongo import Document, decode, of_tenant, translated
from kernel.elder import Consent, Elder
from kernel.errors import AnswerNotFound, ElderExists, ElderNotFound
from kernel.evaluation import Probe
from kernel.ids import AnswerId, ElderId, TenantId, digest
from kernel.memory import Answer

_BATCH = 500  #: rows a command: some hundred a second are written by the embedded store, and a command has 20 seconds


class MongoElders:
    def __init__(self, database: Database[Document]) -> None:
        self._database = database

    def add(self, tenant: TenantId, elder: Elder) -> None:
        with translated():
            try:
                self._database.elders.insert_one(asdict(elder) | of_tenant(tenant))
            except DuplicateKeyError as error:
                raise ElderExists(elder=elder.id) from error

    def get(self, tenant: TenantId, elder: ElderId) -> Elder:
        with translated():
            row = self._database.elders.find_one(of_tenant(tenant) | {"id": elder})
        if row is None:
            raise ElderNotFound(elder=elder)
        return decode(Elder, row)

    def all(self, tenant: TenantId) -> list[Elder]:
        with translated():
            return [decode(Elder, row) for row in self._database.elders.find(of_tenant(tenant)).sort("created_at")]

    def set_consent(self, tenant: TenantId, elder: ElderId, consent: Consent | None) -> None:
        told = {"consent": asdict(consent) if consent else None}
        with translated():
            found = self._database.elders.update_one(of_tenant(tenant) | {"id": elder}, {"$set": told})
        if not found.matched_count:
            raise ElderNotFound(elder=elder)

    def set_engine(self, tenant: TenantId, elder: ElderId, engine: str) -> None:
        with translated():
            found = self._database.elders.update_one(of_tenant(tenant) | {"id": elder}, {"$set": {"engine": engine}})
        if not found.matched_count:
            raise ElderNotFound(elder=elder)

    def add_answers(self, tenant: TenantId, elder: ElderId, answers: Sequence[Answer]) -> int:
        if not answers:
            return 0
        with translated():
            owner, first = self._reserve_places(tenant, elder, len(answers))
            rows = [
                of_tenant(tenant)
                | {"elderId": elder, "digest": digest(one.question, one.answer), "order": first + place}
                | asdict(one)
                for place, one in enumerate(answers)
            ]
            try:
                added = sum(self._insert_new(some) for some in _in_batches(rows))
                if self._record_id(tenant, elder) != owner:
                    raise ElderNotFound(elder=elder)
            except Exception:
                self._delete(tenant, [row["_id"] for row in rows if "_id" in row])
                raise
        return added

    def _insert_new(self, rows: Sequence[Document]) -> int:
        """How many were not there."""
        try:
            return len(self._database.answers.insert_many(rows, ordered=False).inserted_ids)
        except BulkWriteError as error:
            if any(one["code"] != 11000 for one in error.details["writeErrors"]):
                raise
            return int(error.details["nInserted"])

    def _delete(self, tenant: TenantId, ids: Sequence[object]) -> int:
        some = (of_tenant(tenant) | {"_id": {"$in": batch}} for batch in _in_batches(ids))
        return sum(self._database.answers.delete_many(one).deleted_count for one in some)

    def _reserve_places(self, tenant: TenantId, elder: ElderId, count: int) -> tuple[object, int]:
        """The elder's record, and the first of `count` places in the order: two uploads at once do not mix. Places are
        never given twice."""
        row = self._database.elders.find_one_and_update(
            _not_leaving(tenant, elder), {"$inc": {"places": count}}, projection={"places": True}
        )
        if row is None:
            raise ElderNotFound(elder=elder)
        return row["_id"], int(row.get("places", 0))

    def _record_id(self, tenant: TenantId, elder: ElderId) -> object:
        """An elder who is added again has another. None where the elder is leaving, or gone."""
        row = self._database.elders.find_one(_not_leaving(tenant, elder), projection={"_id": True})
        return row and row["_id"]

    def answers_mark(self, tenant: TenantId, elder: ElderId) -> str:
        with translated():
            row = self._database.elders.find_one(of_tenant(tenant) | {"id": elder}, projection={"places": True})
        # The record's own id too: an elder who was deleted and added again may have as many answers as before.
        known = row or {}
        return f"{known.get('_id')}/{known.get('places', 0)}/{self.count_answers(tenant, elder)}"

    def answers(self, tenant: TenantId, elder: ElderId) -> list[Answer]:
        with translated():
            rows = self._database.answers.find(of_tenant(tenant) | {"elderId": elder}).sort(
                [("order", ASCENDING), ("_id", ASCENDING)]
            )
            return [decode(Answer, row) for row in rows]

    def count_answers(self, tenant: TenantId, elder: ElderId) -> int:
        with translated():
            return self._database.answers.count_documents(of_tenant(tenant) | {"elderId": elder})

    def remove_answer(self, tenant: TenantId, elder: ElderId, answer: AnswerId) -> None:
        mine = of_tenant(tenant) | {"elderId": elder}
        found = next((one for one in self.answers(tenant, elder) if one.id == answer), None)
        if found is None:
            raise AnswerNotFound(elder=elder, answer=answer)
        with translated():
            self._database.answers.delete_one(mine | {"digest": digest(found.question, found.answer)})

    def remove_words(self, tenant: TenantId, elder: ElderId) -> int:
        """The mark first: who comes after it keeps nothing, and what came before it is removed here."""
        with translated():
            self._database.elders.update_one(of_tenant(tenant) | {"id": elder}, {"$set": {"is_leaving": True}})
            self._database.probes.delete_many(of_tenant(tenant) | {"elder": elder})
            told = self._database.answers.find(of_tenant(tenant) | {"elderId": elder}, projection={"_id": True})
            return self._delete(tenant, [row["_id"] for row in told])

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        self.remove_words(tenant, elder)
        with translated():
            self._database.elders.delete_one(of_tenant(tenant) | {"id": elder})

    def set_probes(self, tenant: TenantId, elder: ElderId, probes: Sequence[Probe]) -> None:
        mine = of_tenant(tenant) | {"elder": elder}
        with translated():
            owner = self._record_id(tenant, elder)
            if owner is None:
                raise ElderNotFound(elder=elder)
            self._database.probes.replace_one(mine, mine | {"items": [asdict(probe) for probe in probes]}, upsert=True)
            if self._record_id(tenant, elder) != owner:
                self._database.probes.delete_many(mine)
                raise ElderNotFound(elder=elder)

    def probes(self, tenant: TenantId, elder: ElderId) -> list[Probe]:
        with translated():
            row = self._database.probes.find_one(of_tenant(tenant) | {"elder": elder})
        return [decode(Probe, item) for item in row["items"]] if row else []


def _not_leaving(tenant: TenantId, elder: ElderId) -> Document:
    return of_tenant(tenant) | {"id": elder, "is_leaving": {"$ne": True}}


def _in_batches(items: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
