"""Turns: a lock that goes to whoever waits longest.

Python's own may go back to the thread that has just given it up: one that takes it again and again keeps others out.
"""

from collections import deque
from threading import Lock


class Turns:
    """Held in `with`, by one thread at a time; not twice by the same."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._waiting: deque[Lock] = deque()
        self._is_taken = False

    def __enter__(self) -> None:
        with self._lock:
            if not self._is_taken:
                self._is_taken = True
                return
            turn = Lock()
            turn.acquire()
            self._waiting.append(turn)
        turn.acquire()  # until who held it passes it on

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False
