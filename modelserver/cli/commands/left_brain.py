"""The left brain: `heirloom left-brain`."""

from pathlib import Path
from typing import Annotated

import typer

from modelserver.cli.left_brain import show_left_brain
from modelserver.cli.shell import ElderArgument, Force, Shell, free, read
from modelserver.cli.words import CliError

app = typer.Typer(no_args_is_help=True)


@app.command()
def report(context: typer.Context, elder: ElderArgument) -> None:
    shell: Shell = context.obj
    show_left_brain(shell.client(), elder, console=shell.console, words=shell.words)


@app.command()
def golden(
    context: typer.Context,
    elder: ElderArgument,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.jsonl")] = None,
    back: Annotated[Path | None, typer.Option("--in", metavar="FILE.jsonl")] = None,
    force: Force = False,
) -> None:
    shell: Shell = context.obj
    if (out is None) == (back is None):
        raise CliError("golden.out_or_in")
    if back is not None:
        total = shell.client().review_golden(elder, read(back))["total"]
        shell.say("golden.reviewed", elder=elder, total=total)
    elif out is not None:
        shell.say("golden.written", lines=shell.client().golden(elder, free(out, force)), path=out, elder=elder)
