"""What DPO adds to SFT: `python -m bench preference DATA_DIR [--lang zh] [--folder PATH]`.

DATA_DIR is where the sample elder was trained. The adapters of the last training there, after SFT and after DPO, are
merged, converted and measured as the pipeline does it, on the same held-out questions. They are read where they lie;
what is made of them is kept in the folder (2 GB), and not made twice.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from adapters.artifacts import ArtifactStore, Place
from bench.workbench import Made, make, open_desk
from config.settings import read_settings
from kernel.adapter import Adapter
from kernel.evaluation import ARMS, ProbeResult, Report
from kernel.ids import ElderId, TenantId
from kernel.memory import Memories
from kernel.pair import Pairs
from kernel.pipeline import PIPELINE
from kernel.sample import Samples
from modelserver.cli.demo import SAMPLES, Sample

_MEASURES = ("recall", "honesty", "invention", "style", "ability")
_STAGES = [stage for stage in PIPELINE if stage.name in ("merge", "convert_gguf", "evaluate")]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench preference", description=__doc__)
    parser.add_argument("data_dir", type=Path)
    parser.add_argument("--lang", default="en", choices=["en", "zh"])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "heirloom-preference")
    wanted = parser.parse_args()
    sample = Sample(SAMPLES / wanted.lang)
    training = Training(wanted.data_dir / "artifacts", sample.id)
    desk, store = open_desk(sample, read_settings()), ArtifactStore(wanted.folder)
    reports: dict[str, Report] = {}
    for name, adapter in (("SFT", training.sft), ("SFT + DPO", training.dpo)):
        print(name, flush=True)
        reports[name] = make(desk, _STAGES, store, given=training.rest | {"train_dpo": adapter})["evaluate"].value
    _print_pairs(training.pairs)
    _print_shares(reports)
    _print_changes(*reports.values())


class Training:
    """What the last training of an elder made. `rest`: what is read beside an adapter."""

    def __init__(self, artifacts: Path, elder: str) -> None:
        last = max(
            artifacts.glob(f"*/{elder}/train_dpo/[!.]*"), key=lambda folder: folder.stat().st_mtime, default=None
        )
        if last is None:
            raise SystemExit(f"No training of {elder} in {artifacts}.")
        self._store = ArtifactStore(artifacts)
        self._tenant, self._elder, self._folder = TenantId(last.parents[2].name), ElderId(elder), last.parents[1]
        self.dpo = self._look("train_dpo", last.name, Adapter)
        self.sft = self._read("train_sft", Adapter, self.dpo)
        pairs = self._read("make_pairs", Pairs, self.dpo)
        self.pairs: Pairs = pairs.value
        self.rest = {
            "make_samples": self._read("make_samples", Samples, pairs),
            "collect_memories": self._read("collect_memories", Memories, pairs),
        }

    def _read(self, stage: str, kind: type, reader: Made) -> Made:
        """What the reader was made from."""
        found = [self._look(stage, folder.name, kind) for folder in (self._folder / stage).glob("[!.]*")]
        wanted = reader.manifest.inputs[stage]
        return next(made for made in found if made.manifest.digest == wanted)

    def _look(self, stage: str, key: str, kind: type) -> Made:
        stored = self._store.look(Place(tenant=self._tenant, elder=self._elder, stage=stage), key)
        if stored is None:
            raise SystemExit(f"What {stage} made is not whole.")
        return Made(value=self._store.load(stored, kind), manifest=stored.manifest)


def _print_pairs(pairs: Pairs) -> None:
    counts = Counter((pair.source, pair.verdict.reason) for pair in pairs.items)
    print(f"\n{len(pairs.items)} pairs, {pairs.ties_dropped} ties dropped. Whose answer was rejected, and why:\n")
    print("| source | reason | pairs |\n| --- | --- | --- |")
    for (source, reason), count in counts.most_common():
        print(f"| {source} | {reason} | {count} |")


def _print_shares(reports: dict[str, Report]) -> None:
    first = next(iter(reports.values()))
    print(f"\n{first.answerable} held-out questions, {first.unanswerable} that no memory answers.\n")
    print(f"| | | {' | '.join(_MEASURES)} |\n|{' --- |' * (len(_MEASURES) + 2)}")
    for name, report in reports.items():
        for score in report.arms:
            if score.arm in ARMS[2:]:
                shares = (getattr(score, measure) for measure in _MEASURES)
                told = ("" if share is None else f"{share:.3f}" for share in shares)
                print(f"| {name} | {score.arm} | {' | '.join(told)} |")


def _print_changes(sft: Report, both: Report) -> None:
    """How many answers DPO changed at all, and to the better or the worse."""
    for arm in ARMS[2:]:
        changed = [(one.is_right, two.is_right) for one, two in _answers(sft, both, arm) if one.answer != two.answer]
        better, worse = changed.count((False, True)), changed.count((True, False))
        print(f"\n{arm}: {len(changed)} answers changed, {better} from wrong to right, {worse} from right to wrong.")


def _answers(sft: Report, both: Report, arm: str) -> Iterator[tuple[ProbeResult, ProbeResult]]:
    return (pair for pair in zip(sft.results, both.results, strict=True) if pair[0].arm == arm)


if __name__ == "__main__":
    main()
