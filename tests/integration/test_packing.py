"""Packing: one row with a shared trunk gives the loss and the gradient of the padded batch."""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, Gemma3ForCausalLM, Gemma3TextConfig

from tests.tiny_model import make_tiny_base
from workers.programs.packing import Rows, pack


@pytest.fixture(scope="module", params=["llama", "gemma3"])
def model(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> torch.nn.Module:
    if request.param == "gemma3":
        return _tiny_gemma()
    folder: Path = tmp_path_factory.mktemp("base")
    make_tiny_base(folder)
    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")


def _tiny_gemma() -> torch.nn.Module:
    """One layer of either kind of attention; what is packed is far narrower than the window."""
    torch.manual_seed(1)
    config = Gemma3TextConfig(
        vocab_size=1000,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        sliding_window=64,
        layer_types=["sliding_attention", "full_attention"],
        attn_implementation="eager",
        initializer_range=0.2,
    )
    return Gemma3ForCausalLM(config).eval()


def _batch(shared: int, lengths: list[int], answer: int = 3) -> dict[str, torch.Tensor]:
    """Samples that begin with the same tokens; the last `answer` of each are learnt."""
    generator = torch.Generator().manual_seed(shared)
    widest = max(lengths)
    trunk = torch.randint(10, 400, (shared,), generator=generator)
    ids, labels = torch.zeros(len(lengths), widest, dtype=torch.long), torch.full((len(lengths), widest), -100)
    for row, length in enumerate(lengths):
        own = torch.randint(10, 400, (length - shared,), generator=generator)
        own[0] = 500 + row
        ids[row, :length] = torch.cat([trunk, own])
        labels[row, length - answer : length] = ids[row, length - answer : length]
    seen = (torch.arange(widest) < torch.tensor(lengths)[:, None]).long()
    return {"input_ids": ids, "attention_mask": seen, "labels": labels}


def _loss_and_gradient(model: torch.nn.Module, rows: Rows) -> tuple[float, torch.Tensor]:
    model.zero_grad()
    hidden = model.model(**rows.inputs, use_cache=False).last_hidden_state
    logits = model.lm_head(hidden).flatten(0, 1)
    loss = torch.nn.functional.cross_entropy(logits, rows.wanted, ignore_index=-100, reduction="sum")
    loss.backward()
    return float(loss.detach()), model.model.layers[0].mlp.down_proj.weight.grad.clone()


def _padded(batch: dict[str, torch.Tensor]) -> Rows:
    wanted = torch.nn.functional.pad(batch["labels"], (0, 1), value=-100)[:, 1:].flatten()
    return Rows(inputs={name: batch[name] for name in ("input_ids", "attention_mask")}, wanted=wanted)


@pytest.mark.parametrize(("shared", "lengths"), [(12, [20, 27, 18]), (9, [13, 13]), (20, [24])])
def test_a_shared_beginning_is_computed_once_and_teaches_the_same(
    model: torch.nn.Module, shared: int, lengths: list[int]
) -> None:
    batch = _batch(shared, lengths)
    packed = pack(batch, width=8, dtype=torch.float32, window=64)
    wanted_loss, wanted_gradient = _loss_and_gradient(model, _padded(batch))
    loss, gradient = _loss_and_gradient(model, packed)
    assert loss == pytest.approx(wanted_loss, rel=1e-5)
    assert torch.allclose(gradient, wanted_gradient, atol=1e-4 * float(wanted_gradient.abs().max()))
    if len(lengths) > 1:
        tokens = shared + sum(length - shared for length in lengths)
        assert packed.inputs["input_ids"].shape == (1, -(-tokens // 8) * 8)


def test_what_hardly_shares_anything_stays_a_padded_batch() -> None:
    batch = _batch(4, [30, 25])
    assert pack(batch, width=8, dtype=torch.float32, window=None).inputs["input_ids"].shape == (2, 30)


def test_what_is_wider_than_the_models_window_stays_a_padded_batch() -> None:
    batch = _batch(20, [30, 25])
    assert pack(batch, width=8, dtype=torch.float32, window=29).inputs["input_ids"].shape == (2, 30)
    assert pack(batch, width=8, dtype=torch.float32, window=30).inputs["input_ids"].shape == (1, 40)


def test_the_trunk_ends_before_the_first_token_that_is_learnt() -> None:
    """Two samples of the same question and answer: what is learnt is learnt of both."""
    batch = {name: rows[[0, 0]] for name, rows in _batch(6, [12, 10]).items()}
    packed = pack(batch, width=4, dtype=torch.float32, window=None)
    assert int((packed.wanted != -100).sum()) == 6
