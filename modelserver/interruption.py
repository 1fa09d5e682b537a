"""Interruption: a reader goes away while a thread waits for the next piece of their answer.

A thread cannot be cancelled, and before the first piece it may wait for minutes. So whoever waits for the thread
hears the cancel, closes what the thread waits for, which wakes it, and only then goes.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import anyio

T = TypeVar("T")


async def interruptibly(work: Callable[[], T], *, interrupt: Callable[[], None]) -> T:
    """What `work` returns or raises, in a thread. `interrupt` is called when the waiting is cancelled."""
    over = anyio.Event()
    outcome: list[T] = []
    errors: list[Exception] = []

    async def run() -> None:
        with anyio.CancelScope(shield=True):
            try:
                outcome.append(await anyio.to_thread.run_sync(work))
            except Exception as error:
                errors.append(error)
        over.set()

    async with anyio.create_task_group() as group:
        group.start_soon(run)
        try:
            await over.wait()
        except anyio.get_cancelled_exc_class():
            with suppress(ValueError):  # a generator that is computing its piece: it ends with that
                interrupt()
            raise
    if errors:
        raise errors[0]
    return outcome[0]
