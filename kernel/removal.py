"""Removal: an elder goes, with everything that was made of their words.

Every step may be done again, and the elder's own record goes last: a removal that was cut off is asked for
again and goes on. The words go first: without them no training can begin meanwhile.
"""

from dataclasses import dataclass

from kernel.conversation import turns_of
from kernel.errors import BadInput
from kernel.evidence import quotation_of
from kernel.feedback import rests_on
from kernel.ids import AnswerId, ElderId, TenantId
from kernel.memory import collect_memories
from kernel.model_manager import ModelManager
from kernel.ports import Conversations, Elders, Feedbacks, Files, GoldenSets, Replies, VectorIndex
from kernel.upload import read_answers


def take_back_answer(
    tenant: TenantId,
    elder: ElderId,
    answer: AnswerId,
    *,
    elders: Elders,
    replies: Replies,
    golden: GoldenSets,
    files: Files,
    conversations: Conversations,
    feedbacks: Feedbacks,
) -> None:
    """The answer, every reply of a teacher that held its words, what a person made of them, every training file that
    holds them, and what of the family's talks and feedback was given or quotes them.

    What else such a file holds is among the answers. Raises ElderNotFound, AnswerNotFound.
    """
    known = elders.get(tenant, elder)
    found = [one for one in elders.answers(tenant, elder) if one.id == answer]
    memories = collect_memories(found, elder_name=known.name, language=known.language)
    elders.remove_answer(tenant, elder, answer)  # first: from here on no teacher is asked about it
    for memory in memories.items:
        replies.forget(tenant, elder, memory.id)
        golden.forget(tenant, elder, memory.id)
    for file in files.of_elder(tenant, elder):
        if _may_hold(files.content(tenant, file.id), answer):
            files.delete(tenant, file.id)
    ids, is_quotation = {memory.id for memory in memories.items}, quotation_of(memories.items)
    for conversation in conversations.whole(tenant, elder):
        if turns := turns_of(conversation, ids, is_quotation):
            conversations.remove_turns(tenant, conversation.id, turns)
    for feedback in feedbacks.of_elder(tenant, elder):
        if rests_on(feedback, ids, is_quotation):
            feedbacks.remove(tenant, elder, feedback.id)


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What this call removed; of a removal that was cut off, the rest."""

    answers: int
    versions: int
    jobs: int


def remove_elder(
    tenant: TenantId,
    elder: ElderId,
    *,
    elders: Elders,
    replies: Replies,
    files: Files,
    golden: GoldenSets,
    conversations: Conversations,
    feedbacks: Feedbacks,
    models: ModelManager,
    index: VectorIndex,
) -> Receipt:
    """Raises ElderNotFound; JobRunning while the elder is being trained, before anything is touched."""
    elders.get(tenant, elder)
    models.refuse_while_training(tenant, elder)
    answers = elders.remove_words(tenant, elder)
    replies.delete(tenant, elder)
    for file in files.of_elder(tenant, elder):
        files.delete(tenant, file.id)
    golden.delete(tenant, elder)
    versions = models.delete_model(tenant, elder)
    index.delete(tenant, elder)
    jobs = models.jobs.delete(tenant, elder)
    feedbacks.delete(tenant, elder)
    conversations.delete_all(tenant, elder=elder, member="")
    elders.delete(tenant, elder)
    return Receipt(answers=answers, versions=versions, jobs=jobs)


def _may_hold(content: bytes, answer: AnswerId) -> bool:
    """A file that cannot be read any more may hold anything."""
    try:
        return answer in [one.id for one in read_answers(content, max_answer_bytes=len(content))]
    except BadInput:
        return True
