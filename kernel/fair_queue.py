"""The fair queue: one answer at a time on one GPU, families in turn, and each is told its place.

However many answers one family waits for, another that comes is behind one of them at most. It belongs to the event
loop that it is used in.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from kernel.errors import CompanionBusy
from kernel.ids import TenantId


@dataclass(eq=False)
class Ticket:
    tenant: TenantId
    round: int  #: a family's first ticket is in this round, its second in the next
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class FairQueue:
    """`most` wait at once, and `most_of_one` of one family."""

    def __init__(self, *, most: int = 32, most_of_one: int = 4) -> None:
        self._most, self._most_of_one = most, most_of_one
        self._waiting: list[Ticket] = []
        self._served: Ticket | None = None
        self._round = 0

    def __len__(self) -> int:
        return len(self._waiting) + (self._served is not None)

    @asynccontextmanager
    async def joined(self, tenant: TenantId) -> AsyncIterator[AsyncIterator[int]]:
        """Yields the places as they change, ending when it is this one's turn; leaving makes room for the next.

        A place counts those before: 0 is never told, as the turn has come then. Raises CompanionBusy.
        """
        ticket = self._join(tenant)
        try:
            yield self._places(ticket)
        finally:
            self._leave(ticket)

    def _join(self, tenant: TenantId) -> Ticket:
        mine = [one for one in (self._served, *self._waiting) if one is not None and one.tenant == tenant]
        if len(self._waiting) >= self._most or len(mine) > self._most_of_one:
            raise CompanionBusy
        rounds = [one.round for one in mine]
        ticket = Ticket(tenant=tenant, round=max(rounds) + 1 if rounds else self._round)
        self._waiting.append(ticket)
        self._waiting.sort(key=lambda one: one.round)  # stable: within a round, who came first
        self._move()
        return ticket

    async def _places(self, ticket: Ticket) -> AsyncIterator[int]:
        told = 0
        while self._served is not ticket:
            place = self._waiting.index(ticket) + 1
            if place != told:
                told = place
                yield place
            ticket.changed.clear()
            await ticket.changed.wait()

    def _leave(self, ticket: Ticket) -> None:
        if self._served is ticket:
            self._served = None
        else:
            self._waiting.remove(ticket)
        self._move()

    def _move(self) -> None:
        if self._served is None and self._waiting:
            self._served = self._waiting.pop(0)
            self._round = self._served.round
        _wake([*self._waiting, *([self._served] if self._served else [])])


def _wake(tickets: Sequence[Ticket]) -> None:
    for ticket in tickets:
        ticket.changed.set()
