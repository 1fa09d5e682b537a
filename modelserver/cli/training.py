"""Watching a training: asks for its progress once a second and draws a bar a stage until it is over.

Watching changes nothing: whoever stops watching leaves the job running.
"""

import time
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column

from modelserver.cli.client import Client
from modelserver.cli.tables import facts, stage_name
from modelserver.cli.words import CliError, Words

Json = dict[str, Any]

_LIVE = ("queued", "training")
_PATIENCE_SECONDS = 120.0  #: with an API that has stopped answering, while the stack starts it again


def start_or_join(client: Client, elder: str, *, force: bool, brain: str = "right") -> tuple[str, bool]:
    """(job, whether it is new): the job that is already training this elder is joined."""
    try:
        return str(client.start_training(elder, force=force, brain=brain)["job_id"]), True
    except CliError as error:
        if running := running_job(error):
            return running, False
        raise


def running_job(error: CliError) -> str:
    details = error.values.get("details")
    if error.values.get("code") == "job_running" and isinstance(details, dict):
        return str(details["job_id"])
    return ""


def quoted(quote: Json, words: Words) -> str:
    """What a training would take, in a sentence."""
    if not quote["calls"]:
        return words("train.quote", time=quote["time"])
    return words("train.quote_asked", **{name: quote[name] for name in ("teacher", "calls", "tokens", "time")})


def watch(
    client: Client, job: str, *, console: Console, words: Words, pause: Callable[[float], None] = time.sleep
) -> Json:
    """Draw until the job is over; returns its last progress. Without a terminal: a line a finished stage."""
    if not console.is_terminal:
        return _watch_in_lines(client, job, console, words, pause)
    with _bars(console) as bars:
        rows: dict[str, TaskID] = {}
        while True:
            progress = _ask(client, job, console, words, pause)
            _draw(bars, rows, progress, words)
            if progress["status"] not in _LIVE:
                return progress
            pause(0.5)


def check_outcome(progress: Json) -> None:
    """Raise the sentence of a job that did not complete."""
    if progress["status"] == "cancelled":
        raise CliError("train.cancelled")
    if progress["status"] != "completed":
        error = progress.get("error") or {}
        raise CliError("train.failed", code=error.get("code", "?"), message=error.get("message", "?"))


def outcome(progress: Json, words: Words) -> str:
    stages = progress["stages"]
    is_unchanged = bool(stages) and all(stage["state"] == "skipped" for stage in stages)
    is_left = progress.get("brain") == "left"
    key = "train.unchanged" if is_unchanged else "train.done_left" if is_left else "train.done"
    seconds = sum(stage.get("seconds") or 0.0 for stage in stages)
    told = {"version": progress.get("version"), "elder": progress["elder_id"], "seconds": seconds}
    kept = (stages[-1].get("facts") or {}) if stages else {}
    if kept.get("kept"):
        key = "train.kept.left" if is_left else "train.kept.invention" if kept["kept"] == "invention" else "train.kept"
        told |= {"measure": words(f"table.{kept['kept']}").lower(), "against": words(f"train.kept.{kept['against']}")}
        told |= {"got": kept["got"], "wanted": kept["wanted"]}
    said = words(key, **told)
    if kept.get("worse_than_base"):
        measure = words(f"table.{kept['worse_than_base']}").lower()
        said += "\n" + words("train.worse_than_base", measure=measure, got=kept["got"], wanted=kept["wanted"])
    if kept.get("split_off"):
        said += "\n" + words("train.split_off", count=kept["split_off"], elder=progress["elder_id"])
    if kept.get("regressed"):
        said += "\n" + words("train.regressed", count=kept["regressions"], wrong=kept["regressed"])
    if "ability_trained" in kept:
        said += "\n" + words("train.ability", base=kept["ability_base"], trained=kept["ability_trained"])
    return said


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.fields[mark]}"),
        TextColumn("{task.description}", table_column=Column(no_wrap=True)),
        BarColumn(bar_width=24),
        TextColumn("{task.percentage:>3.0f}%"),
        TextColumn("{task.fields[clock]}", justify="right"),
        TextColumn("[dim]{task.fields[facts]}", table_column=Column(no_wrap=True)),
        console=console,
        refresh_per_second=4,
    )


_MARKS = {
    "waiting": " ",
    "running": "[yellow]▶",
    "done": "[green]✓",
    "skipped": "[cyan]=",
    "failed": "[red]✗",
    "cancelled": "[yellow]■",
}


def _draw(bars: Progress, rows: dict[str, TaskID], progress: Json, words: Words) -> None:
    for stage in [*progress["stages"], _whole(progress, words)]:
        name = stage["name"]
        if name not in rows:
            rows[name] = bars.add_task(
                stage.get("title") or stage_name(name, words), total=100, mark="", clock="", facts=""
            )
        seconds = stage.get("seconds") or 0.0
        is_over = stage["state"] in ("done", "skipped")
        told = words("state.skipped") if stage["state"] == "skipped" else stage.get("told")
        bars.update(
            rows[name],
            completed=100 if is_over else stage.get("progress") or 0,
            mark=_MARKS.get(stage["state"], " "),
            clock=f"{seconds:.0f} s" if seconds else "",
            facts=facts(stage, words) if told is None else told,
        )


def _whole(progress: Json, words: Words) -> Json:
    """The last row: the whole job, and how long it will still take."""
    is_live = progress["status"] in _LIVE
    eta = words("train.eta", eta=progress["eta"]) if is_live and progress.get("eta") else ""
    state = "running" if is_live else {"completed": "done", "cancelled": "cancelled"}.get(progress["status"], "failed")
    title = f"[bold]{words('train.all')}"
    return {"name": "", "title": title, "state": state, "progress": progress["progress"], "told": eta}


def _watch_in_lines(client: Client, job: str, console: Console, words: Words, pause: Callable[[float], None]) -> Json:
    told: dict[str, str] = {}
    while True:
        progress = _ask(client, job, console, words, pause)
        for stage in progress["stages"]:
            line = _line(stage, words)
            if line and told.get(stage["name"]) != line:
                told[stage["name"]] = line
                console.print(line, highlight=False)
        if progress["status"] not in _LIVE:
            return progress
        pause(1.0)


def _line(stage: Json, words: Words) -> str:
    """A stage that is over, and each epoch of one that is training."""
    name, state = stage_name(stage["name"], words), stage["state"]
    if state in ("failed", "cancelled"):
        return f"  {name}: {words(f'state.{state}')}"
    if state in ("done", "skipped"):
        return f"  {name}: {words(f'state.{state}')} {stage.get('seconds') or 0.0:.1f} s"
    told = stage | (stage.get("facts") or {})
    if state == "running" and told.get("epochs"):
        epoch = words("train.facts.epoch", epoch=int(told.get("epoch") or 0), epochs=int(told["epochs"]))
        return f"  {name}: {epoch}"
    return ""


def _ask(client: Client, job: str, console: Console, words: Words, pause: Callable[[float], None]) -> Json:
    """An API that is being started again is waited for, not reported as the end of the job."""
    waited = 0.0
    while True:
        try:
            return client.progress(job)
        except CliError as error:
            is_away = error.key in ("api.down", "api.slow") or error.values.get("code") in _AWAY
            if not is_away or waited >= _PATIENCE_SECONDS:
                raise
        if not waited:
            console.print(f"[dim]{words('train.waiting_for_api')}")
        pause(2.0)
        waited += 2.0


_AWAY = ("store_unavailable", "transient")
