"""Elders: `heirloom elder`."""

from typing import Annotated

import typer

from modelserver.cli.shell import ElderArgument, Shell, Sure

app = typer.Typer(no_args_is_help=True)


@app.command()
def add(
    context: typer.Context,
    elder: ElderArgument,
    name: Annotated[str, typer.Option("--name")] = "",
    language: Annotated[str, typer.Option("--language", help="en, zh")] = "",
    base: Annotated[str, typer.Option("--base")] = "",
    engine: Annotated[str, typer.Option("--engine", help="llama_cpp, ollama, vllm")] = "",
) -> None:
    shell: Shell = context.obj
    added = shell.client().add_elder(elder, name or elder, language or shell.words.language, base, engine)
    told = added["base_model"] or shell.words("elder.default_base")
    shell.say("elder.added", elder=added["elder_id"], name=added["name"], base=told)


@app.command()
def delete(context: typer.Context, elder: ElderArgument, yes: Sure = False) -> None:
    shell: Shell = context.obj
    shell.make_sure(yes, "elder.really", elder=elder)
    gone = shell.client().delete_elder(elder)
    shell.say("elder.deleted", elder=elder, answers=gone["deleted_answers"], versions=gone["deleted_versions"])


@app.command()
def engine(
    context: typer.Context,
    elder: ElderArgument,
    engine: Annotated[str, typer.Argument(metavar="llama_cpp|ollama|vllm")] = "",
) -> None:
    shell: Shell = context.obj
    chosen = shell.client().choose_engine(elder, engine)["engine"]
    shell.say("elder.engine", elder=elder, engine=chosen or shell.words("elder.default_engine"))


@app.command()
def consent(
    context: typer.Context,
    elder: ElderArgument,
    by: Annotated[str, typer.Option("--by")] = "",
    withdraw: Annotated[bool, typer.Option("--withdraw")] = False,
) -> None:
    shell: Shell = context.obj
    if withdraw:
        shell.client().withdraw_consent(elder)
        shell.say("elder.consent_withdrawn", elder=elder)
        return
    by = by or typer.prompt(shell.words("elder.consent_by", elder=elder))
    given = shell.client().give_consent(elder, by)["consent"]
    shell.say("elder.consent_given", elder=elder, by=given["by"], at=given["at"])
