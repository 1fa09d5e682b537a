"""Families: `heirloom family`."""

from typing import Annotated

import typer

from modelserver.cli.account import find_account
from modelserver.cli.family import add_family, open_store, revoke_key
from modelserver.cli.shell import Shell

app = typer.Typer(no_args_is_help=True)


@app.command()
def add(context: typer.Context, name: str) -> None:
    shell: Shell = context.obj
    with open_store(shell.settings) as settings:
        key = add_family(settings, name)
    shell.say("family.added", name=name)
    print(key)
    shell.say("family.how", url=find_account(shell.settings).url)


@app.command()
def revoke(context: typer.Context, key: Annotated[str, typer.Argument(metavar="KEY")] = "") -> None:
    """Asked for when it is not given: what is typed there stays out of the shell's history."""
    shell: Shell = context.obj
    key = key or typer.prompt(shell.words("family.which_key"), hide_input=True)
    with open_store(shell.settings) as settings:
        new = revoke_key(settings, key.strip())
    shell.say("family.revoked")
    print(new)
