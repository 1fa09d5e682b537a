"""The training programs for real, on a tiny model: they learn, they resume, they propose."""

from pathlib import Path

import pytest
import torch

from kernel.errors import Cancelled
from kernel.memory_need import STEP_TOKENS
from kernel.pair import Ask, Pairs, PreferencePair, Verdict
from kernel.recipe import Recipe
from kernel.sample import Message, Sample, Samples
from tests.tiny_model import make_tiny_base
from tests.tiny_recipe import tiny_recipe
from workers.programs.checkpoint import MARKER, last_whole
from workers.programs.sft import cut_to_opening, pieces
from workers.trainer import SubprocessTrainer

TRAINER = SubprocessTrainer(llama_cpp_dir=Path("unused"))


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    folder = tmp_path_factory.mktemp("base") / "tiny"
    make_tiny_base(folder)
    return tiny_recipe(folder)


def test_an_adapter_is_trained_then_preferred_and_says_how_far_it_is(recipe: Recipe, tmp_path: Path) -> None:
    told: list[dict[str, float | int | str]] = []
    adapter = TRAINER.train_sft(
        samples(10),
        recipe=recipe,
        folder=tmp_path / "sft",
        scratch=tmp_path / "scratch",
        report=lambda fraction, **facts: told.append(facts),
    )
    steps = [facts for facts in told if "step" in facts]
    assert adapter.steps == 10
    assert {"epoch", "epochs", "step", "steps", "loss", "tokens_per_second", "eta_seconds"} <= set(steps[-1])
    assert steps[-1]["steps"] == 10
    assert (adapter.folder / "adapter_model.safetensors").exists()

    asks = [
        Ask(sample=number, source="base" if number % 4 == 0 else "sft", prompt=question(number)) for number in range(10)
    ]
    found = TRAINER.propose(adapter, asks, recipe=recipe, scratch=tmp_path / "pairs", report=quiet)
    assert [(one.sample, one.source) for one in found] == [(ask.sample, ask.source) for ask in asks]

    preferred = TRAINER.train_dpo(
        adapter, pairs(4), recipe=recipe, folder=tmp_path / "dpo", scratch=tmp_path / "d", report=quiet
    )
    assert preferred.method == "dpo"
    assert preferred.steps == 2
    sft_bytes = (adapter.folder / "adapter_model.safetensors").read_bytes()
    assert (preferred.folder / "adapter_model.safetensors").read_bytes() != sft_bytes


@pytest.mark.parametrize(("is_opening", "tokens", "kept"), [(True, 2, 5), (True, 9, 8), (False, 2, 8)])
def test_of_an_opening_only_the_first_tokens_are_learnt(is_opening: bool, tokens: int, kept: int) -> None:
    row = {"input_ids": list(range(8)), "labels": [-100, -100, -100, 3, 4, 5, 6, 7], "is_opening": is_opening}
    cut = cut_to_opening(row, tokens)
    assert cut == {"input_ids": row["input_ids"][:kept], "labels": row["labels"][:kept]}


def test_a_wide_batch_is_computed_in_pieces_that_hold_all_its_rows() -> None:
    rows = torch.arange(5 * STEP_TOKENS // 2).reshape(5, -1)
    cut = pieces({"input_ids": rows, "labels": rows})
    assert [len(piece["labels"]) for piece in cut] == [2, 2, 1]
    assert torch.equal(torch.cat([piece["input_ids"] for piece in cut]), rows)


def test_a_stopped_training_goes_on_from_its_last_whole_checkpoint(recipe: Recipe, tmp_path: Path) -> None:
    def stop_after_six(fraction: float, **facts: float | int | str) -> None:
        if int(facts.get("step", 0)) >= 6:
            raise Cancelled

    train = {"recipe": recipe, "folder": tmp_path / "sft", "scratch": tmp_path / "scratch"}
    with pytest.raises(Cancelled):
        TRAINER.train_sft(samples(10), report=stop_after_six, **train)  # type: ignore[arg-type]
    half_written = tmp_path / "scratch" / "checkpoints" / "checkpoint-9"
    half_written.mkdir()
    steps: list[int] = []
    adapter = TRAINER.train_sft(
        samples(10),
        report=lambda fraction, **facts: steps.append(int(facts["step"])) if "step" in facts else None,
        **train,  # type: ignore[arg-type]
    )
    assert adapter.steps == 10
    assert min(steps) > 4
    assert not half_written.exists()


def test_no_pairs_leave_the_adapter_as_it_was(recipe: Recipe, tmp_path: Path) -> None:
    adapter = TRAINER.train_sft(
        samples(2), recipe=recipe, folder=tmp_path / "sft", scratch=tmp_path / "s", report=quiet
    )
    kept = TRAINER.train_dpo(
        adapter, pairs(0), recipe=recipe, folder=tmp_path / "dpo", scratch=tmp_path / "d", report=quiet
    )
    assert kept.steps == 0
    assert (kept.folder / "adapter_model.safetensors").read_bytes() == (
        adapter.folder / "adapter_model.safetensors"
    ).read_bytes()


def test_only_a_marked_checkpoint_counts(tmp_path: Path) -> None:
    for step in (2, 10, 12):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for step in (2, 10):
        (tmp_path / f"checkpoint-{step}" / MARKER).touch()
    assert last_whole(tmp_path) == tmp_path / "checkpoint-10"
    assert not (tmp_path / "checkpoint-12").exists()


def samples(count: int) -> Samples:
    return Samples(
        items=tuple(
            Sample(
                kind="memory_qa" if number % 3 else "negative",
                prompt=question(number),
                completion=f"I was born in house number {number}.",
                memory_ids=(),
            )
            for number in range(count)
        )
    )


def pairs(count: int) -> Pairs:
    return Pairs(
        items=tuple(
            PreferencePair(
                prompt=question(number),
                chosen=f"I was born in house number {number}.",
                rejected="No idea.",
                source="rule",
                verdict=Verdict(chosen_score=1.0, rejected_score=0.0, reason="facts"),
                memory_ids=(),
            )
            for number in range(count)
        ),
        ties_dropped=0,
    )


def question(number: int) -> tuple[Message, ...]:
    return (
        Message(role="system", content="You are Rose."),
        Message(role="user", content=f"In which house were you born, number {number}?"),
    )


def quiet(fraction: float, **facts: float | int | str) -> None:
    assert 0 <= fraction <= 1
