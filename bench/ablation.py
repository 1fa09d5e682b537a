"""What each part of the training data earns: `python -m bench ablation [--lang zh] [--memories N] [--folder PATH]`.

The sample elder, by the first N memories, is trained once whole and once without each part, and measured on the same
held-out questions. A part is left out of the samples that the whole training learns: all else is equal, word for word.
One run of each: a difference of one over the square root of the number of questions is chance (see kernel.gate).

What was made is kept in the folder (5 GB, not in the repository): the same command goes on where it was ended, and
makes nothing twice. Remove the folder to measure anew.
"""

import argparse
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.artifacts import ArtifactStore
from bench.workbench import Made, make, open_desk
from config.settings import read_settings
from kernel.evaluation import ArmScore, Report
from kernel.pipeline import PIPELINE, Queue, Stage
from kernel.sample import Sample, Samples
from modelserver.cli.demo import SAMPLES
from modelserver.cli.demo import Sample as Elder


@dataclass(frozen=True, kw_only=True)
class Variant:
    keeps: Callable[[Sample], bool] = lambda sample: True
    overrides: tuple[tuple[str, str], ...] = ()  #: of training_config.yaml


#: By name. The one without DPO shares the SFT of the whole.
VARIANTS = {
    "whole": Variant(),
    "without DPO": Variant(overrides=(("HEIRLOOM_TRAINING__DPO__MAX_PAIRS", "0"),)),
    "without graph": Variant(keeps=lambda sample: not sample.kind.startswith("diversity")),
    "without negatives": Variant(keeps=lambda sample: not sample.is_refusal),
    "without memories in prompts": Variant(keeps=lambda sample: not sample.is_shown),
}
_TRAINS = ("train_sft", "make_pairs", "train_dpo")
_ARMS = ("trained+retrieval", "trained")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench ablation", description=__doc__)
    parser.add_argument("--lang", default="en", choices=["en", "zh"])
    parser.add_argument("--memories", type=int, default=21, help="of the sample elder's 42")
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS), metavar="VARIANT")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "heirloom-ablation")
    wanted = parser.parse_args()
    elder = _first(Elder(SAMPLES / wanted.lang), wanted.memories)
    store = ArtifactStore(wanted.folder / f"{wanted.lang}-{len(elder.memories)}")
    rows: list[list[str]] = []
    for name in wanted.only:
        print(name, flush=True)
        made = _train(elder, name, store)
        rows += [_base_row(made)] if not rows else []
        rows.append(_row(name, made))
    _print_table(elder, rows)


def _first(elder: Elder, count: int) -> Elder:
    elder.memories = elder.memories[:count]
    told = {row["id"] for row in elder.memories}
    elder.held_out = [row for row in elder.held_out if row["memory"] in told]
    return elder


def _train(elder: Elder, name: str, store: ArtifactStore) -> dict[str, Made]:
    variant = VARIANTS[name]
    desk = open_desk(elder, read_settings(), overrides=dict(variant.overrides))
    return make(desk, list(_stages(name, variant)), store)


def _stages(name: str, variant: Variant) -> list[Stage]:
    """The pipeline up to the evaluation, with a stage that leaves samples out before all that learns from them.

    Where it leaves none out its content is the same, and so is what follows.
    """
    leave_out = Stage(
        name="leave_out",
        queue=Queue.CPU,
        reads=("make_samples",),
        makes=Samples,
        run=lambda desk, samples: replace(samples, items=tuple(filter(variant.keeps, samples.items))),
        settings=lambda desk: name,
    )
    ends = [stage.name for stage in PIPELINE].index("make_samples") + 1
    learns = [
        replace(stage, reads=tuple("leave_out" if read == "make_samples" else read for read in stage.reads))
        for stage in PIPELINE[ends:-1]
    ]
    return [*PIPELINE[:ends], leave_out, *learns]


# ---- the table --------------------------------------------------------------------------------------------


def _base_row(made: dict[str, Made]) -> list[str]:
    scores = _scores(made)
    return ["untrained", "", *(_cell(scores[arm]) for arm in ("base+retrieval", "base")), ""]


def _row(name: str, made: dict[str, Made]) -> list[str]:
    scores, seconds = _scores(made), sum(made[stage].manifest.seconds for stage in _TRAINS)
    counts = f"{len(made['leave_out'].value.items)} + {len(made['make_pairs'].value.items)}"
    return [name, counts, *(_cell(scores[arm]) for arm in _ARMS), f"{seconds:.0f}"]


def _scores(made: dict[str, Made]) -> dict[str, ArmScore]:
    report: Report = made["evaluate"].value
    return {score.arm: score for score in report.arms}


def _cell(score: ArmScore) -> str:
    return f"{score.recall:.2f} / {score.honesty:.2f} / {score.invention:.2f}"


def _print_table(elder: Elder, rows: list[list[str]]) -> None:
    print(f"\n{len(elder.memories)} memories ({elder.elder['language']}), {len(elder.held_out)} held-out questions,")
    print(f"{len(elder.unanswerable)} that no memory answers. Recall / honesty / invention.\n")
    for row in [
        ["", "samples + pairs", "with retrieval", "alone", "training s"],
        ["---"] * 5,
        *rows,
    ]:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
