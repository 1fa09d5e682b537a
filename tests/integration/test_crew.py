"""The crew: a batch shared among processes gives the gradient of the whole batch."""

import torch
from torch.nn import functional

from workers.programs.crew import Crew


def _gradient_of(weight: torch.nn.Parameter):
    def gradient(batch: dict[str, torch.Tensor], count: int) -> float:
        loss = functional.mse_loss(batch["x"] @ weight, batch["y"], reduction="sum") / count
        loss.backward()
        return float(loss.detach())

    return gradient


def _batch(rows: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(rows)
    return {"x": torch.randn(rows, 3, generator=generator), "y": torch.randn(rows, 2, generator=generator)}


def _whole(weight: torch.Tensor, batch: dict[str, torch.Tensor], count: int) -> tuple[float, torch.Tensor]:
    alone = torch.nn.Parameter(weight.detach().clone())
    return _gradient_of(alone)(batch, count), alone.grad


def test_three_processes_add_up_to_the_whole_batch_whatever_its_size_and_after_each_update():
    weight = torch.nn.Parameter(torch.ones(3, 2))
    gradient = _gradient_of(weight)
    crew = Crew(gradient, [weight], size=3, threads=3)
    for rows in (5, 3, 2, 1):
        batch = _batch(rows)
        loss, wanted = _whole(weight, batch, rows)
        weight.grad = None
        mine = gradient(crew.hand_out(batch, rows), rows)
        assert abs(mine + crew.collect() - loss) < 1e-5
        assert torch.allclose(weight.grad, wanted, atol=1e-5)
        weight.data -= 0.1 * weight.grad  # the members must see it


def test_one_process_is_a_crew_of_its_own():
    weight = torch.nn.Parameter(torch.ones(3, 2))
    crew = Crew(_gradient_of(weight), [weight], size=1, threads=1)
    batch = _batch(4)
    assert crew.hand_out(batch, 4)["x"].shape == (4, 3)
    assert crew.collect() == 0 and crew.peak_memory_bytes() == 0
