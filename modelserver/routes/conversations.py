"""Conversations: what each member of the family asked and was answered; read, and deleted."""

from typing import Annotated

from fastapi import APIRouter, Query, Response

from kernel.conversation import Conversation, Turn
from kernel.evidence import evidence_of
from kernel.feedback import Feedback
from kernel.ids import ConversationId, ElderId, FeedbackId, MemoryId, TenantId, elder_id, feedback_id
from kernel.memory import Memory
from modelserver.answering import BY_AI
from modelserver.auth import Family, Provided
from modelserver.routes.feedback import feedback_out
from modelserver.schemas.body import Member, MemoryOut, Name, Offset
from modelserver.schemas.chat import EvidenceOut
from modelserver.schemas.conversations import (
    ConversationOut,
    ConversationsDeleted,
    ConversationsOut,
    TurnOut,
    WholeConversation,
)
from modelserver.services import Services, memories_of

router = APIRouter(prefix="/conversations", tags=["conversations"])


@router.get("")
def list_conversations(
    services: Provided,
    tenant: Family,
    elder: Annotated[str, Query(alias="elder_id")] = "",
    member: Annotated[Member, Query()] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    offset: Offset = 0,
) -> ConversationsOut:
    """The one that was talked in last first; of one elder and one member, where they are named."""
    found = services.conversations.all(
        tenant, elder=_elder(services, tenant, elder), member=member, limit=limit, offset=offset
    )
    return ConversationsOut(conversations=[ConversationOut(**_told(one)) for one in found])


@router.get("/{conversation}")
def read_conversation(conversation: str, response: Response, services: Provided, tenant: Family) -> WholeConversation:
    """Every turn with the memories that it was given, as they are now, and what the member said of it."""
    response.headers.update(BY_AI)
    found = services.conversations.get(tenant, ConversationId(conversation))
    memories = {memory.id: memory for memory in memories_of(services.elders, tenant, found.elder).items}
    said = {one.id: one for one in services.feedbacks.of_elder(tenant, found.elder)}
    return WholeConversation(**_told(found), turns=[_turn(found, turn, memories, said) for turn in found.turns])


@router.delete("/{conversation}")
def delete_conversation(conversation: str, services: Provided, tenant: Family) -> ConversationsDeleted:
    """The thumbs and corrections that were given in it stay: they are deleted with DELETE /feedback."""
    services.conversations.delete(tenant, ConversationId(conversation))
    return ConversationsDeleted(deleted=1)


@router.delete("")
def delete_conversations(
    services: Provided,
    tenant: Family,
    member: Annotated[Name, Query()],
    elder: Annotated[str, Query(alias="elder_id")] = "",
) -> ConversationsDeleted:
    """All of a member; with one elder, where that is named."""
    deleted = services.conversations.delete_all(tenant, elder=_elder(services, tenant, elder), member=member)
    return ConversationsDeleted(deleted=deleted)


def _elder(services: Services, tenant: TenantId, elder: str) -> ElderId | None:
    return services.elders.get(tenant, elder_id(elder)).id if elder else None


def _told(one: Conversation) -> dict[str, object]:
    return {
        "conversation_id": one.id,
        "elder_id": one.elder,
        "member": one.member,
        "title": one.title,
        "created_at": one.created_at,
        "updated_at": one.updated_at,
    }


def _turn(
    conversation: Conversation,
    turn: Turn,
    memories: dict[MemoryId, Memory],
    said: dict[FeedbackId, Feedback],
) -> TurnOut:
    given = [memories[id] for id in turn.memory_ids if id in memories]
    feedback = said.get(feedback_id(conversation.member, turn.question, turn.answer))
    return TurnOut(
        turn_id=turn.id,
        question=turn.question,
        answer=turn.answer,
        memory_ids=list(turn.memory_ids),
        memories=[MemoryOut(id=memory.id, text=memory.text) for memory in given],
        evidence=[
            EvidenceOut(memory_id=one.memory_id, words=list(one.words)) for one in evidence_of(turn.answer, given)
        ],
        refused=turn.is_refused,
        model=turn.model,
        asked_at=turn.asked_at,
        feedback=feedback_out(conversation.elder, feedback) if feedback else None,
    )
