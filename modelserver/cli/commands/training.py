"""A training: `heirloom train`."""

import time
from typing import Annotated

import typer

from kernel.job import Brain
from modelserver.cli.client import Client
from modelserver.cli.left_brain import show_left_brain
from modelserver.cli.shell import ElderArgument, Force, Shell
from modelserver.cli.tables import arms_table
from modelserver.cli.training import check_outcome, outcome, quoted, start_or_join, watch


def train(
    context: typer.Context,
    elder: ElderArgument,
    force: Force = False,
    cancel: Annotated[bool, typer.Option("--cancel")] = False,
    quote: Annotated[bool, typer.Option("--quote")] = False,
    brain: Annotated[Brain, typer.Option("--brain")] = Brain.RIGHT,
) -> None:
    shell: Shell = context.obj
    client = shell.client()
    if cancel:
        _cancel(shell, client, elder)
        return
    shell.console.print(quoted(client.quote(elder, brain=brain.value), shell.words), markup=False)
    if quote:
        return
    job, is_new = start_or_join(client, elder, force=force, brain=brain.value)
    shell.say("train.started" if is_new else "train.watching", job=job)
    try:
        progress = watch(client, job, console=shell.console, words=shell.words)
    except KeyboardInterrupt:
        shell.say("train.left", elder=elder)
        return
    check_outcome(progress)
    shell.console.print(outcome(progress, shell.words), markup=False)
    if progress.get("brain") == Brain.LEFT:
        show_left_brain(client, elder, console=shell.console, words=shell.words)
        return
    active = client.model(elder)["active"]
    shell.console.print(arms_table(elder, active["arms"], shell.words))


def _cancel(shell: Shell, client: Client, elder: str) -> None:
    job = next((row["job_id"] for row in client.elders() if row["elder_id"] == elder), None)
    if job is None:
        shell.say("train.nothing_to_cancel", elder=elder)
        return
    client.cancel(job)
    shell.say("train.cancelling", job=job)
    while client.progress(job)["status"] in ("queued", "training"):
        time.sleep(0.5)
    shell.say("train.cancelled")
