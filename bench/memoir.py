"""A memoir in free prose, uploaded, trained and measured: `python -m bench memoir [--lang zh] [--folder PATH]`.

Its 40 questions, and 20 that it does not answer, were written before anything was made of it. What was made is kept in
the folder (3 GB, not in the repository): the same command goes on where it was ended, and makes nothing twice.
"""

import argparse
import tempfile
from pathlib import Path

from adapters.artifacts import ArtifactStore
from adapters.documents import read_upload
from bench.workbench import make, open_desk
from config.settings import ROOT, read_settings
from kernel.evaluation import Report
from kernel.pipeline import PIPELINE
from modelserver.cli.demo import Sample, read_rows

_MEMOIRS = ROOT / "tests" / "memoirs"
_TELLERS = {"en": "Hector Gillanders", "zh": "郝德全"}


class Memoir(Sample):
    """As a sample elder whose answers are the passages."""

    def __init__(self, language: str) -> None:
        folder = _MEMOIRS / language
        told = read_upload("memoir.txt", (folder / "memoir.txt").read_bytes(), sender="", max_answer_bytes=200_000)
        self.elder = {"elder_id": f"memoir-{language}", "name": _TELLERS[language], "language": language}
        self.memories = [{"question": one.question, "answer": one.answer} for one in told]
        self.held_out = list(read_rows(folder / "held_out.jsonl"))
        self.unanswerable = list(read_rows(folder / "unanswerable.jsonl"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench memoir", description=__doc__)
    parser.add_argument("--lang", default="en", choices=sorted(_TELLERS))
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "heirloom-memoir")
    wanted = parser.parse_args()
    memoir = Memoir(wanted.lang)
    made = make(open_desk(memoir, read_settings()), PIPELINE[:-1], ArtifactStore(wanted.folder / wanted.lang))
    report: Report = made["evaluate"].value
    print(f"\n{len(memoir.memories)} passages ({wanted.lang}), {len(made['make_samples'].value.items)} samples,")
    print(f"{report.answerable} questions, {report.unanswerable} that no passage answers.\n")
    print("| | recall | honesty | invention | own words |\n| --- | --- | --- | --- | --- |")
    for arm in report.arms:
        print(f"| {arm.arm} | {arm.recall:.2f} | {arm.honesty:.2f} | {arm.invention:.2f} | {arm.style:.2f} |")


if __name__ == "__main__":
    main()
