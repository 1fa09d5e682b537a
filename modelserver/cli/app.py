"""The commands. Each is thin: it finds the account, calls the client, and prints.

An error is one sentence on stderr and exit code 1; `CliError` and the kernel's errors carry the sentence.
"""

import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from typer.core import TyperGroup

from config.settings import Settings, read_settings
from kernel.errors import HeirloomError
from kernel.job import Brain
from modelserver.cli.account import Account, find_account
from modelserver.cli.base import list_bases, prepare_base
from modelserver.cli.chat import Talk
from modelserver.cli.client import Client, is_local
from modelserver.cli.companion import CompanionClient
from modelserver.cli.companion import ask as ask_companion
from modelserver.cli.demo import SAMPLES, Sample, run_demo
from modelserver.cli.doctor import examine
from modelserver.cli.family import add_family, first_family, open_store, revoke_key
from modelserver.cli.left_brain import show_left_brain
from modelserver.cli.ollama_check import examine_ollama
from modelserver.cli.stack import Stack, running_stack
from modelserver.cli.tables import (
    answers_table,
    arms_table,
    compared_table,
    feedback_table,
    made_table,
    models_table,
    relatives_table,
    size,
    timeline_table,
)
from modelserver.cli.training import check_outcome, outcome, quoted, start_or_join, watch
from modelserver.cli.words import CliError, Words, choose_language, take_language
from modelserver.validation import kind_in_chinese


@dataclass(frozen=True, kw_only=True)
class Shell:
    """What every command has at hand."""

    settings: Settings
    words: Words
    console: Console
    transport: httpx.BaseTransport | None = None  #: for tests

    def client(self, account: Account | None = None) -> Client:
        account = account or find_account(self.settings)
        return Client(account, language=self.words.language, transport=self.transport)

    def say(self, key: str, /, **values: object) -> None:
        self.console.print(self.words(key, **values), markup=False, highlight=False, soft_wrap=True)


class OrElder(TyperGroup):
    """What is no command is an elder, to be shown: `heirloom models ELDER`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        return super().resolve_command(ctx, args if args[0] in self.commands else ["show", *args])


ElderArgument = Annotated[str, typer.Argument(metavar="ELDER")]
Sure = Annotated[bool, typer.Option("--yes", "-y")]

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
family_app = typer.Typer(no_args_is_help=True)
elder_app = typer.Typer(no_args_is_help=True)
answer_app = typer.Typer(no_args_is_help=True)
feedback_app = typer.Typer(no_args_is_help=True)
base_app = typer.Typer(no_args_is_help=True)
left_brain_app = typer.Typer(no_args_is_help=True)
models_app = typer.Typer(cls=OrElder)
app.add_typer(family_app, name="family")
app.add_typer(elder_app, name="elder")
app.add_typer(answer_app, name="answer")
app.add_typer(feedback_app, name="feedback")
app.add_typer(base_app, name="base")
app.add_typer(left_brain_app, name="left-brain")
app.add_typer(models_app, name="models")


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


# ---- the stack ------------------------------------------------------------------------------------------


@app.command()
def up(context: typer.Context) -> None:
    shell: Shell = context.obj
    with _ended_by_signals():
        _serve(shell)


@app.command()
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
    with _ended_by_signals(), _stack(shell) as (stack, account):
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
def _ended_by_signals() -> Iterator[None]:
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


# ---- families, elders, memories ---------------------------------------------------------------------------


@family_app.command("add")
def family_add(context: typer.Context, name: str) -> None:
    shell: Shell = context.obj
    with open_store(shell.settings) as settings:
        key = add_family(settings, name)
    shell.say("family.added", name=name)
    print(key)
    shell.say("family.how", url=find_account(shell.settings).url)


@family_app.command("revoke")
def family_revoke(context: typer.Context, key: Annotated[str, typer.Argument(metavar="[KEY]")] = "") -> None:
    """Asked for when it is not given: what is typed there stays out of the shell's history."""
    shell: Shell = context.obj
    key = key or typer.prompt(shell.words("family.which_key"), hide_input=True)
    with open_store(shell.settings) as settings:
        new = revoke_key(settings, key.strip())
    shell.say("family.revoked")
    print(new)


@elder_app.command("add")
def elder_add(
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


@elder_app.command("delete")
def elder_delete(context: typer.Context, elder: ElderArgument, yes: Sure = False) -> None:
    shell: Shell = context.obj
    _make_sure(shell, yes, "elder.really", elder=elder)
    gone = shell.client().delete_elder(elder)
    shell.say("elder.deleted", elder=elder, answers=gone["deleted_answers"], versions=gone["deleted_versions"])


@elder_app.command("engine")
def elder_engine(
    context: typer.Context,
    elder: ElderArgument,
    engine: Annotated[str, typer.Argument(metavar="[llama_cpp|ollama|vllm]")] = "",
) -> None:
    shell: Shell = context.obj
    chosen = shell.client().choose_engine(elder, engine)["engine"]
    shell.say("elder.engine", elder=elder, engine=chosen or shell.words("elder.default_engine"))


@elder_app.command("consent")
def elder_consent(
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


@answer_app.command("list")
def answer_list(
    context: typer.Context,
    elder: ElderArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 100,
    offset: Annotated[int, typer.Option("--offset", min=0)] = 0,
) -> None:
    shell: Shell = context.obj
    page = shell.client().answers(elder, limit=limit, offset=offset)
    shell.console.print(answers_table(page["answers"], shell.words))
    shell.say("answer.listed", shown=len(page["answers"]), total=page["total"])


@answer_app.command("delete")
def answer_delete(
    context: typer.Context,
    elder: ElderArgument,
    answer: Annotated[str, typer.Argument(metavar="ANSWER")],
    yes: Sure = False,
) -> None:
    shell: Shell = context.obj
    _make_sure(shell, yes, "answer.really", elder=elder, answer=answer)
    gone = shell.client().delete_answer(elder, answer)
    shell.say("answer.deleted", message=gone["message"], elder=elder, total=gone["total"])


def _make_sure(shell: Shell, is_sure: bool, question: str, /, **values: object) -> None:
    """Ends the command unless --yes was given or a person says yes; where nobody can be asked, that is no."""
    try:
        is_sure = is_sure or typer.confirm(shell.words(question, **values))
    except typer.Abort:
        shell.console.print()
    if not is_sure:
        shell.say("really.not_done")
        raise typer.Exit(1)


@app.command("import")
def import_answers(
    context: typer.Context,
    elder: ElderArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE")],
    sender: Annotated[str, typer.Option("--sender", metavar="NAME")] = "",
    questions: Annotated[Path | None, typer.Option("--questions", metavar="FILE.jsonl")] = None,
) -> None:
    shell: Shell = context.obj
    told, held_out = _read(file), _read(questions) if questions else None
    client = shell.client()
    result = client.upload(elder, file.name, told, sender=sender)
    shell.say("import.added", elder=elder, added=result["added"], total=result["total"])
    if result["personal"]:
        shell.say("import.personal", elder=elder, count=result["personal"])
    if held_out is not None:
        shell.say("import.questions", total=client.set_questions(elder, held_out)["total"])


# ---- training, models, chat -------------------------------------------------------------------------------


@app.command()
def train(
    context: typer.Context,
    elder: ElderArgument,
    force: Annotated[bool, typer.Option("--force")] = False,
    cancel: Annotated[bool, typer.Option("--cancel")] = False,
    quote: Annotated[bool, typer.Option("--quote")] = False,
    brain: Annotated[Brain, typer.Option("--brain")] = Brain.RIGHT,
) -> None:
    shell: Shell = context.obj
    client = shell.client()
    if quote:
        shell.console.print(quoted(client.quote(elder, brain=brain.value), shell.words), markup=False)
        return
    if cancel:
        _cancel(shell, client, elder)
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


@app.command()
def chat(
    context: typer.Context,
    elder: ElderArgument,
    question: Annotated[str, typer.Argument(metavar="[QUESTION]")] = "",
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


@feedback_app.command("list")
def feedback_list(
    context: typer.Context,
    elder: ElderArgument,
    limit: Annotated[int, typer.Option("--limit", min=1, max=1000)] = 100,
    offset: Annotated[int, typer.Option("--offset", min=0)] = 0,
) -> None:
    shell: Shell = context.obj
    page = shell.client().feedback(elder, limit=limit, offset=offset)
    shell.console.print(feedback_table(page["feedback"], shell.words))
    shell.say("feedback.listed", shown=len(page["feedback"]), total=page["total"])


@feedback_app.command("delete")
def feedback_delete(
    context: typer.Context,
    elder: ElderArgument,
    feedback: Annotated[str, typer.Argument(metavar="ID")],
    yes: Sure = False,
) -> None:
    shell: Shell = context.obj
    _make_sure(shell, yes, "feedback.really", elder=elder, feedback=feedback)
    shell.client().delete_feedback(elder, feedback)
    shell.say("feedback.deleted", elder=elder, feedback=feedback)


@feedback_app.command("export")
def feedback_export(
    context: typer.Context,
    elder: ElderArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl")],
    force: Annotated[bool, typer.Option("--force")] = False,
) -> None:
    shell: Shell = context.obj
    lines = shell.client().export(elder, _free(file, force), what="export-feedback")
    shell.say("feedback.exported", lines=lines, path=file)


@app.command()
def companion(
    context: typer.Context,
    elder: ElderArgument,
    say: Annotated[str, typer.Option("--say", metavar="TEXT")] = "",
    wav: Annotated[Path | None, typer.Option("--wav", metavar="FILE.wav")] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.wav")] = None,
    profile: Annotated[str, typer.Option("--profile", help="fast, balanced, quality")] = "",
) -> None:
    shell: Shell = context.obj
    recording = _read(wav) if wav else b""
    account = find_account(shell.settings)
    client = CompanionClient(account, elder, language=shell.words.language, profile=profile, voice=out is not None)
    try:
        if recording:
            client.play(recording)
        else:
            client.say(say or typer.prompt(shell.words("chat.prompt").strip(), prompt_suffix=" "))
        ask_companion(client, out=out, console=shell.console, words=shell.words)
    finally:
        client.close()


@app.command()
def why(context: typer.Context, elder: ElderArgument, thing: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    shell: Shell = context.obj
    origin = shell.client().why(elder, thing)
    for memory in origin["memories"]:
        shell.say("why.memory", id=memory["id"], text=memory["text"])
    if not origin["memories"]:
        shell.say("why.no_memory")
    shell.console.print(made_table(origin["made"], shell.words))


@app.command()
def graph(context: typer.Context, elder: ElderArgument) -> None:
    shell: Shell = context.obj
    client = shell.client()
    found = client.graph(elder)
    shell.console.print(relatives_table(client.graph(elder, "kinship")["relatives"], shell.words))
    shell.console.print(timeline_table(client.graph(elder, "timeline")["happenings"], shell.words))
    kinds = Counter(entity["type"] for entity in found["entities"])
    counts = {kind: kinds[kind] for kind in ("person", "place", "event", "time", "object", "organisation")}
    shell.say("graph.holds", **counts)
    shell.say("graph.joined", relationships=len(found["relationships"]), communities=len(found["communities"]))
    if found["failed_memory_ids"]:
        shell.say("graph.failed", count=len(found["failed_memory_ids"]), ids=", ".join(found["failed_memory_ids"]))


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context) -> None:
    shell: Shell = context.obj
    if context.invoked_subcommand is None:
        found = shell.client().models()
        if found:
            shell.console.print(models_table(found, shell.words))
        else:
            shell.say("models.none")


@models_app.command("show")
def models_show(context: typer.Context, elder: ElderArgument) -> None:
    shell: Shell = context.obj
    details = shell.client().model(elder)
    shell.console.print(models_table(details["versions"], shell.words))
    on_disk = {name: size(details.get(f"{name}_bytes", 0)) for name in ("versions", "training")}
    shell.say("models.disk", **on_disk)
    if details["active"]:
        shell.console.print(arms_table(elder, details["active"]["arms"], shell.words))


@models_app.command("compare")
def models_compare(
    context: typer.Context,
    elder: ElderArgument,
    a: Annotated[int, typer.Argument(metavar="VERSION")],
    b: Annotated[int, typer.Argument(metavar="VERSION")],
    question: Annotated[str, typer.Option("--ask", metavar="QUESTION")] = "",
) -> None:
    shell: Shell = context.obj
    compared = shell.client().compare(elder, a, b, question)
    shell.console.print(compared_table(compared, shell.words))
    if not compared["is_same_questions"]:
        shell.say("models.other_questions")
    for number, answer in zip((a, b), compared["answers"] or (), strict=False):
        shell.say("models.answer", version=number, text=answer)


@models_app.command("activate")
def models_activate(
    context: typer.Context, elder: ElderArgument, version: Annotated[int, typer.Argument(metavar="VERSION")]
) -> None:
    shell: Shell = context.obj
    shell.say("models.activated", elder=elder, version=shell.client().activate(elder, version)["version"])


@models_app.command("rollback")
def models_rollback(context: typer.Context, elder: ElderArgument) -> None:
    shell: Shell = context.obj
    shell.say("models.activated", elder=elder, version=shell.client().roll_back(elder)["version"])


@models_app.command("retire")
def models_retire(
    context: typer.Context,
    elder: ElderArgument,
    version: Annotated[int, typer.Argument(metavar="VERSION")],
    yes: Sure = False,
) -> None:
    shell: Shell = context.obj
    _make_sure(shell, yes, "models.really", elder=elder, version=version)
    gone = shell.client().retire(elder, version)
    shell.say("models.retired", elder=elder, version=gone["version"], size=size(gone["freed_bytes"]))


@app.command()
def export(
    context: typer.Context,
    elder: ElderArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl")],
    force: Annotated[bool, typer.Option("--force")] = False,
) -> None:
    shell: Shell = context.obj
    shell.say("export.done", lines=shell.client().export(elder, _free(file, force)), path=file)


@left_brain_app.command("report")
def left_brain_report(context: typer.Context, elder: ElderArgument) -> None:
    shell: Shell = context.obj
    show_left_brain(shell.client(), elder, console=shell.console, words=shell.words)


@left_brain_app.command("golden")
def left_brain_golden(
    context: typer.Context,
    elder: ElderArgument,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.jsonl")] = None,
    back: Annotated[Path | None, typer.Option("--in", metavar="FILE.jsonl")] = None,
    force: Annotated[bool, typer.Option("--force")] = False,
) -> None:
    shell: Shell = context.obj
    if (out is None) == (back is None):
        raise CliError("golden.out_or_in")
    if back is not None:
        total = shell.client().review_golden(elder, _read(back))["total"]
        shell.say("golden.reviewed", elder=elder, total=total)
    elif out is not None:
        if out.exists() and not force:
            raise CliError("file.exists", path=out)
        shell.say("golden.written", lines=shell.client().golden(elder, out), path=out, elder=elder)


# ---- this machine -----------------------------------------------------------------------------------------


@base_app.command("list")
def base_list(context: typer.Context) -> None:
    shell: Shell = context.obj
    list_bases(shell.settings, console=shell.console, words=shell.words)


@base_app.command("prepare")
def base_prepare(context: typer.Context, name: str) -> None:
    shell: Shell = context.obj
    prepare_base(shell.settings, name, console=shell.console, words=shell.words)


@app.command()
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


# ---- beginnings and ends ----------------------------------------------------------------------------------


def _settings(language: str) -> Settings:
    try:
        return read_settings()
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        said = kind_in_chinese(first) if language == "zh" else first["msg"]
        raise CliError("setting.bad", reason=f"HEIRLOOM_{name.upper()}: {said}") from None


def _free(file: Path, is_forced: bool) -> Path:
    """One to be written."""
    if file.exists() and not is_forced:
        raise CliError("file.exists", path=file)
    return file


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        raise CliError("file.missing", path=file) from None
    except OSError as error:
        raise CliError("disk.failed", path=file, reason=error.strerror) from error


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
