"""What was made of an elder's memories, and from which: `heirloom biography`, `graph`, `export` and `why`."""

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
        shell.say("why.no_memory_shown" if origin["thing"]["kind"] == "turn" else "why.no_memory")
    shell.console.print(made_table(origin["made"], shell.words))


def biography(context: typer.Context, elder: ElderArgument) -> None:
    shell: Shell = context.obj
    found = shell.client().biography(elder)
    shell.console.print(found["third_person"], markup=False, highlight=False)
    for sentence, part in (("biography.topics", "topics"), ("biography.shades", "shades")):
        if found[part]:
            shell.say(sentence, names=shell.words("biography.and").join(one["name"] for one in found[part]))


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
