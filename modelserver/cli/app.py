"""The command line: which commands there are, and what happens before the first and after the last of them.

An error is one sentence on stderr and exit code 1; `CliError` and the kernel's errors carry the sentence.
"""

import os
import sys
from collections.abc import Sequence
from typing import Annotated

import httpx
import typer
from pydantic import ValidationError
from rich.console import Console

from config.settings import Settings, read_settings
from kernel.errors import HeirloomError
from modelserver.cli.commands import (
    answer,
    base,
    doctor,
    elder,
    family,
    feedback,
    left_brain,
    made,
    models,
    stack,
    talk,
    training,
)
from modelserver.cli.shell import Shell
from modelserver.cli.words import CliError, Words, choose_language, take_language
from modelserver.validation import kind_in_chinese

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command()(stack.up)
app.command()(stack.demo)
app.command("import")(answer.import_answers)
app.command()(training.train)
app.command()(talk.chat)
app.command()(talk.companion)
app.command()(made.why)
app.command()(made.biography)
app.command()(made.graph)
app.command()(made.export)
app.command()(doctor.doctor)
app.add_typer(family.app, name="family")
app.add_typer(elder.app, name="elder")
app.add_typer(answer.app, name="answer")
app.add_typer(feedback.app, name="feedback")
app.add_typer(base.app, name="base")
app.add_typer(left_brain.app, name="left-brain")
app.add_typer(models.app, name="models")


def main(arguments: Sequence[str] | None = None, transport: httpx.BaseTransport | None = None) -> None:
    """The entry point. Exit code 1 for an error, 2 for a command that was typed wrong."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    words = Words(choose_language(typed, os.environ))
    _translate_help(app, words, "help")
    try:
        shell = Shell(settings=_settings(words.language), words=words, console=Console(), transport=transport)
        _, rest = take_language(typed)
        app(rest, prog_name="heirloom", obj=shell)  # exits by itself: 0, or 2 for what was typed wrong
    except CliError as error:
        sys.exit(_complain(words(error.key, **error.values), words))
    except HeirloomError as error:
        sys.exit(_complain(error.message(words.language), words))
    except Exception as error:
        if os.environ.get("HEIRLOOM_DEBUG"):
            raise
        sys.exit(_complain(words("error.bug", kind=type(error).__name__), words))


@app.callback()
def options(lang: Annotated[str, typer.Option("--lang", help="en, zh")] = "") -> None:
    """--lang was read before anything was parsed."""


def _settings(language: str) -> Settings:
    try:
        return read_settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        said = kind_in_chinese(first) if language == "zh" else first["msg"]
        raise CliError("setting.bad", reason=f"HEIRLOOM_{name.upper()}: {said}") from None


def _translate_help(group: typer.Typer, words: Words, prefix: str) -> None:
    group.info.help = words("help.app") if prefix == "help" else words(prefix)
    for command in group.registered_commands:
        name = command.name or getattr(command.callback, "__name__", "")
        command.help = words(f"{prefix}.{name}")
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            inner.help = words(f"{prefix}.{inner.name}")
            _translate_help(inner.typer_instance, words, f"{prefix}.{inner.name}")


def _complain(text: str, words: Words) -> int:
    Console(stderr=True).print(words("error", text=text), style="red", markup=False, highlight=False, soft_wrap=True)
    return 1
