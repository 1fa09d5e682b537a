"""An elder's versions: `heirloom models`, and `heirloom models ELDER`."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from modelserver.cli.shell import ElderArgument, Shell, Sure
from modelserver.cli.tables import arms_table, compared_table, models_table, size

VersionArgument = Annotated[int, typer.Argument(metavar="VERSION")]


class OrElder(TyperGroup):
    """What is no command is an elder, to be shown: `heirloom models ELDER`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["show", *args])


app = typer.Typer(cls=OrElder)


@app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    shell: Shell = context.obj
    if context.invoked_subcommand is None:
        found = shell.client().models()
        if found:
            shell.console.print(models_table(found, shell.words))
        else:
            shell.say("models.none")


@app.command()
def show(context: typer.Context, elder: ElderArgument) -> None:
    shell: Shell = context.obj
    details = shell.client().model(elder)
    shell.console.print(models_table(details["versions"], shell.words))
    on_disk = {name: size(details.get(f"{name}_bytes", 0)) for name in ("versions", "training")}
    shell.say("models.disk", **on_disk)
    if details["active"]:
        shell.console.print(arms_table(elder, details["active"]["arms"], shell.words))


@app.command()
def compare(
    context: typer.Context,
    elder: ElderArgument,
    a: VersionArgument,
    b: VersionArgument,
    question: Annotated[str, typer.Option("--ask", metavar="QUESTION")] = "",
) -> None:
    shell: Shell = context.obj
    compared = shell.client().compare(elder, a, b, question)
    shell.console.print(compared_table(compared, shell.words))
    if not compared["is_same_questions"]:
        shell.say("models.other_questions")
    for number, answer in zip((a, b), compared["answers"] or (), strict=False):
        shell.say("models.answer", version=number, text=answer)


@app.command()
def activate(context: typer.Context, elder: ElderArgument, version: VersionArgument) -> None:
    shell: Shell = context.obj
    shell.say("models.activated", elder=elder, version=shell.client().activate(elder, version)["version"])


@app.command()
def rollback(context: typer.Context, elder: ElderArgument) -> None:
    shell: Shell = context.obj
    shell.say("models.activated", elder=elder, version=shell.client().roll_back(elder)["version"])


@app.command()
def retire(
    context: typer.Context,
    elder: ElderArgument,
    version: VersionArgument,
    yes: Sure = False,
) -> None:
    shell: Shell = context.obj
    shell.make_sure(yes, "models.really", elder=elder, version=version)
    gone = shell.client().retire(elder, version)
    shell.say("models.retired", elder=elder, version=gone["version"], size=size(gone["freed_bytes"]))
