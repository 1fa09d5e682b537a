"""The left brain on the command line: its golden set, out to a file and back, and what it was measured at."""

from typing import Any

from rich.console import Console
from rich.table import Table

from modelserver.cli.client import Client
from modelserver.cli.words import Words

Json = dict[str, Any]

MEASURES = ("valid", "exact", "f1", "small_talk")


def show_left_brain(client: Client, elder: str, *, console: Console, words: Words) -> None:
    """The figures as a table, and what they were compared with."""
    found = client.left_brain(elder)
    console.print(scores_table(elder, found["scores"], words))
    key = "left_brain.reviewed" if found["is_reviewed"] else "left_brain.not_reviewed"
    told = {name: found[name] for name in ("memories", "small_talk", "version", "base")}
    console.print(words(key, elder=elder, **told), markup=False, highlight=False, soft_wrap=True)


def scores_table(elder: str, scores: list[Json], words: Words) -> Table:
    table = Table(title=words("table.extraction", elder=elder), title_justify="left")
    table.add_column(words("table.arm"))
    for measure in MEASURES:
        table.add_column(words(f"table.{measure}"), justify="right")
    for score in scores:
        figures = (score[measure] for measure in MEASURES)
        table.add_row(words(f"arm.{score['arm']}"), *("–" if one is None else f"{one:.2f}" for one in figures))
    return table
