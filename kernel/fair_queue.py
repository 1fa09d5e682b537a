"""The fair queue: so many answers at once and no more, families in turn, and each is told its place.

However many answers one family waits for, another that comes is behind one of them at most. It belongs to the event
loop that it is used in.
"""

import asyncio
from collections.abc import AsyncIterator
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
    """`at_once` are answered at once; `most` wait, and `most_of_one` of one family beside one that is answered."""

    def __init__(self, *, at_once: int = 1, most: int = 32, most_of_one: int = 4) -> None:
        self._at_once, self._most, self._most_of_one = at_once, most, most_of_one
        self._waiting: list[Ticket] = []
        self._served: list[Ticket] = []
        self._round = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._served)

    @asynccontextmanager
    async def joined(self, tenant: TenantId) -> AsyncIterator[AsyncIterator[int]]:
        """Yields the places as they change, ending when it is this one's turn; leaving makes room for the next.

        A place counts the answers that end before: 0 is never told, as the turn has come then. Raises CompanionBusy.
        """
        ticket = self._join(tenant)
        try:
            yield self._places(ticket)
        finally:
            self._leave(ticket)

    def _join(self, tenant: TenantId) -> Ticket:
        mine = [one for one in (*self._served, *self._waiting) if one.tenant == tenant]
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
        while ticket not in self._served:
            place = self._waiting.index(ticket) + 1
            if place != told:
                told = place
                yield place
            ticket.changed.clear()
            await ticket.changed.wait()

    def _leave(self, ticket: Ticket) -> None:
        (self._served if ticket in self._served else self._waiting).remove(ticket)
        self._move()

    def _move(self) -> None:
        while self._waiting and len(self._served) < self._at_once:
            self._served.append(self._waiting.pop(0))
            self._round = self._served[-1].round
        for ticket in (*self._served, *self._waiting):
            ticket.changed.set()
