from dataclasses import replace
from pathlib import Path

import pytest

from adapters import hardware
from config.config_loader import ConfigLoader
from config.settings import ROOT
from kernel.errors import NotEnoughMemory
from kernel.memory_need import STEP_TOKENS, Shape, training_need, typical_shape
from kernel.recipe import Recipe

SMOLLM2 = Shape(hidden=576, layers=30, intermediate=1536, vocabulary=49_152)
MEASURED = 11_600_000_000  #: peak resident bytes, eager attention, 8 x 512 tokens at once (as of four pairs), rank 32


def test_the_need_is_what_training_really_took_within_a_fifth() -> None:
    recipe = recipe_of("smollm2-135m-instruct", pairs=4, max_seq_length=512)
    assert training_need(recipe.base, recipe, SMOLLM2) == pytest.approx(1.1 * MEASURED, rel=0.2)


def test_the_need_is_never_less_than_was_measured() -> None:
    recipe = recipe_of("smollm2-135m-instruct", pairs=4, max_seq_length=512)
    assert training_need(recipe.base, recipe, SMOLLM2) > MEASURED


def test_a_smaller_batch_needs_less() -> None:
    whole = recipe_of("smollm2-135m-instruct", batch_size=4, max_seq_length=512)
    half = recipe_of("smollm2-135m-instruct", batch_size=2, max_seq_length=512)
    assert training_need(half.base, half) < training_need(whole.base, whole)


def test_a_batch_that_is_computed_in_pieces_needs_no_more_than_a_piece() -> None:
    piece = recipe_of("smollm2-135m-instruct", batch_size=STEP_TOKENS // 512, max_seq_length=512)
    batch = recipe_of("smollm2-135m-instruct", batch_size=16, max_seq_length=512)
    assert training_need(batch.base, batch) == training_need(piece.base, piece)


def test_the_primary_companion_fits_a_gpu_of_48_gigabytes() -> None:
    recipe = recipe_of("qwen2.5-14b-instruct")
    assert 30e9 < training_need(recipe.base, recipe) < 48e9


@pytest.mark.parametrize(
    ("parameters", "width_by_depth"),
    [(135e6, 576 * 30), (494e6, 896 * 24), (1.54e9, 1536 * 28), (7.6e9, 3584 * 28), (14.8e9, 5120 * 48)],
)
def test_a_typical_shape_is_near_the_real_ones(parameters: float, width_by_depth: int) -> None:
    shape = typical_shape(int(parameters))
    assert shape.hidden * shape.layers == pytest.approx(width_by_depth, rel=0.75)


def test_a_machine_without_enough_memory_is_told_so_with_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "free_ram_bytes", lambda: 1_000_000_000)
    monkeypatch.setattr(hardware, "free_vram_bytes", lambda: None)
    with pytest.raises(NotEnoughMemory) as caught:
        hardware.check_memory(recipe_of("smollm2-135m-instruct"))
    assert "GB of RAM and 1.0 GB is free" in str(caught.value)


def test_a_gpu_counts_by_its_own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hardware, "free_ram_bytes", lambda: 1_000_000_000)
    monkeypatch.setattr(hardware, "free_vram_bytes", lambda: 80_000_000_000)
    hardware.check_memory(recipe_of("smollm2-135m-instruct"))


def recipe_of(key: str, *, pairs: int = 1, **sft: int) -> Recipe:
    loader = ConfigLoader(ROOT / "config" / "training_config.yaml", model_dir=Path("/nowhere"), environ={})
    recipe = loader.get_recipe(loader.get_base_model(key), threads=1)
    return replace(recipe, sft=replace(recipe.sft, **sft), dpo=replace(recipe.dpo, batch_size=pairs))
