"""Removal: an elder goes, with everything that was made of their words.

Every step may be done again, and the elder's own record goes last: a removal that was cut off is asked for
again and goes on. The words go first: without them no training can begin meanwhile.
"""

from dataclasses import dataclass

from kernel.ids import ElderId, TenantId
from kernel.model_manager import ModelManager
from kernel.ports import Elders, VectorIndex


@dataclass(frozen=True, kw_only=True, slots=True)
class Receipt:
    """What this call removed; of a removal that was cut off, the rest."""

    answers: int
    versions: int
    jobs: int


def remove_elder(
    tenant: TenantId, elder: ElderId, *, elders: Elders, models: ModelManager, index: VectorIndex
) -> Receipt:
    """Raises ElderNotFound; JobRunning while the elder is being trained, before anything is touched."""
    elders.get(tenant, elder)
    models.refuse_while_training(tenant, elder)
    answers = elders.remove_words(tenant, elder)
    versions = models.delete_model(tenant, elder)
    index.delete(tenant, elder)
    jobs = models.jobs.delete(tenant, elder)
    elders.delete(tenant, elder)
    return Receipt(answers=answers, versions=versions, jobs=jobs)
