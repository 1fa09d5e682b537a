"""The checkup: however many ask, each part is called once, and again when a few seconds are over."""

from pathlib import Path

import anyio
import httpx

from kernel.errors import NoWorkers
from modelserver.checkup import KEPT_SECONDS, Checkup
from tests.unit.test_api import House


def test_who_asks_at_once_is_told_of_one_checkup(tmp_path: Path) -> None:
    house, called = House(tmp_path), list[str]()
    house.services.checks["engine"] = lambda: called.append("engine")
    statuses = []

    async def ask(client: httpx.AsyncClient) -> None:
        statuses.append((await client.get("/health")).status_code)

    async def ask_at_once() -> None:
        transport = httpx.ASGITransport(house.app)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://x") as client,
            anyio.create_task_group() as group,
        ):
            for _ in range(20):
                group.start_soon(ask, client)

    anyio.run(ask_at_once)
    assert (statuses, called) == ([200] * 20, ["engine"])


def test_a_part_that_comes_back_is_up_a_few_seconds_later() -> None:
    now, is_down = [0.0], [True]

    def check() -> None:
        if is_down[0]:
            raise NoWorkers

    async def follow() -> None:
        checkup = Checkup({"workers": check}, clock=lambda: now[0])
        assert isinstance((await checkup.parts())["workers"], NoWorkers)
        is_down[0] = False
        assert (await checkup.parts())["workers"]
        now[0] += KEPT_SECONDS
        assert (await checkup.parts())["workers"] is None

    anyio.run(follow)
