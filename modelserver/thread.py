"""A chat's thread: the conversation that a question goes on with, and that keeps it with its answer.

A chat that names no member and no conversation has none, and nothing of it is kept.
"""

import secrets
from dataclasses import dataclass

from kernel.conversation import MOST_TURNS, Conversation, Turn
from kernel.elder import Elder
from kernel.errors import ConversationFull, ConversationNotFound, ElderNotFound
from kernel.ids import ConversationId, MemoryId, TenantId, TurnId, elder_id
from kernel.removal import is_gone
from modelserver.schemas.chat import ChatIn
from modelserver.schemas.chat import Turn as Said
from modelserver.services import Services, memories_of


@dataclass(frozen=True, kw_only=True, slots=True)
class Thread:
    tenant: TenantId
    elder: Elder
    id: ConversationId
    member: str
    is_new: bool
    mark: str  #: of the elder's answers when the question came


def open_thread(services: Services, tenant: TenantId, said: ChatIn) -> tuple[Thread | None, ChatIn]:
    """The thread, and what was said with its history. A new one is kept with its first answer, not before.

    Raises ElderNotFound, ConversationNotFound (also for another elder's or member's), ConversationFull.
    """
    if not said.conversation_id and not said.member:
        return None, said
    elder = services.elders.get(tenant, elder_id(said.elder_id))
    mark = services.elders.answers_mark(tenant, elder.id)
    if not said.conversation_id:
        new = ConversationId("c_" + secrets.token_hex(8))
        return Thread(tenant=tenant, elder=elder, id=new, member=said.member, is_new=True, mark=mark), said
    held = services.conversations.get(tenant, ConversationId(said.conversation_id))
    if held.elder != elder.id or said.member not in ("", held.member):
        raise ConversationNotFound(conversation=said.conversation_id)
    if len(held.turns) >= MOST_TURNS:
        raise ConversationFull(limit=MOST_TURNS)
    history = [Said(role=one.role, content=one.content) for one in held.history if one.role != "system"]
    thread = Thread(tenant=tenant, elder=elder, id=held.id, member=held.member, is_new=False, mark=mark)
    return thread, said.model_copy(update={"conversation_history": history})


def keep(services: Services, thread: Thread, turn: Turn) -> bool:
    """Whether it was kept: what was deleted while the answer came, or while it was kept, is not made again by it."""
    if not _still_told(services, thread, turn.memory_ids) or not _added(services, thread, turn):
        return False
    if not _still_told(services, thread, turn.memory_ids):
        services.conversations.remove_turns(thread.tenant, thread.id, [turn.id])
        return False
    return True


def new_turn_id() -> TurnId:
    return TurnId("u_" + secrets.token_hex(8))


def _added(services: Services, thread: Thread, turn: Turn) -> bool:
    if not thread.is_new:
        return services.conversations.add_turn(thread.tenant, thread.id, turn)
    services.conversations.add(
        thread.tenant,
        Conversation(
            id=thread.id,
            elder=thread.elder.id,
            member=thread.member,
            created_at=turn.asked_at,
            updated_at=turn.asked_at,
            turns=(turn,),
        ),
    )
    return True


def _still_told(services: Services, thread: Thread, given: tuple[MemoryId, ...]) -> bool:
    """Whether the elder is still there, and every memory that the answer was given."""
    if is_gone(thread.tenant, thread.elder, services.elders):
        return False
    if services.elders.answers_mark(thread.tenant, thread.elder.id) == thread.mark:
        return True
    try:
        told = {memory.id for memory in memories_of(services.elders, thread.tenant, thread.elder.id).items}
    except ElderNotFound:
        return False
    return told.issuperset(given)
