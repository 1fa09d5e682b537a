"""Interruption: a reader goes away while a thread waits for the next piece of their answer.

A thread cannot be cancelled, and before the first piece it may wait for minutes. So whoever waits for the thread
hears the cancel, closes what the thread waits for, which wakes it, and only then goes. A reader of a stream is
listened for by Starlette; one of an answer that comes whole, here.
"""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import anyio
from fastapi import Request
from starlette.requests import ClientDisconnect

T = TypeVar("T")


async def while_listened(request: Request, answer: Awaitable[T]) -> T:
    """What `answer` gives, which is cancelled when its reader hangs up. Raises ClientDisconnect then."""
    outcome: list[T] = []
    errors: list[Exception] = []

    async def listen() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(listen)
        try:
            outcome.append(await answer)
        except Exception as error:  # a task group would wrap it
            errors.append(error)
        group.cancel_scope.cancel()
    if errors:
        raise errors[0]
    if not outcome:
        raise ClientDisconnect
    return outcome[0]


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
