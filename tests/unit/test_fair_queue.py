"""The fair queue: so many at once, families in turn, each told its place."""

import anyio
import pytest

from kernel.errors import CompanionBusy
from kernel.fair_queue import FairQueue
from kernel.ids import TenantId

OURS, THEIRS = TenantId("ours"), TenantId("theirs")


class Hall:
    """People who queue; `served` is who was, in order, and `told` the places each was told."""

    def __init__(self, queue: FairQueue) -> None:
        self.queue, self.served = queue, list[str]()
        self.told: dict[str, list[int]] = {}
        self.leave: dict[str, anyio.Event] = {}

    async def come(self, name: str, tenant: TenantId) -> None:
        self.leave[name], self.told[name] = anyio.Event(), []
        async with self.queue.joined(tenant) as places:
            async for place in places:
                self.told[name].append(place)
            self.served.append(name)
            await self.leave[name].wait()


async def settle() -> None:
    for _ in range(10):
        await anyio.lowlevel.checkpoint()


def test_another_family_waits_behind_one_answer_at_most() -> None:
    async def run() -> None:
        hall = Hall(FairQueue())
        async with anyio.create_task_group() as group:
            for name, tenant in [("a1", OURS), ("a2", OURS), ("a3", OURS), ("b1", THEIRS)]:
                group.start_soon(hall.come, name, tenant)
                await settle()
            assert hall.served == ["a1"]
            assert hall.told == {"a1": [], "a2": [1, 2], "a3": [2, 3], "b1": [1]}
            for name in ("a1", "b1", "a2", "a3"):
                hall.leave[name].set()
                await settle()
        assert hall.served == ["a1", "b1", "a2", "a3"]
        assert hall.told["a3"] == [2, 3, 2, 1]

    anyio.run(run)


def test_as_many_are_answered_at_once_as_there_is_room_for_and_families_still_take_turns() -> None:
    async def run() -> None:
        hall = Hall(FairQueue(at_once=2))
        async with anyio.create_task_group() as group:
            for name, tenant in [("a1", OURS), ("a2", OURS), ("a3", OURS), ("a4", OURS), ("b1", THEIRS)]:
                group.start_soon(hall.come, name, tenant)
                await settle()
            assert hall.served == ["a1", "a2"]
            assert hall.told == {"a1": [], "a2": [], "a3": [1, 2], "a4": [2, 3], "b1": [1]}
            hall.leave["a2"].set()
            await settle()
            assert hall.served == ["a1", "a2", "b1"]
            for name in ("b1", "a1", "a3", "a4"):
                hall.leave[name].set()
                await settle()
        assert hall.served == ["a1", "a2", "b1", "a3", "a4"] and len(hall.queue) == 0

    anyio.run(run)


def test_who_goes_away_while_waiting_or_served_makes_room() -> None:
    async def run() -> None:
        hall = Hall(FairQueue())
        async with anyio.create_task_group() as group:
            scopes = {}
            for name in ("a", "b", "c"):
                scopes[name] = await group.start(_scoped, hall, name)
                await settle()
            scopes["b"].cancel()
            await settle()
            assert hall.told["c"] == [2, 1]
            scopes["a"].cancel()
            await settle()
            assert hall.served == ["a", "c"]
            hall.leave["c"].set()
        assert len(hall.queue) == 0

    anyio.run(run)


def test_one_family_cannot_fill_the_queue_nor_all_of_them() -> None:
    async def run() -> None:
        queue = FairQueue(most=3, most_of_one=2)
        async with queue.joined(OURS), queue.joined(OURS), queue.joined(OURS):
            with pytest.raises(CompanionBusy):
                async with queue.joined(OURS):
                    pass
            async with queue.joined(THEIRS):
                with pytest.raises(CompanionBusy):
                    async with queue.joined(TenantId("third")):
                        pass
        assert len(queue) == 0

    anyio.run(run)


async def _scoped(hall: Hall, name: str, *, task_status: anyio.abc.TaskStatus[anyio.CancelScope]) -> None:
    with anyio.CancelScope() as scope:
        task_status.started(scope)
        await hall.come(name, TenantId(name))
