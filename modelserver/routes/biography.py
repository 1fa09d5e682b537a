"""The biography: an elder's life in a few sentences, what it is about, and the traits that show in it.

Of the model in use. What was told since then is not in it yet.
"""

from fastapi import APIRouter

from kernel.bio import Bio
from kernel.errors import BioNotFound
from kernel.ids import elder_id
from kernel.topic import Shade, Topic, Topics
from modelserver.auth import Family, Provided
from modelserver.schemas.biography import BiographyOut, ThemeOut
from modelserver.services import memories_of

router = APIRouter(prefix="/elders", tags=["biography"])


@router.get("/{elder}/biography")
def biography(elder: str, services: Provided, tenant: Family) -> BiographyOut:
    """In the first, second and third person. Of topics and traits what rests on a memory that was taken back is left
    out; with the words of one in the biography itself there is none until the next training."""
    known = elder_id(elder)
    told = frozenset(memory.id for memory in memories_of(services.elders, tenant, known).items)
    job = services.jobs.get(tenant, services.versions.active(tenant, known).job)
    bio, topics = services.artefact(job, "write_bio", Bio), services.artefact(job, "find_topics", Topics)
    if bio is None or topics is None or not told.issuperset(bio.memory_ids):
        raise BioNotFound(elder=known)

    topics = topics.told_in(told)
    return BiographyOut(
        elder_id=known,
        first_person=bio.first_person,
        second_person=bio.second_person,
        third_person=bio.third_person,
        memory_ids=list(bio.memory_ids),
        topics=[_out(one) for one in topics.items],
        shades=[_out(one) for one in topics.shades],
    )


def _out(theme: Topic | Shade) -> ThemeOut:
    return ThemeOut(name=theme.name, memory_ids=list(theme.memory_ids))
