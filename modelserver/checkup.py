"""Checkups: which parts are up, found out once for all who ask within a few seconds.

Anyone may ask, as often as they like, and a checkup calls every part: two never go on at once, and who waits for one
holds no thread.
"""

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import anyio
from fastapi.concurrency import run_in_threadpool

from kernel.errors import HeirloomError

KEPT_SECONDS = 2.0


class Check(Protocol):
    def __call__(self) -> object:
        """Raises a HeirloomError when the part is down."""


class Checkup:
    def __init__(self, checks: Mapping[str, Check], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._checks, self._clock = checks, clock
        self._lock = anyio.Lock()
        self._found: dict[str, HeirloomError | None] = {}
        self._ends = -float("inf")

    async def parts(self) -> Mapping[str, HeirloomError | None]:
        """What is wrong with each part; None with one that is up."""
        async with self._lock:
            if self._clock() >= self._ends:
                self._found = await run_in_threadpool(self._check)
                self._ends = self._clock() + KEPT_SECONDS
            return self._found

    def _check(self) -> dict[str, HeirloomError | None]:
        with ThreadPoolExecutor(len(self._checks)) as pool:
            return dict(zip(self._checks, pool.map(_wrong, self._checks.values()), strict=True))


def _wrong(check: Check) -> HeirloomError | None:
    try:
        check()
    except HeirloomError as error:
        return error
    return None
