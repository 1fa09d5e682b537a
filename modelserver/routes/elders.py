"""Elders and what they told: create, list, delete; answers one by one or as a file, listed and taken back;
questions to check the model with."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Body, Query, Request

from adapters.documents import read_upload
from kernel.elder import Consent, Elder
from kernel.ids import AnswerId, TenantId, elder_id
from kernel.memory import Answer, personal_data
from kernel.removal import remove_elder, take_back_answer
from kernel.upload import make_answer, read_answers, read_probes
from modelserver.auth import Family, Provided
from modelserver.problems import language_of
from modelserver.schemas.body import Offset, Total
from modelserver.schemas.elders import (
    Added,
    AnswerDeleted,
    AnswerOut,
    AnswersOut,
    ChosenEngine,
    ConsentOut,
    ElderDeleted,
    ElderOut,
    EldersOut,
    NewAnswer,
    NewConsent,
    NewElder,
)
from modelserver.services import Services

router = APIRouter(prefix="/elders", tags=["elders"])

Lines = Annotated[bytes, Body(media_type="application/x-ndjson")]
File = Annotated[bytes, Body(media_type="application/octet-stream")]

_TAKEN_BACK = {"en": "The answer is taken back.", "zh": "这条回答已收回。"}
_STILL_KNOWN = {
    "en": "The answer is taken back and no longer looked up. The trained model knows it until it is trained again.",
    "zh": "这条回答已收回，聊天不再检索到它。已训练的模型在重新训练之前仍然记得它。",
}


@router.post("", status_code=201)
def create_elder(new: NewElder, services: Provided, tenant: Family) -> ElderOut:
    base = services.config.get_current_model(new.language, wanted=new.base_model)
    if new.engine:
        services.engine.preferring(new.engine, base=base.key)
    elder = Elder(
        id=elder_id(new.elder_id),
        name=new.name,
        language=new.language,
        base_model=new.base_model,
        engine=new.engine,
        created_at=services.clock(),
    )
    services.elders.add(tenant, elder)
    return _out(services, tenant, elder)


@router.get("")
def list_elders(services: Provided, tenant: Family) -> EldersOut:
    return EldersOut(elders=[_out(services, tenant, elder) for elder in services.elders.all(tenant)])


@router.delete("/{elder}")
def delete_elder(elder: str, services: Provided, tenant: Family) -> ElderDeleted:
    """The elder with answers, questions, jobs, versions, weights and vectors. Cut off halfway, ask for it again."""
    known = elder_id(elder)
    gone = remove_elder(tenant, known, words=services.word_stores, models=services.models)
    services.told(tenant, known)  # a worker that was making vectors may have ended before it saw that
    return ElderDeleted(
        elder_id=known, deleted_answers=gone.answers, deleted_versions=gone.versions, deleted_jobs=gone.jobs
    )


@router.put("/{elder}/engine")
def choose_engine(elder: str, chosen: ChosenEngine, services: Provided, tenant: Family) -> ElderOut:
    """Which engine serves what is trained from now on; what was trained before is answered by the one that has it."""
    known = services.elders.get(tenant, elder_id(elder))
    base = services.config.get_current_model(known.language, wanted=known.base_model)
    services.engine.preferring(chosen.engine, base=base.key)
    services.elders.set_engine(tenant, known.id, chosen.engine)
    return _out(services, tenant, services.elders.get(tenant, known.id))


@router.put("/{elder}/consent")
def give_consent(elder: str, given: NewConsent, services: Provided, tenant: Family) -> ElderOut:
    """That a teacher model outside this machine may read what the elder told. Kept with who gave it, and when."""
    known = elder_id(elder)
    services.elders.set_consent(tenant, known, Consent(by=given.by, at=services.clock()))
    return _out(services, tenant, services.elders.get(tenant, known))


@router.delete("/{elder}/consent")
def withdraw_consent(elder: str, services: Provided, tenant: Family) -> ElderOut:
    """From now on no teacher outside this machine reads them; what one has replied stays, and is the family's."""
    known = elder_id(elder)
    services.elders.set_consent(tenant, known, None)
    return _out(services, tenant, services.elders.get(tenant, known))


@router.get("/{elder}/answers")
def list_answers(
    elder: str,
    services: Provided,
    tenant: Family,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    offset: Offset = 0,
) -> AnswersOut:
    """In the order they were told."""
    known = services.elders.get(tenant, elder_id(elder))
    told = services.elders.answers(tenant, known.id)
    page = told[offset : offset + limit]
    return AnswersOut(
        answers=[
            AnswerOut(
                answer_id=one.id,
                question=one.question,
                answer=one.answer,
                personal_data=list(personal_data(one.answer)),
            )
            for one in page
        ],
        total=len(told),
    )


@router.delete("/{elder}/answers/{answer}")
def delete_answer(request: Request, elder: str, answer: str, services: Provided, tenant: Family) -> AnswerDeleted:
    """Chat and the next training do without it; what was trained before knows it until then. What the family was
    told of it goes too: the turns of conversations that were given it or quote it, and the feedback on them."""
    known = services.elders.get(tenant, elder_id(elder))
    take_back_answer(tenant, known.id, AnswerId(answer), words=services.word_stores)
    services.told(tenant, known.id)
    is_in_model = bool(
        services.versions.of_elder(tenant, known.id)
        or services.jobs.live(tenant, known.id)
        or services.left_brains.in_use(tenant, known.id)
    )
    return AnswerDeleted(
        elder_id=known.id,
        answer_id=answer,
        total=services.elders.count_answers(tenant, known.id),
        is_in_model=is_in_model,
        message=(_STILL_KNOWN if is_in_model else _TAKEN_BACK)[language_of(request)],
    )


@router.post("/{elder}/answers", status_code=201)
def add_answer(elder: str, new: NewAnswer, services: Provided, tenant: Family) -> Added:
    known = services.elders.get(tenant, elder_id(elder))
    answer = make_answer(new.question, new.answer, max_answer_bytes=services.settings.max_answer_bytes)
    return _added(services, tenant, known, [answer])


@router.post("/{elder}/answers/bulk", status_code=201)
def add_answers(elder: str, services: Provided, tenant: Family, lines: Lines = b"") -> Added:
    """NDJSON, one {"question", "answer"} a line. A bad line is named, and then nothing is saved."""
    known = services.elders.get(tenant, elder_id(elder))
    answers = read_answers(lines, max_answer_bytes=services.settings.max_answer_bytes)
    return _added(services, tenant, known, answers)


@router.post("/{elder}/uploads", status_code=201)
def add_upload(
    elder: str,
    services: Provided,
    tenant: Family,
    name: Annotated[str, Query(max_length=255)],
    body: File = b"",
    sender: Annotated[str, Query(max_length=100)] = "",
) -> Added:
    """A file as it is: txt, md, pdf, docx, a chat export (json, csv, txt), or jsonl. `name` says by its ending which;
    `sender` is the elder's name in a chat. What cannot be read is named, and then nothing is saved."""
    known = services.elders.get(tenant, elder_id(elder))
    limit = services.settings.max_answer_bytes
    return _added(services, tenant, known, read_upload(name, body, sender=sender, max_answer_bytes=limit))


@router.put("/{elder}/questions")
def set_questions(elder: str, services: Provided, tenant: Family, lines: Lines = b"") -> Total:
    """Questions kept out of training, to measure the model with: {"question", "expects": [["alternative"]]} a line."""
    known = services.elders.get(tenant, elder_id(elder))
    probes = read_probes(lines)
    services.elders.set_probes(tenant, known.id, probes)
    return Total(total=len(probes))


def _added(services: Services, tenant: TenantId, elder: Elder, answers: Sequence[Answer]) -> Added:
    """Personal data is the family's to keep or to take back; it is only said that it is there."""
    added = services.elders.add_answers(tenant, elder.id, answers)
    if added:
        services.told(tenant, elder.id)
    return Added(
        added=added,
        total=services.elders.count_answers(tenant, elder.id),
        personal=sum(bool(personal_data(one.answer)) for one in answers),
    )


def _out(services: Services, tenant: TenantId, elder: Elder) -> ElderOut:
    live = services.jobs.live(tenant, elder.id)
    return ElderOut(
        elder_id=elder.id,
        name=elder.name,
        language=elder.language,
        base_model=elder.base_model,
        engine=elder.engine,
        answers=services.elders.count_answers(tenant, elder.id),
        consent=ConsentOut(by=elder.consent.by, at=elder.consent.at) if elder.consent else None,
        job_id=live.id if live else None,
    )
