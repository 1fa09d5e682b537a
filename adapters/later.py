"""Later: calls that nobody waits for, one after another in a thread of their own."""

from collections.abc import Callable
from threading import Lock, Thread

import structlog

from kernel.errors import HeirloomError

log = structlog.get_logger(__name__)

_MOST = 1000  #: that wait; others are dropped


class Later:
    """What waits already is not called twice for, and what goes wrong is logged: only for calls that may be lost."""

    def __init__(self, call: Callable[..., None]) -> None:
        self._call = call
        self._lock = Lock()
        self._waiting: dict[tuple[str, ...], None] = {}  # in their order
        self._is_at_work = False

    def __call__(self, *asked: str) -> None:
        with self._lock:
            if len(self._waiting) < _MOST:
                self._waiting[asked] = None
            if self._is_at_work:
                return
            self._is_at_work = True
        Thread(target=self._work, name="later", daemon=True).start()

    def _work(self) -> None:
        while (asked := self._next()) is not None:
            try:
                self._call(*asked)
            except HeirloomError as error:
                log.warning("later.failed", error=error.code)
            except Exception as error:
                log.error("later.failed", error=type(error).__name__)

    def _next(self) -> tuple[str, ...] | None:
        with self._lock:
            asked = next(iter(self._waiting), None)
            if asked is None:
                self._is_at_work = False
            else:
                del self._waiting[asked]
            return asked
