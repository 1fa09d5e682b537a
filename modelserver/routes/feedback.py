"""Feedback: thumbs and corrections, which the next training learns from and every later version is asked again."""

import json
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query, Response

from kernel.errors import BadInput, ElderNotFound, FeedbackNotFound
from kernel.feedback import Feedback, not_held_by_memories
from kernel.ids import AnswerId, ElderId, FeedbackId, MemoryId, TenantId, elder_id
from kernel.memory import personal_data
from kernel.removal import is_gone
from kernel.upload import make_answer
from modelserver.auth import Family, Provided
from modelserver.schemas.body import Offset
from modelserver.schemas.feedback import FeedbackDeleted, FeedbackGiven, FeedbackOut, FeedbacksOut, NewFeedback
from modelserver.services import Services, memories_of

router = APIRouter(tags=["feedback"])


@router.post("/feedback", status_code=201)
def give_feedback(said: NewFeedback, services: Provided, tenant: Family) -> FeedbackGiven:
    """Of an answer of the model's; again, and it takes the place of what the same member said of it before.

    A correction is believed. `unsupported` says which of its names, numbers and years no memory holds. Only with
    `remember` is it an answer of the elder's from now on.
    """
    if said.correction and said.verdict == "up":
        raise BadInput(reason="A correction goes with a thumb down.")
    if said.remember and not said.correction:
        raise BadInput(reason="There is no correction to remember.")
    known = services.elders.get(tenant, elder_id(said.elder_id))
    elder = known.id
    answer = _remember(services, tenant, elder, said) if said.remember else None
    feedback = Feedback(
        member=said.member,
        question=said.question,
        answer=said.answer,
        memory_ids=tuple(MemoryId(id) for id in said.memory_ids),
        model=said.model,
        is_up=said.verdict == "up",
        correction=said.correction,
        unsupported=_unsupported(services, tenant, elder, said),
        given_at=services.clock(),
    )
    services.feedbacks.put(tenant, elder, feedback)
    if is_gone(tenant, known, services.elders):
        with suppress(FeedbackNotFound):
            services.feedbacks.remove(tenant, elder, feedback.id)
        raise ElderNotFound(elder=elder)
    return FeedbackGiven(**feedback_out(elder, feedback).model_dump(), answer_id=answer)


@router.get("/feedback")
def list_feedback(
    services: Provided,
    tenant: Family,
    elder: Annotated[str, Query(alias="elder_id")],
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Offset = 0,
) -> FeedbacksOut:
    """Newest first."""
    known = services.elders.get(tenant, elder_id(elder)).id
    given = services.feedbacks.of_elder(tenant, known)
    return FeedbacksOut(feedback=[feedback_out(known, one) for one in given[offset : offset + limit]], total=len(given))


@router.delete("/feedback/{elder}/{feedback}")
def delete_feedback(elder: str, feedback: str, services: Provided, tenant: Family) -> FeedbackDeleted:
    """The next training does without it; an answer that it became stays."""
    known = services.elders.get(tenant, elder_id(elder)).id
    services.feedbacks.remove(tenant, known, FeedbackId(feedback))
    return FeedbackDeleted(elder_id=known, feedback_id=feedback)


@router.get("/export-feedback/{elder}")
def export_feedback(elder: str, services: Provided, tenant: Family) -> Response:
    """One a line, newest first."""
    known = services.elders.get(tenant, elder_id(elder)).id
    rows = (feedback_out(known, one).model_dump(mode="json") for one in services.feedbacks.of_elder(tenant, known))
    return Response(
        "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows),
        media_type="application/x-ndjson",
        headers={"Content-Disposition": f'attachment; filename="{known}-feedback.jsonl"'},
    )


def feedback_out(elder: ElderId, one: Feedback) -> FeedbackOut:
    return FeedbackOut(
        feedback_id=one.id,
        elder_id=elder,
        member=one.member,
        question=one.question,
        answer=one.answer,
        memory_ids=list(one.memory_ids),
        model=one.model,
        verdict="up" if one.is_up else "down",
        correction=one.correction,
        unsupported=list(one.unsupported),
        personal_data=list(personal_data(one.correction)),
        given_at=one.given_at,
    )


def _remember(services: Services, tenant: TenantId, elder: ElderId, said: NewFeedback) -> AnswerId:
    """Before the feedback: what is a memory already is held by one."""
    answer = make_answer(said.question, said.correction, max_answer_bytes=services.settings.max_answer_bytes)
    services.elders.add_answers(tenant, elder, [answer])
    services.told(tenant, elder)
    return answer.id


def _unsupported(services: Services, tenant: TenantId, elder: ElderId, said: NewFeedback) -> tuple[str, ...]:
    if not said.correction:
        return ()
    memories = memories_of(services.elders, tenant, elder)
    return not_held_by_memories(said.correction, said.question, memories, services.finder)
