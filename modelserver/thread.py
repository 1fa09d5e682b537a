"""A question's thread: the conversation that it goes on with, and that keeps it with its answer, in chat and in live
talks alike.

Who names no member and no conversation has none, and nothing is kept.
"""

import secrets
from dataclasses import dataclass

import structlog

from kernel.conversation import MOST_TURNS, Conversation, Turn
from kernel.elder import Elder
from kernel.errors import ConversationFull, ConversationNotFound, ElderNotFound, StoreUnavailable
from kernel.ids import ConversationId, MemoryId, TenantId, TurnId, elder_id
from kernel.removal import is_gone
from modelserver.services import Services, memories_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Thread:
    tenant: TenantId
    elder: Elder
    id: ConversationId
    member: str
    before: Conversation | None  #: as it was when the question came; None: it begins with this question
    mark: str  #: of the elder's answers when the question came


def open_thread(
    services: Services, tenant: TenantId, elder: str, *, conversation_id: str, member: str
) -> Thread | None:
    """A new one is kept with its first answer, not before.

    Raises ElderNotFound, ConversationNotFound (also for another elder's or member's), ConversationFull.
    """
    if not conversation_id and not member:
        return None
    known = services.elders.get(tenant, elder_id(elder))
    mark = services.elders.answers_mark(tenant, known.id)
    if not conversation_id:
        new = ConversationId("c_" + secrets.token_hex(8))
        return Thread(tenant=tenant, elder=known, id=new, member=member, before=None, mark=mark)
    held = services.conversations.get(tenant, ConversationId(conversation_id))
    if held.elder != known.id or member not in ("", held.member):
        raise ConversationNotFound(conversation=conversation_id)
    if len(held.turns) >= MOST_TURNS:
        raise ConversationFull(limit=MOST_TURNS)
    return Thread(tenant=tenant, elder=known, id=held.id, member=held.member, before=held, mark=mark)


def keep(services: Services, thread: Thread, turn: Turn) -> bool:
    """Whether it was kept: what was deleted while the answer came, or while it was kept, is not made again by it.

    Nor is it where the store does not answer: the answer was given all the same.
    """
    try:
        return _kept(services, thread, turn)
    except StoreUnavailable:
        log.warning("conversation.not_kept", conversation=thread.id)
        return False


def new_turn_id() -> TurnId:
    return TurnId("u_" + secrets.token_hex(8))


def _kept(services: Services, thread: Thread, turn: Turn) -> bool:
    if not _still_told(services, thread, turn.memory_ids) or not _added(services, thread, turn):
        return False
    if not _still_told(services, thread, turn.memory_ids):
        services.conversations.remove_turns(thread.tenant, thread.id, [turn.id])
        return False
    return True


def _added(services: Services, thread: Thread, turn: Turn) -> bool:
    if thread.before:
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
    """Whether the elder is still there, and every memory that the answer was given, or those that it could repeat."""
    if is_gone(thread.tenant, thread.elder, services.elders):
        return False
    if services.elders.answers_mark(thread.tenant, thread.elder.id) == thread.mark:
        return True
    try:
        told = {memory.id for memory in memories_of(services.elders, thread.tenant, thread.elder.id).items}
    except ElderNotFound:
        return False
    heard = {memory for turn in (thread.before.turns if thread.before else ()) for memory in turn.memory_ids}
    return told.issuperset({*given, *heard})
