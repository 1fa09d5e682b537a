"""What the family said of answers: `heirloom feedback`."""

from pathlib import Path
from typing import Annotated

import typer

from modelserver.cli.shell import ElderArgument, Force, Limit, Offset, Shell, Sure, free
from modelserver.cli.tables import feedback_table

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_feedback(
    context: typer.Context,
    elder: ElderArgument,
    limit: Limit = 100,
    offset: Offset = 0,
) -> None:
    shell: Shell = context.obj
    page = shell.client().feedback(elder, limit=limit, offset=offset)
    shell.console.print(feedback_table(page["feedback"], shell.words))
    shell.say("feedback.listed", shown=len(page["feedback"]), total=page["total"])


@app.command()
def delete(
    context: typer.Context,
    elder: ElderArgument,
    feedback: Annotated[str, typer.Argument(metavar="ID")],
    yes: Sure = False,
) -> None:
    shell: Shell = context.obj
    shell.make_sure(yes, "feedback.really", elder=elder, feedback=feedback)
    shell.client().delete_feedback(elder, feedback)
    shell.say("feedback.deleted", elder=elder, feedback=feedback)


@app.command()
def export(
    context: typer.Context,
    elder: ElderArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl")],
    force: Force = False,
) -> None:
    shell: Shell = context.obj
    lines = shell.client().export(elder, free(file, force), what="export-feedback")
    shell.say("feedback.exported", lines=lines, path=file)
