"""MongoDB: the family's conversations and its feedback. One document a conversation, with its turns in it: a turn is
pushed only where the conversation still is."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection
from pymongo.database import Database

from adapters.mongo import Document, decode, of_tenant, translated
from kernel.conversation import MOST_TURNS, Conversation, Turn
from kernel.errors import ConversationNotFound, FeedbackNotFound
from kernel.feedback import Feedback
from kernel.ids import ConversationId, ElderId, FeedbackId, TenantId, TurnId


class MongoConversations:
    """Implements kernel.ports.Conversations."""

    def __init__(self, database: Database[Document]) -> None:
        self._held: Collection[Document] = database.conversations

    def add(self, tenant: TenantId, conversation: Conversation) -> None:
        with translated():
            self._held.insert_one(asdict(conversation) | of_tenant(tenant))

    def add_turn(self, tenant: TenantId, conversation: ConversationId, turn: Turn) -> bool:
        mine = of_tenant(tenant) | {"id": conversation, f"turns.{MOST_TURNS - 1}": {"$exists": False}}
        change = {"$push": {"turns": asdict(turn)}, "$set": {"updated_at": turn.asked_at}}
        with translated():
            return self._held.update_one(mine, change).matched_count == 1

    def get(self, tenant: TenantId, conversation: ConversationId) -> Conversation:
        with translated():
            row = self._held.find_one(of_tenant(tenant) | {"id": conversation})
        if row is None:
            raise ConversationNotFound(conversation=conversation)
        return decode(Conversation, row)

    def all(
        self, tenant: TenantId, *, elder: ElderId | None, member: str, limit: int, offset: int
    ) -> list[Conversation]:
        with translated():
            rows = self._held.find(_of(tenant, elder, member), {"turns": {"$slice": 1}})
            newest = rows.sort([("updated_at", DESCENDING), ("_id", DESCENDING)]).skip(offset).limit(limit)
            return [decode(Conversation, row) for row in newest]

    def whole(self, tenant: TenantId, elder: ElderId) -> Iterator[Conversation]:
        with translated():
            for row in self._held.find(_of(tenant, elder, "")).sort("_id", ASCENDING):
                yield decode(Conversation, row)

    def remove_turns(self, tenant: TenantId, conversation: ConversationId, turns: Sequence[TurnId]) -> None:
        mine = of_tenant(tenant) | {"id": conversation}
        with translated():
            self._held.update_one(mine, {"$pull": {"turns": {"id": {"$in": list(turns)}}}})
            self._held.delete_one(mine | {"turns": {"$size": 0}})

    def delete(self, tenant: TenantId, conversation: ConversationId) -> None:
        with translated():
            if not self._held.delete_one(of_tenant(tenant) | {"id": conversation}).deleted_count:
                raise ConversationNotFound(conversation=conversation)

    def delete_all(self, tenant: TenantId, *, elder: ElderId | None, member: str) -> int:
        with translated():
            return self._held.delete_many(_of(tenant, elder, member)).deleted_count


class MongoFeedbacks:
    """Implements kernel.ports.Feedbacks."""

    def __init__(self, database: Database[Document]) -> None:
        self._held: Collection[Document] = database.feedback

    def put(self, tenant: TenantId, elder: ElderId, feedback: Feedback) -> None:
        mine = of_tenant(tenant) | {"elder": elder, "id": feedback.id}
        with translated():
            self._held.replace_one(mine, asdict(feedback) | mine, upsert=True)

    def of_elder(self, tenant: TenantId, elder: ElderId) -> list[Feedback]:
        with translated():
            rows = self._held.find(of_tenant(tenant) | {"elder": elder})
            newest = rows.sort([("given_at", DESCENDING), ("id", ASCENDING)])
            return [decode(Feedback, row) for row in newest]

    def remove(self, tenant: TenantId, elder: ElderId, feedback: FeedbackId) -> None:
        with translated():
            found = self._held.delete_one(of_tenant(tenant) | {"elder": elder, "id": feedback})
        if not found.deleted_count:
            raise FeedbackNotFound(elder=elder, feedback=feedback)

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        with translated():
            self._held.delete_many(of_tenant(tenant) | {"elder": elder})


def _of(tenant: TenantId, elder: ElderId | None, member: str) -> Document:
    """Every elder where none is named, every member for ""."""
    return of_tenant(tenant) | ({"elder": elder} if elder is not None else {}) | ({"member": member} if member else {})
