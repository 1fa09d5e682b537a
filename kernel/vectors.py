"""Vectors: made at the heels of what is told, in the background, so that the first question does not wait for them.

A cache that follows the answers: whatever becomes of a message about them, a question finds what is there and makes
the rest. What is taken back while its vector is made leaves with the next pass, and there is one whenever something
changed during the last: a removal takes the words first, and the vectors after them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.errors import ElderNotFound
from kernel.memory import collect_memories
from kernel.retrieval import views

if TYPE_CHECKING:
    from kernel.ids import ElderId, TenantId
    from kernel.ports import Elders, VectorIndex

MOST = 256  #: vectors a message: half a minute on one busy core, after which another family's training goes on


def follow(tenant: TenantId, elder: ElderId, *, elders: Elders, index: VectorIndex, most: int = MOST) -> bool:
    """Whether the index now holds what the elder tells; nothing else, and nothing of one who is gone, stays in it.

    At most `most` vectors are made, of what is told at the beginning: what comes meanwhile is for another message, and
    only what goes meanwhile leaves. Raises EngineUnavailable, StoreUnavailable.
    """
    is_whole, seen = False, None
    while (mark := elders.answers_mark(tenant, elder)) != seen:
        seen = mark
        texts = _texts(tenant, elder, elders)
        if texts:
            is_whole = index.hold(tenant, elder, texts, most=most)
            most = 0
        else:
            index.delete(tenant, elder)
            is_whole = True
    return is_whole


def _texts(tenant: TenantId, elder: ElderId, elders: Elders) -> list[str]:
    """As a question searches them."""
    try:
        known = elders.get(tenant, elder)
    except ElderNotFound:
        return []
    told = collect_memories(elders.answers(tenant, elder), elder_name=known.name, language=known.language)
    return views(told.items)
