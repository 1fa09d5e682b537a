"""Provenance: what something in the model, or an answer in a talk, was made of, and what a memory became."""

from typing import Any

from fastapi import APIRouter, Response

from kernel.bio import Bio
from kernel.errors import MadeNotFound
from kernel.graph import EntityGraph
from kernel.ids import ElderId, TenantId, elder_id
from kernel.note import Notes
from kernel.pair import Pairs
from kernel.provenance import Life, Made, why
from kernel.sample import Samples
from kernel.topic import Topics
from modelserver.answering import BY_AI
from modelserver.auth import Family, Provided
from modelserver.schemas.body import MemoryOut
from modelserver.schemas.provenance import MadeOut, OriginOut
from modelserver.services import Services, memories_of

router = APIRouter(prefix="/provenance", tags=["provenance"])


@router.get("/{elder}/{thing}")
def provenance(elder: str, thing: str, response: Response, services: Provided, tenant: Family) -> OriginOut:
    """`thing`: the id of an answer (a_...), a memory (m_...), a sample (s_...), a preference pair (p_...) or a turn of
    any member's talk (u_...).

    Of the model in use, and of every talk that is kept: what was told since the training is in talks alone yet, and
    what was taken back is left out.
    """
    known = services.elders.get(tenant, elder_id(elder))
    origin = why(_life(services, tenant, known.id, thing), thing)
    if any(one.kind == "turn" for one in (origin.thing, *origin.made)):
        response.headers.update(BY_AI)
    return OriginOut(
        thing=_out(origin.thing),
        memories=[MemoryOut(id=memory.id, text=memory.text) for memory in origin.memories],
        made=[_out(made) for made in origin.made],
    )


def _life(services: Services, tenant: TenantId, elder: ElderId, thing: str) -> Life:
    """As far as it is still told. Raises ModelNotFound; MadeNotFound where the training's artefacts are gone."""
    memories = memories_of(services.elders, tenant, elder)
    job = services.jobs.get(tenant, services.versions.active(tenant, elder).job)

    def load(stage: str, kind: type) -> Any:
        made = services.artefact(job, stage, kind)
        if made is None:
            raise MadeNotFound(id=thing)
        return made

    return Life(
        answers=services.elders.answers(tenant, elder),
        memories=memories,
        notes=load("write_notes", Notes),
        topics=load("find_topics", Topics),
        bio=load("write_bio", Bio),
        graph=load("index_graph", EntityGraph),
        samples=load("make_samples", Samples),
        pairs=load("make_pairs", Pairs),
        turns=[turn for talk in services.conversations.whole(tenant, elder) for turn in talk.turns],
    ).told_in(frozenset(memory.id for memory in memories.items))


def _out(made: Made) -> MadeOut:
    return MadeOut(kind=made.kind, id=made.id, text=made.text, memory_ids=list(made.memory_ids))
