"""The whole service on this machine: `heirloom up`, and `heirloom demo`, which uses one that runs already."""

import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from modelserver.cli.account import Account, find_account
from modelserver.cli.client import is_local
from modelserver.cli.demo import SAMPLES, Sample, run_demo
from modelserver.cli.family import first_family
from modelserver.cli.shell import Shell
from modelserver.cli.stack import Stack, running_stack


def up(context: typer.Context) -> None:
    shell: Shell = context.obj
    with ended_by_signals():
        _serve(shell)


def demo(
    context: typer.Context,
    lang: Annotated[str, typer.Option("--lang", help="en, zh")] = "",
    stay: Annotated[bool, typer.Option("--stay/--no-stay")] = sys.stdin.isatty(),
) -> None:
    shell: Shell = context.obj
    sample = Sample(SAMPLES / shell.words.language)
    if shell.settings.api_url or running_stack(shell.settings.data_dir).get("url"):
        account = find_account(shell.settings)
        shell.say("stack.found", url=account.url)
        _run_demo(shell, account, sample)
        return
    with ended_by_signals(), _stack(shell) as (stack, account):
        _run_demo(shell, account, sample)
        if stay:
            _wait_for_the_end(shell, stack)
        else:
            shell.say("demo.no_terminal")


def _run_demo(shell: Shell, account: Account, sample: Sample) -> None:
    began = time.monotonic()
    run_demo(shell.client(account), sample, console=shell.console, words=shell.words)
    shell.say("demo.took", seconds=time.monotonic() - began)
    shell.say("demo.go_on", url=account.page)
    shell.say("demo.or_terminal", elder=sample.id)


def _serve(shell: Shell) -> None:
    with _stack(shell) as (stack, account):
        shell.say("stack.ready", url=account.page)
        if is_local(account.url):
            shell.say("stack.only_here")
        _wait_for_the_end(shell, stack)


@contextmanager
def _stack(shell: Shell) -> Iterator[tuple[Stack, Account]]:
    shell.say("stack.starting", folder=shell.settings.data_dir)
    with Stack(shell.settings, say=shell.say) as stack:
        yield stack, first_family(stack.settings, shell.words("family.first_name"))
        shell.say("stack.stopping")
    shell.say("stack.stopped", folder=stack.settings.data_dir)


def _wait_for_the_end(shell: Shell, stack: Stack) -> None:
    shell.say("stack.how_to_stop", logs=stack.settings.logs_dir)
    try:
        threading.Event().wait()
    except KeyboardInterrupt:
        shell.console.print()


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end it as Ctrl-C does; under nohup a closed terminal does not.

    SIGINT too: a shell that starts it in the background has it ignored, and Python then leaves that so.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, interrupt) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
