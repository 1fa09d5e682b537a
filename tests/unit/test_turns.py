"""Turns go round: who takes one again and again is behind whoever waits."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event, Thread

import pytest

from adapters.turns import Turns


def waits(turns: Turns, count: int) -> None:
    """Until so many wait."""
    while len(turns._waiting) < count:
        Event().wait(0.001)


def test_who_waits_longest_is_next_before_who_has_just_had_a_turn() -> None:
    turns, went = Turns(), []

    def go(name: str) -> None:
        with turns:
            went.append(name)

    def twice() -> None:
        with turns:
            for place, other in enumerate(others, start=1):
                other.start()
                waits(turns, place)
        go("again")

    others = [Thread(target=go, args=[name]) for name in ("first", "second")]
    twice()
    for other in others:
        other.join()
    assert went == ["first", "second", "again"]


def test_one_at_a_time_and_an_error_passes_the_turn_on() -> None:
    turns, inside = Turns(), []

    def go(number: int) -> None:
        with turns:
            inside.append(number)
            assert len(inside) == 1
            inside.remove(number)
            raise KeyError(number)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(go, number) for number in range(200)]:
            with pytest.raises(KeyError):
                done.result()
