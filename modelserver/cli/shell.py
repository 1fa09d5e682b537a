"""The shell: what every command has at hand, and what several ask of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console

from config.settings import Settings
from modelserver.cli.account import Account, find_account
from modelserver.cli.client import Client
from modelserver.cli.words import CliError, Words

ElderArgument = Annotated[str, typer.Argument(metavar="ELDER")]
Sure = Annotated[bool, typer.Option("--yes", "-y")]
Force = Annotated[bool, typer.Option("--force")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000)]
Offset = Annotated[int, typer.Option("--offset", min=0)]


@dataclass(frozen=True, kw_only=True)
class Shell:
    settings: Settings
    words: Words
    console: Console
    transport: httpx.BaseTransport | None = None  #: for tests

    def client(self, account: Account | None = None) -> Client:
        account = account or find_account(self.settings)
        return Client(account, language=self.words.language, transport=self.transport)

    def say(self, key: str, /, **values: object) -> None:
        self.console.print(self.words(key, **values), markup=False, highlight=False, soft_wrap=True)

    def make_sure(self, is_sure: bool, question: str, /, **values: object) -> None:
        """Ends the command unless --yes was given or a person says yes; where nobody can be asked, that is no."""
        try:
            is_sure = is_sure or typer.confirm(self.words(question, **values))
        except typer.Abort:
            self.console.print()
        if not is_sure:
            self.say("really.not_done")
            raise typer.Exit(1)


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise CliError("file.missing", path=file) from None
    except OSError as error:
        raise CliError("disk.failed", path=file, reason=error.strerror) from error


def free(file: Path, is_forced: bool) -> Path:
    """One to be written."""
    if file.exists() and not is_forced:
        raise CliError("file.exists", path=file)
    return file
