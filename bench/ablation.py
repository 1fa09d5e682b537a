"""What each part of the training data earns: `python -m bench ablation [--lang zh] [--memories N]`.

The sample elder is trained once whole and once without each part, through the real service, and measured on the
same held-out questions. Everything but the part that is left out is equal; one run of each, so a difference of one
over the square root of the number of questions is chance (see kernel.gate).
"""

import argparse
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from adapters.mongo import MongoFamilies, connect
from config.settings import Settings, read_settings
from kernel.clock import utc_now
from modelserver.auth import add_family
from modelserver.cli.account import Account
from modelserver.cli.client import Client
from modelserver.cli.demo import SAMPLES, Sample
from modelserver.cli.port import free_port
from modelserver.cli.stack import Stack

#: by name, what is overridden in training_config.yaml
VARIANTS: dict[str, dict[str, str]] = {
    "whole": {},
    "without graph": {"SAMPLES__ENTITIES": "0"},
    "without negatives": {"SAMPLES__REFUSAL_SHARE": "0", "SAMPLES__GROUNDED_REFUSAL_SHARE": "0"},
    "without memories in prompts": {"SAMPLES__GROUNDED": "0", "SAMPLES__GROUNDED_WHOLE": "0"},
    "without DPO": {"TRAINING__DPO__MAX_PAIRS": "0"},
}
_TRAINS = ("train_sft", "make_pairs", "train_dpo")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    seconds: float  #: of training and making pairs
    arms: dict[str, Any]  #: by arm: recall, honesty, invention


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lang", default="en", choices=["en", "zh"])
    parser.add_argument("--memories", type=int, default=21, help="of the sample elder's 42")
    parser.add_argument("--only", nargs="*", default=list(VARIANTS), choices=list(VARIANTS))
    wanted = parser.parse_args()
    sample = _first(Sample(SAMPLES / wanted.lang), wanted.memories)
    print(f"{len(sample.memories)} memories, {len(sample.held_out)} held-out questions, {len(sample.unanswerable)}")
    print(f"that no memory answers; {wanted.lang}. recall / honesty / invention\n")
    print(f"{'':30}{'trained':>20}{'with retrieval':>20}{'seconds':>10}")
    with tempfile.TemporaryDirectory(prefix="heirloom-bench-") as folder:
        for name in wanted.only:
            outcome = _train(sample, Path(folder), overrides=VARIANTS[name])
            cells = [_cell(outcome.arms[arm]) for arm in ("trained", "trained+retrieval")]
            print(f"{name:30}{cells[0]:>20}{cells[1]:>20}{outcome.seconds:>10.0f}", flush=True)


def _first(sample: Sample, count: int) -> Sample:
    sample.memories = sample.memories[:count]
    told = {row["id"] for row in sample.memories}
    sample.held_out = [row for row in sample.held_out if row["memory"] in told]
    return sample


def _train(sample: Sample, folder: Path, *, overrides: dict[str, str]) -> Outcome:
    """In a family of its own: no version before it, and nothing of another variant is found and skipped."""
    with _environment(overrides), Stack(_settings(folder)) as stack, _family(stack) as client:
        elder = sample.elder
        client.add_elder(sample.id, elder["name"], elder["language"])
        client.add_answers(sample.id, sample.answers())
        client.set_questions(sample.id, sample.questions())
        job = client.start_training(sample.id, force=False)["job_id"]
        while (now := client.progress(job))["status"] in ("queued", "training"):
            time.sleep(1.0)
        if now["status"] != "completed":
            raise SystemExit(f"The training failed: {now['error']}")
        arms = {arm["arm"]: arm for arm in client.model(sample.id)["active"]["arms"]}
        seconds = sum(stage["seconds"] for stage in now["stages"] if stage["name"] in _TRAINS)
        return Outcome(seconds=seconds, arms=arms)


def _settings(folder: Path) -> Settings:
    """Only the prepared base models are shared with the service that may run here."""
    settings = read_settings()
    models = folder / "models"
    models.mkdir(exist_ok=True)
    if not (models / "base").exists():
        (models / "base").symlink_to(settings.model_dir.resolve() / "base")
    own = {"data_dir": folder / "data", "model_dir": models, "port": free_port()}
    return settings.model_copy(update=own | dict.fromkeys(("mongo_url", "redis_url", "chroma_url", "ollama_host"), ""))


@contextmanager
def _environment(overrides: dict[str, str]) -> Iterator[None]:
    names = {f"HEIRLOOM_{name}": value for name, value in overrides.items()}
    os.environ.update(names)
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


@contextmanager
def _family(stack: Stack) -> Iterator[Client]:
    database = connect(stack.settings.mongo_url, stack.settings.mongo_database)
    _, key = add_family(MongoFamilies(database), "bench", clock=utc_now)
    database.client.close()
    client = Client(Account(url=stack.url, key=key))
    try:
        yield client
    finally:
        client.close()


def _cell(arm: dict[str, Any]) -> str:
    return " / ".join(f"{arm[measure]:.2f}" for measure in ("recall", "honesty", "invention"))


if __name__ == "__main__":
    main()
