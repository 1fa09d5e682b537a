"""Base models on this machine: `heirloom base`."""

import typer

from modelserver.cli.base import list_bases, prepare_base
from modelserver.cli.shell import Shell

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_here(context: typer.Context) -> None:
    shell: Shell = context.obj
    list_bases(shell.settings, console=shell.console, words=shell.words)


@app.command()
def prepare(context: typer.Context, name: str) -> None:
    shell: Shell = context.obj
    prepare_base(shell.settings, name, console=shell.console, words=shell.words)
