"""The turnstile: how many chats are answered at once. The others wait, and hold no thread while they do."""

from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property

from anyio import CapacityLimiter

from kernel.ids import TenantId

_OF_ALL, _OF_ONE = 24, 4  #: chats; the API has 40 threads, and answers everything else with the rest


class Turnstile:
    """Lets few chats through, and of one family fewer: however many it asks for, the others are answered."""

    @asynccontextmanager
    async def passed(self, tenant: TenantId) -> AsyncIterator[None]:
        async with self._of_family[tenant], self._of_all:
            yield

    @cached_property
    def _of_all(self) -> CapacityLimiter:
        return CapacityLimiter(_OF_ALL)  # made inside the event loop that it belongs to

    @cached_property
    def _of_family(self) -> defaultdict[TenantId, CapacityLimiter]:
        return defaultdict(lambda: CapacityLimiter(_OF_ONE))
