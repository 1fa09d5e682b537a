"""Removal: an elder goes, with everything that was made of their words.

Every step may be done again, and what names the rest goes last: a removal that was cut off is asked for again and
goes on. Of an elder the words go first: without them no training can begin meanwhile. From then on the elder is
leaving, and who keeps something of theirs asks `is_gone` after it, and takes it away again: a removal that had passed
that store did not see it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from kernel.conversation import turns_of
from kernel.elder import Elder
from kernel.errors import AnswerNotFound, BadInput, ElderNotFound
from kernel.evidence import quotation_of
from kernel.feedback import rests_on
from kernel.ids import AnswerId, ElderId, TenantId
from kernel.memory import Memory, collect_memories
from kernel.model_manager import ModelManager
from kernel.ports import Conversations, Elders, Feedbacks, Files, GoldenSets, Replies, VectorIndex
from kernel.upload import read_answers


@dataclass(frozen=True, kw_only=True, slots=True)
class WordStores:
    """Where an elder's words are kept, besides what training made of them: what stands elsewhere is not removed."""

    elders: Elders
    replies: Replies
    golden: GoldenSets
    files: Files
    conversations: Conversations
    feedbacks: Feedbacks
    index: VectorIndex


def take_back_answer(tenant: TenantId, elder: ElderId, answer: AnswerId, *, words: WordStores) -> None:
    """The answer, every reply of a teacher that held its words, what a person made of them, every training file that
    holds them, and what of the family's talks and feedback was given or quotes them.

    What else such a file holds is among the answers; the index follows them. Raises ElderNotFound, AnswerNotFound.
    """
    known = words.elders.get(tenant, elder)
    found = [one for one in words.elders.answers(tenant, elder) if one.id == answer]
    if not found:
        raise AnswerNotFound(elder=elder, answer=answer)
    memories = collect_memories(found, elder_name=known.name, language=known.language).items
    _forget(tenant, elder, answer, memories, words)  # while the answer can still be asked for again
    words.elders.remove_answer(tenant, elder, answer)  # from here on no teacher is asked about it, and no chat finds it
    _forget(tenant, elder, answer, memories, words)  # what was made of it meanwhile


def _forget(tenant: TenantId, elder: ElderId, answer: AnswerId, memories: Sequence[Memory], words: WordStores) -> None:
    ids, is_quotation = {memory.id for memory in memories}, quotation_of(memories)
    for memory in ids:
        words.replies.forget(tenant, elder, memory)
        words.golden.forget(tenant, elder, memory)
    for file in words.files.of_elder(tenant, elder):
        if _may_hold(words.files.content(tenant, file.id), answer):
            words.files.delete(tenant, file.id)
    for conversation in words.conversations.whole(tenant, elder):
        if turns := turns_of(conversation, ids, is_quotation):
            words.conversations.remove_turns(tenant, conversation.id, turns)
    for feedback in words.feedbacks.of_elder(tenant, elder):
        if rests_on(feedback, ids, is_quotation):
            words.feedbacks.remove(tenant, elder, feedback.id)


def _may_hold(content: bytes, answer: AnswerId) -> bool:
    """A file that cannot be read any more may hold anything."""
    try:
        return answer in [one.id for one in read_answers(content, max_answer_bytes=len(content))]
    except BadInput:
        return True


def is_gone(tenant: TenantId, elder: Elder, elders: Elders) -> bool:
    """Whether the elder was removed since the record was read, or is being removed; another of that id is another."""
    try:
        now = elders.get(tenant, elder.id)
    except ElderNotFound:
        return True
    return now.is_leaving or abs(now.created_at - elder.created_at) >= timedelta(milliseconds=1)  # as stores keep it


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What this call removed; of a removal that was cut off, the rest."""

    answers: int
    versions: int
    jobs: int


def remove_elder(tenant: TenantId, elder: ElderId, *, words: WordStores, models: ModelManager) -> Receipt:
    """Raises ElderNotFound; JobRunning while the elder is being trained, before anything is touched."""
    words.elders.get(tenant, elder)
    models.refuse_while_training(tenant, elder)
    answers = words.elders.remove_words(tenant, elder)
    words.replies.delete(tenant, elder)
    for file in words.files.of_elder(tenant, elder):
        words.files.delete(tenant, file.id)
    words.golden.delete(tenant, elder)
    versions = models.delete_model(tenant, elder)
    words.index.delete(tenant, elder)
    jobs = models.jobs.delete(tenant, elder)
    words.feedbacks.delete(tenant, elder)
    words.conversations.delete_all(tenant, elder=elder, member="")
    words.elders.delete(tenant, elder)
    return Receipt(answers=answers, versions=versions, jobs=jobs)
