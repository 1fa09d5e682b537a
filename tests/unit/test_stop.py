"""Stop sequences, read in pieces of any length."""

import pytest

from kernel.stop import StopSequences

TEXT = "aab aabc\n\nUser: 后来呢？"


@pytest.mark.parametrize(
    ("stops", "said"),
    [
        ((), TEXT),
        (("aabc",), "aab "),
        (("\nUser", "呢"), "aab aabc\n"),
        (("后来",), "aab aabc\n\nUser: "),
        (("呢？？", "Userx"), TEXT),
        (("a",), ""),
    ],
)
@pytest.mark.parametrize("length", [1, 2, 3, 5, 100])
def test_what_is_said_ends_before_the_first_stop_however_it_comes(
    stops: tuple[str, ...], said: str, length: int
) -> None:
    sequences = StopSequences(stops)
    told = ""
    for at in range(0, len(TEXT), length):
        told += sequences.feed(TEXT[at : at + length])
        if sequences.is_met:
            break
    assert told + sequences.rest() == said
    assert sequences.is_met == (said != TEXT)


def test_what_cannot_begin_a_stop_is_said_at_once() -> None:
    sequences = StopSequences(["\n\n"])
    assert [sequences.feed(piece) for piece in ("I was born", " in Leeds.\n", "Then")] == [
        "I was born",
        " in Leeds.",
        "\nThen",
    ]
