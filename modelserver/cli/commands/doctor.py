"""What is here and what is missing: `heirloom doctor`."""

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from modelserver.cli.doctor import examine
from modelserver.cli.ollama_check import examine_ollama
from modelserver.cli.shell import Shell


def doctor(context: typer.Context, ollama: Annotated[bool, typer.Option("--ollama")] = False) -> None:
    shell: Shell = context.obj
    table = Table()
    table.add_column(shell.words("table.part"))
    table.add_column("")
    table.add_column(shell.words("table.found"), overflow="fold")
    looked = examine_ollama if ollama else examine
    findings = list(looked(shell.settings, shell.words))
    for finding in findings:
        mark = "[green]✓" if finding.is_ok else "[red]✗" if finding.is_needed else "[yellow]–"
        table.add_row(finding.part, mark, escape(finding.found))
    shell.console.print(table)
    missing = sum(finding.is_bad for finding in findings)
    shell.say("doctor.bad" if missing else "doctor.ok", count=missing)
    raise typer.Exit(1 if missing else 0)
