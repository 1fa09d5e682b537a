"""The vectors of what an elder tells, made in parts: a worker has other families' work to do between them."""

import structlog

from kernel.errors import EngineUnavailable, StoreUnavailable
from kernel.ids import ElderId, TenantId
from kernel.ports import Doorbell, Elders, VectorIndex
from kernel.vectors import follow

log = structlog.get_logger(__name__)


def make_vectors(tenant: TenantId, elder: ElderId, *, elders: Elders, index: VectorIndex, doorbell: Doorbell) -> None:
    """One part; the rest is rung for again, behind whoever waits. What goes wrong is left to the first question."""
    try:
        if not follow(tenant, elder, elders=elders, index=index):
            doorbell.ring_for_vectors(tenant, elder)
    except (EngineUnavailable, StoreUnavailable) as error:
        log.warning("vectors.left", elder=elder, error=error.code)
