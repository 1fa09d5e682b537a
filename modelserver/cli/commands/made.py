"""What was made of an elder's memories, and from which: `heirloom graph`, `heirloom export`, `heirloom why`."""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from modelserver.cli.shell import ElderArgument, Force, Shell, free
from modelserver.cli.tables import made_table, relatives_table, timeline_table


def why(context: typer.Context, elder: ElderArgument, thing: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    shell: Shell = context.obj
    origin = shell.client().why(elder, thing)
    for memory in origin["memories"]:
        shell.say("why.memory", id=memory["id"], text=memory["text"])
    if not origin["memories"]:
        shell.say("why.no_memory")
    shell.console.print(made_table(origin["made"], shell.words))


def graph(context: typer.Context, elder: ElderArgument) -> None:
    shell: Shell = context.obj
    client = shell.client()
    found = client.graph(elder)
    shell.console.print(relatives_table(client.graph(elder, "kinship")["relatives"], shell.words))
    shell.console.print(timeline_table(client.graph(elder, "timeline")["happenings"], shell.words))
    kinds = Counter(entity["type"] for entity in found["entities"])
    counts = {kind: kinds[kind] for kind in ("person", "place", "event", "time", "object", "organisation")}
    shell.say("graph.holds", **counts)
    shell.say("graph.joined", relationships=len(found["relationships"]), communities=len(found["communities"]))
    if found["failed_memory_ids"]:
        shell.say("graph.failed", count=len(found["failed_memory_ids"]), ids=", ".join(found["failed_memory_ids"]))


def export(
    context: typer.Context,
    elder: ElderArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl")],
    force: Force = False,
) -> None:
    shell: Shell = context.obj
    shell.say("export.done", lines=shell.client().export(elder, free(file, force)), path=file)
