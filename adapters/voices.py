"""Voices: which elders are in this process's memory, and who speaks from which seat.

    base     weights, shared by every elder whose version is an adapter on them; a merged version is a base of its own
      seat     a context with its cache: one answer at a time
      voice    an elder's version: its adapter, and the state of what its prompts begin with

All of it together stays under a budget of bytes: the voice that has rested longest goes first, and weights and seats
with the last voice that they served. Who asks waits in the line of its base, first come, first served.

What a reader would get wrong: each piece of an answer may be asked for by another thread, so a seat is taken and
given back by a flag, not by a lock. And a context reads its adapter's memory, so an adapter goes only when no context
has it set.
"""

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from adapters.context import Context, Left, Voice, context_bytes
from adapters.gguf_file import read_gguf
from adapters.local_model import LocalModel
from kernel.errors import EngineUnavailable

_SETTING = "HEIRLOOM_MODEL_MEMORY_BYTES"

Mark = tuple[int, int]  #: which file: two names of the same one are one base


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """The files of a version."""

    weights: Path
    adapter: Path | None = None


@dataclass(eq=False)
class _Seat:
    context: Context | None = None
    is_taken: bool = True


@dataclass(eq=False)
class _Base:
    weights_bytes: int
    seat_bytes: int
    model: LocalModel | None = None
    is_loading: bool = False
    seats: list[_Seat] = field(default_factory=list)
    entries: list["_Entry"] = field(default_factory=list)

    @property
    def size_bytes(self) -> int:
        return self.weights_bytes + len(self.seats) * self.seat_bytes + sum(entry.size_bytes for entry in self.entries)


@dataclass(eq=False)
class _Entry:
    """A voice, and how many answers it is giving."""

    base: _Base
    adapter: Mark | None
    adapter_bytes: int
    voice: Voice | None = None
    turns: int = 0
    is_forgotten: bool = False
    is_broken_off: bool = False

    @property
    def size_bytes(self) -> int:
        return self.adapter_bytes + (self.voice.size_bytes if self.voice else 0)


@dataclass(frozen=True, eq=False, slots=True)
class Turn:
    """A seat, taken for one answer of one voice."""

    entry: _Entry
    seat: _Seat

    @property
    def context(self) -> Context:
        assert self.seat.context is not None  # noqa: S101 - it was loaded before the turn began
        return self.seat.context

    @property
    def voice(self) -> Voice:
        assert self.entry.voice is not None  # noqa: S101 - as above
        return self.entry.voice

    @property
    def is_broken_off(self) -> bool:
        """The version was deleted: no further word of it."""
        return self.entry.is_broken_off


class Voices:
    """`seats`: answers that one base computes at once; `context_tokens`: of each."""

    def __init__(
        self, *, threads: int, context_tokens: int, budget_bytes: int, seats: int, wait_seconds: float
    ) -> None:
        self._threads, self._context_tokens = threads, context_tokens
        self._budget_bytes, self._most_seats, self._wait_seconds = budget_bytes, seats, wait_seconds
        self._bases: dict[Mark, _Base] = {}
        self._entries: OrderedDict[str, _Entry] = OrderedDict()  # by tag, the longest rested first
        self._lines: dict[Mark, deque[object]] = {}
        self._changed = threading.Condition()

    @property
    def loaded(self) -> list[str]:
        """Tags, the one that spoke last at the end."""
        with self._changed:
            return list(self._entries)

    @property
    def size_bytes(self) -> int:
        """Of all that is loaded, as it is reckoned against the budget."""
        with self._changed:
            return self._used()

    @contextmanager
    def turn(self, tag: str, source: Source, *, is_left: Callable[[], bool]) -> Iterator[Turn]:
        """A seat for the voice, loaded if it was not. Raises EngineUnavailable, FileNotFoundError; Left when who waits
        `is_left`, which is looked at when something changes: see `wake`."""
        turn = self._wait_for_turn(tag, source, is_left)
        try:
            self._load(turn, source)
            yield turn
        finally:
            self._give_back(tag, turn)

    def wake(self) -> None:
        """Those who wait look whether they are still waited for."""
        with self._changed:
            self._changed.notify_all()

    def forget(self, tag: str, *, at_once: bool) -> None:
        """Out of memory, when the answers that it is giving have ended or, `at_once`, been broken off."""
        with self._changed:
            entry = self._entries.pop(tag, None)
            if entry is not None:
                entry.is_forgotten, entry.is_broken_off = True, at_once
                self._close_if_over(entry)
            self._changed.notify_all()

    def close(self) -> None:
        for tag in self.loaded:
            self.forget(tag, at_once=True)

    # ---- waiting ----------------------------------------------------------------------------------------

    def _wait_for_turn(self, tag: str, source: Source, is_left: Callable[[], bool]) -> Turn:
        stat = source.weights.stat()
        mark, me, turn = (stat.st_dev, stat.st_ino), object(), None
        seat_bytes = _seat_bytes(source.weights, mark, self._context_tokens)
        fresh = _Base(weights_bytes=stat.st_size, seat_bytes=seat_bytes)
        lora = source.adapter.stat() if source.adapter else None

        def is_my_turn() -> bool:
            nonlocal turn
            if is_left():
                raise Left
            if self._lines[mark][0] is me:
                turn = self._claim(tag, mark, fresh, lora)
            return turn is not None

        with self._changed:
            self._lines.setdefault(mark, deque()).append(me)
            try:
                self._changed.wait_for(is_my_turn, self._wait_seconds)
            finally:
                self._lines[mark].remove(me)
                if not self._lines[mark]:
                    del self._lines[mark]
                self._changed.notify_all()
        if turn is None:
            raise _unavailable("it is busy with other answers")
        return turn

    def _claim(self, tag: str, mark: Mark, fresh: _Base, lora: os.stat_result | None) -> Turn | None:
        """A seat, if one is free and memory allows it; what is not loaded yet is reserved."""
        base, adapter = self._bases.get(mark, fresh), (lora.st_dev, lora.st_ino) if lora else None
        entry = self._entries.get(tag)
        if entry and (entry.base is not base or entry.adapter != adapter):
            self.forget(tag, at_once=False)  # another process has put other files there
            base, entry = self._bases.get(mark, fresh), None
        entry = entry or _Entry(base=base, adapter=adapter, adapter_bytes=lora.st_size if lora else 0)
        if base.is_loading:
            return None
        seat = _free_seat(base, entry) or (_Seat() if len(base.seats) < self._most_seats else None)
        if seat is None or not self._has_room(base, entry, seat):
            return None
        self._bases[mark] = base
        if seat not in base.seats:
            base.seats.append(seat)
        if entry not in base.entries:
            base.entries.append(entry)
        self._entries[tag] = entry
        self._entries.move_to_end(tag)
        entry.turns, seat.is_taken = entry.turns + 1, True
        if seat.context and seat.context.voice is not entry.voice:
            seat.context.leave()  # before anybody may release the adapter that it used
        base.is_loading = not (base.model and entry.voice and seat.context)
        return Turn(entry, seat)

    def _has_room(self, base: _Base, entry: _Entry, seat: _Seat) -> bool:
        """Make room by what rests. Raises EngineUnavailable when even alone it would be too much."""
        is_known = base in self._bases.values()
        needed = 0 if is_known else base.weights_bytes
        needed += 0 if seat in base.seats else base.seat_bytes
        needed += 0 if entry in base.entries else entry.adapter_bytes
        if self._make_room(needed, base, entry, seat):
            return True
        if is_known and not base.entries:
            self._drop_base(base)
        if any(one.is_taken for other in self._bases.values() for one in other.seats):
            return False
        need, have = (f"{size / 1e6:.0f} MB" for size in (self._used() + needed, self._budget_bytes))
        raise _unavailable(f"the model takes {need} of memory and {_SETTING} allows {have}")

    def _make_room(
        self, needed: int, base: _Base | None = None, entry: _Entry | None = None, seat: _Seat | None = None
    ) -> bool:
        while self._used() + needed > self._budget_bytes:
            resting = (tag for tag, one in self._entries.items() if not one.turns and one is not entry)
            if tag := next(resting, None):
                self._drop(self._entries.pop(tag), spared=base)
            elif spare := self._spare_seat(seat):
                self._close_seat(*spare)
            else:
                return False
        return True

    def _spare_seat(self, wanted: _Seat | None) -> tuple[_Base, _Seat] | None:
        found = ((base, seat) for base in self._bases.values() for seat in base.seats)
        return next((one for one in found if not one[1].is_taken and one[1] is not wanted), None)

    def _used(self) -> int:
        return sum(base.size_bytes for base in self._bases.values())

    # ---- loading ----------------------------------------------------------------------------------------

    def _load(self, turn: Turn, source: Source) -> None:
        """What is missing; nobody else takes a turn at this base meanwhile."""
        entry, seat, base = turn.entry, turn.seat, turn.entry.base
        if not base.is_loading:
            return
        try:
            base.model = base.model or LocalModel(source.weights)
            if entry.voice is None:
                entry.voice = Voice(adapter=base.model.adapter(source.adapter) if source.adapter else None)
            if seat.context is None:
                seat.context = Context(base.model, context_tokens=self._context_tokens, threads=self._threads)
        finally:
            with self._changed:
                base.is_loading = False
                self._changed.notify_all()

    def _give_back(self, tag: str, turn: Turn) -> None:
        entry, seat, base = turn.entry, turn.seat, turn.entry.base
        with self._changed:
            seat.is_taken, entry.turns = False, entry.turns - 1
            if seat.context is None:  # it did not load
                base.seats.remove(seat)
            if entry.voice is None and not entry.turns:
                entry.is_forgotten = True
                if self._entries.get(tag) is entry:
                    del self._entries[tag]
            self._close_if_over(entry)
            self._make_room(0)  # what the prompts begin with may have been read
            self._changed.notify_all()

    def _close_if_over(self, entry: _Entry) -> None:
        if entry.is_forgotten and not entry.turns:
            self._drop(entry)

    def _drop(self, entry: _Entry, *, spared: _Base | None = None) -> None:
        """Out of memory; its base too when that serves nobody else and is not `spared`."""
        base = entry.base
        base.entries.remove(entry)
        for seat in base.seats:
            if seat.context and entry.voice and seat.context.voice is entry.voice:
                seat.context.leave()
        if entry.voice and entry.voice.adapter and base.model:
            base.model.release(entry.voice.adapter)
        if not base.entries and base is not spared:
            self._drop_base(base)

    def _drop_base(self, base: _Base) -> None:
        for mark in [mark for mark, one in self._bases.items() if one is base]:
            del self._bases[mark]
        while base.seats:
            self._close_seat(base, base.seats[0])
        if base.model:
            base.model.close()

    def _close_seat(self, base: _Base, seat: _Seat) -> None:
        base.seats.remove(seat)
        if seat.context:
            seat.context.close()


@lru_cache(maxsize=256)
def _seat_bytes(weights: Path, mark: Mark, context_tokens: int) -> int:
    """Of a file by its mark; reading the header takes some 50 ms."""
    return context_bytes(read_gguf(weights), context_tokens)


def _free_seat(base: _Base, entry: _Entry) -> _Seat | None:
    """The one whose cache this voice filled, if it is free; else the first."""
    free = [seat for seat in base.seats if not seat.is_taken and seat.context]
    own = (seat for seat in free if entry.voice and seat.context and seat.context.voice is entry.voice)
    return next(own, free[0] if free else None)


def _unavailable(reason: str) -> EngineUnavailable:
    return EngineUnavailable(engine="llama_cpp", reason=reason)
