"""Talking with an elder: `heirloom chat`, and `heirloom companion`, which hears and speaks."""

from pathlib import Path
from typing import Annotated

import typer

from modelserver.cli.account import find_account
from modelserver.cli.chat import Talk
from modelserver.cli.companion import CompanionClient, ask
from modelserver.cli.shell import ElderArgument, Shell, read


def chat(
    context: typer.Context,
    elder: ElderArgument,
    question: Annotated[str, typer.Argument(metavar="QUESTION")] = "",
    member: Annotated[str, typer.Option("--member", metavar="NAME")] = "",
    go_on: Annotated[bool, typer.Option("--continue")] = False,
    strict: Annotated[bool, typer.Option("--strict")] = False,
) -> None:
    shell: Shell = context.obj
    talk = Talk(shell.client(), elder, shell.console, shell.words, member=member.strip(), is_strict=strict)
    if go_on:
        talk.go_on()
    if question:
        talk.ask(question)
    else:
        talk.converse()


def companion(
    context: typer.Context,
    elder: ElderArgument,
    say: Annotated[str, typer.Option("--say", metavar="TEXT")] = "",
    wav: Annotated[Path | None, typer.Option("--wav", metavar="FILE.wav")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.wav")] = None,
    profile: Annotated[str, typer.Option("--profile", help="fast, balanced, quality")] = "",
    member: Annotated[str, typer.Option("--member", metavar="NAME")] = "",
    go_on: Annotated[bool, typer.Option("--continue")] = False,
) -> None:
    shell: Shell = context.obj
    recording = read(wav) if wav else b""
    account = find_account(shell.settings)
    kept = Talk(shell.client(), elder, shell.console, shell.words, member=member.strip())
    if go_on:
        kept.go_on()
    client = CompanionClient(
        account,
        elder,
        language=shell.words.language,
        profile=profile,
        voice=out is not None,
        member=kept.member,
        conversation=kept.conversation,
    )
    try:
        if recording:
            client.play(recording)
        else:
            client.say(say or typer.prompt(shell.words("chat.prompt").strip(), prompt_suffix=" "))
        ask(client, out=out, console=shell.console, words=shell.words)
    finally:
        client.close()
