"""Elders and what they told: create, list, answers one by one or as a file, questions to check the model with."""

from typing import Annotated

from fastapi import APIRouter, Body

from kernel.elder import Elder
from kernel.ids import TenantId, elder_id
from kernel.upload import make_answer, read_answers, read_probes
from modelserver.auth import Family, Provided
from modelserver.schemas import Added, ElderOut, EldersOut, NewAnswer, NewElder, Total
from modelserver.services import Services

router = APIRouter(prefix="/elders", tags=["elders"])

Lines = Annotated[bytes, Body(media_type="application/x-ndjson")]


@router.post("", status_code=201)
def create_elder(new: NewElder, services: Provided, tenant: Family) -> ElderOut:
    if new.base_model:
        services.config.get_base_model(new.base_model)
    elder = Elder(
        id=elder_id(new.elder_id),
        name=new.name.strip(),
        language=new.language,
        base_model=new.base_model,
        created_at=services.clock(),
    )
    services.elders.add(tenant, elder)
    return _out(services, tenant, elder)


@router.get("")
def list_elders(services: Provided, tenant: Family) -> EldersOut:
    return EldersOut(elders=[_out(services, tenant, elder) for elder in services.elders.all(tenant)])


@router.post("/{elder}/answers", status_code=201)
def add_answer(elder: str, new: NewAnswer, services: Provided, tenant: Family) -> Added:
    known = services.elders.get(tenant, elder_id(elder))
    answer = make_answer(new.question, new.answer, max_answer_bytes=services.settings.max_answer_bytes)
    added = services.elders.add_answers(tenant, known.id, [answer])
    return Added(added=added, total=services.elders.count_answers(tenant, known.id))


@router.post("/{elder}/answers/bulk", status_code=201)
def add_answers(elder: str, services: Provided, tenant: Family, lines: Lines = b"") -> Added:
    """NDJSON, one {"question", "answer"} a line. A bad line is named, and then nothing is saved."""
    known = services.elders.get(tenant, elder_id(elder))
    answers = read_answers(lines, max_answer_bytes=services.settings.max_answer_bytes)
    added = services.elders.add_answers(tenant, known.id, answers)
    return Added(added=added, total=services.elders.count_answers(tenant, known.id))


@router.put("/{elder}/questions")
def set_questions(elder: str, services: Provided, tenant: Family, lines: Lines = b"") -> Total:
    """Questions kept out of training, to measure the model with: {"question", "expects": [["alternative"]]} a line."""
    known = services.elders.get(tenant, elder_id(elder))
    probes = read_probes(lines)
    services.elders.set_probes(tenant, known.id, probes)
    return Total(total=len(probes))


def _out(services: Services, tenant: TenantId, elder: Elder) -> ElderOut:
    live = services.jobs.live(tenant, elder.id)
    return ElderOut(
        elder_id=elder.id,
        name=elder.name,
        language=elder.language,
        base_model=elder.base_model,
        answers=services.elders.count_answers(tenant, elder.id),
        job_id=live.id if live else None,
    )
