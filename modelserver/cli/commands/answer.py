"""What an elder told: `heirloom answer`, and `heirloom import`, which reads it from a file."""

from pathlib import Path
from typing import Annotated

import typer

from modelserver.cli.shell import ElderArgument, Limit, Offset, Shell, Sure, read
from modelserver.cli.tables import answers_table

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_answers(
    context: typer.Context,
    elder: ElderArgument,
    limit: Limit = 100,
    offset: Offset = 0,
) -> None:
    shell: Shell = context.obj
    page = shell.client().answers(elder, limit=limit, offset=offset)
    shell.console.print(answers_table(page["answers"], shell.words))
    shell.say("answer.listed", shown=len(page["answers"]), total=page["total"])


@app.command()
def delete(
    context: typer.Context,
    elder: ElderArgument,
    answer: Annotated[str, typer.Argument(metavar="ANSWER")],
    yes: Sure = False,
) -> None:
    shell: Shell = context.obj
    shell.make_sure(yes, "answer.really", elder=elder, answer=answer)
    gone = shell.client().delete_answer(elder, answer)
    shell.say("answer.deleted", message=gone["message"], elder=elder, total=gone["total"])


def import_answers(
    context: typer.Context,
    elder: ElderArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    sender: Annotated[str, typer.Option("--sender", metavar="NAME")] = "",
    questions: Annotated[Path | None, typer.Option("--questions", metavar="FILE.jsonl")] = None,
) -> None:
    shell: Shell = context.obj
    told, held_out = read(file), read(questions) if questions else None
    client = shell.client()
    result = client.upload(elder, file.name, told, sender=sender)
    shell.say("import.added", elder=elder, added=result["added"], total=result["total"])
    if result["personal"]:
        shell.say("import.personal", elder=elder, count=result["personal"])
    if held_out is not None:
        shell.say("import.questions", total=client.set_questions(elder, held_out)["total"])
