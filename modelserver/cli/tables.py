"""Tables: stages, evaluation, models and base models, as a person reads them."""

from typing import Any

from rich.markup import escape
from rich.table import Table

from kernel.recipe import BaseModel
from modelserver.cli.words import Words

Json = dict[str, Any]

_MEASURES = ("recall", "honesty", "invention", "style", "ability")
_SHOWN = 60  #: characters of a question or an answer
_COLOURS = {
    "done": "green",
    "skipped": "cyan",
    "failed": "red",
    "cancelled": "yellow",
    "running": "yellow",
    "waiting": "dim",
}


def stages_table(stages: list[Json], words: Words) -> Table:
    table = Table(title=words("table.stages"), title_justify="left")
    table.add_column(words("table.stage"))
    table.add_column(words("table.state"))
    table.add_column(words("table.seconds"), justify="right")
    table.add_column()
    for stage in stages:
        state = stage["state"]
        seconds = stage.get("seconds") or 0.0
        colour = _COLOURS.get(state, "")
        told = f"[{colour}]{words(f'state.{state}')}"
        table.add_row(stage_name(stage["name"], words), told, f"{seconds:.1f}", facts(stage, words))
    table.add_section()
    table.add_row("", "", f"{sum(stage.get('seconds') or 0.0 for stage in stages):.1f}")
    return table


def facts(stage: Json, words: Words) -> str:
    """How many samples were made; epoch, loss and speed of a training stage, as far as it has said them."""
    told = stage | (stage.get("facts") or {})
    said = []
    if told.get("samples"):
        counted = {name: told.get(name, 0) for name in ("samples", "shown", "refusals", "dropped")}
        said.append(words("train.facts.samples", **counted))
    if told.get("epochs"):
        said.append(words("train.facts.epoch", epoch=int(told.get("epoch") or 0), epochs=int(told["epochs"])))
    if isinstance(told.get("loss"), int | float):
        said.append(words("train.facts.loss", loss=told["loss"]))
    if told.get("tokens_per_second"):
        said.append(words("train.facts.speed", speed=told["tokens_per_second"]))
    return "  ".join(said)


def arms_table(elder: str, arms: list[Json], words: Words) -> Table:
    table = Table(title=words("table.evaluation", elder=elder), title_justify="left")
    table.add_column(words("table.arm"))
    for measure in _MEASURES:
        table.add_column(words(f"table.{measure}"), justify="right")
    for arm in arms:
        table.add_row(words(f"arm.{arm['arm']}"), *(_share(arm, measure) for measure in _MEASURES))
    return table


def compared_table(compared: Json, words: Words) -> Table:
    """Both versions' measures, arm by arm."""
    pair = [compared["a"], compared["b"]]
    table = Table(title=words("table.compared", elder=compared["elder_id"]), title_justify="left")
    for title in (words("table.arm"), words("table.measure"), *(str(one["version"]) for one in pair)):
        table.add_column(title, justify="right" if title.isdigit() else "left")
    scores = [{arm["arm"]: arm for arm in one["arms"]} for one in pair]
    for arm in dict.fromkeys([*scores[0], *scores[1]]):
        for measure in _MEASURES:
            told = [_share(one.get(arm, {}), measure) for one in scores]
            table.add_row(words(f"arm.{arm}") if measure == _MEASURES[0] else "", words(f"table.{measure}"), *told)
    table.add_section()
    table.add_row(words("table.size"), "", *(size(one["size_bytes"]) for one in pair))
    return table


def _share(arm: Json, measure: str) -> str:
    share = arm.get(measure)
    return "-" if share is None else f"{share:.2f}"


def made_table(made: list[Json], words: Words) -> Table:
    table = Table(title=words("table.made_of_them"), title_justify="left")
    for column in ("kind", "id", "text"):
        table.add_column(words(f"table.{column}"), no_wrap=column != "text")
    for one in made:
        table.add_row(words(f"kind.{one['kind']}"), escape(one["id"]), escape(one["text"]))
    return table


def timeline_table(happenings: list[Json], words: Words) -> Table:
    table = Table(title=words("table.timeline"), title_justify="left")
    for column in ("year", "told", "text", "memories"):
        table.add_column(words(f"table.{column}"), no_wrap=column in ("year", "memories"))
    for one in happenings:
        year = "" if one["year"] is None else str(one["year"])
        table.add_row(year, escape(one["told"]), escape(one["text"]), one["memory_id"])
    return table


def relatives_table(relatives: list[Json], words: Words) -> Table:
    """The word for a relative in the reader's language, and as it was told where that says more."""
    table = Table(title=words("table.kinship"), title_justify="left")
    for column in ("whose", "kin", "name", "memories"):
        table.add_column(words(f"table.{column}"), overflow="fold")
    for one in relatives:
        kin, called = words(f"kin.{one['kin']}"), one["called"]
        told = kin if called.lower() == kin.lower() else f"{kin} ({called})"
        whose = one["whose"] or words("table.own")
        table.add_row(escape(whose), escape(told), escape(one["name"]), " ".join(one["memory_ids"]))
    return table


def answers_table(answers: list[Json], words: Words) -> Table:
    """Each answer's first words: enough to know it by."""
    table = Table()
    table.add_column(words("table.id"), no_wrap=True)
    table.add_column(words("table.question"))
    table.add_column(words("table.answer"))
    for one in answers:
        flag = " ⚠" if one["personal_data"] else ""
        table.add_row(one["answer_id"] + flag, *(escape(_beginning(one[part])) for part in ("question", "answer")))
    return table


def feedback_table(given: list[Json], words: Words) -> Table:
    """By their first words; ⚠ where a correction names what no memory holds, or holds personal data."""
    table = Table()
    for column in ("id", "member", "verdict", "question", "answer", "correction"):
        table.add_column(words(f"table.{column}"), no_wrap=column == "id")
    for one in given:
        flag = "⚠ " if one["unsupported"] or one["personal_data"] else ""
        verdict = words("feedback.up" if one["verdict"] == "up" else "feedback.down")
        said = (one["member"], verdict, _beginning(one["question"]), _beginning(one["answer"]))
        table.add_row(one["feedback_id"], *map(escape, said), flag + escape(_beginning(one["correction"])))
    return table


def models_table(models: list[Json], words: Words) -> Table:
    table = Table()
    for column in ("elder", "version", "use", "base", "storage", "engine", "size", "made"):
        table.add_column(words(f"table.{column}"), justify="right" if column in ("version", "size") else "left")
    for model in models:
        table.add_row(
            model["elder_id"],
            str(model["version"]),
            "●" if model.get("is_active") else "",
            f"{model['base']} {model.get('quantisation', '')}",
            words(f"storage.{model.get('storage', 'merged')}"),
            model.get("engine", ""),
            size(model.get("size_bytes", 0)),
            str(model.get("created_at", ""))[:16].replace("T", " "),
        )
    return table


def bases_table(rows: list[tuple[BaseModel, bool]], words: Words) -> Table:
    """Each with whether it is ready on this machine."""
    table = Table()
    for column in ("model", "languages", "licence", "parameters", "ready"):
        table.add_column(words(f"table.{column}"), justify="right" if column == "parameters" else "left")
    for base, is_ready in rows:
        parameters = f"{base.parameters / 1e6:,.0f} M"
        ready = words("table.yes" if is_ready else "table.no")
        table.add_row(base.key, " ".join(base.languages), base.licence, parameters, ready)
    return table


def _beginning(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _SHOWN else line[:_SHOWN].rstrip() + "…"


def stage_name(name: str, words: Words) -> str:
    """A server may be newer than this command line: a stage that it does not know keeps its own name."""
    try:
        return words(f"stage.{name}")
    except KeyError:
        return name


def size(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
