"""Buckets: every batch of about one length, every sample once, the same order for the same seed and epoch."""

from workers.programs.buckets import BucketSampler

LENGTHS = [30, 31, 90, 95, 28, 91, 250, 29, 92, 240, 27]


def _order(epoch: int, seed: int = 7) -> list[int]:
    sampler = BucketSampler(LENGTHS, batch_size=2, width=32, seed=seed)
    sampler.set_epoch(epoch)
    return list(sampler)


def test_every_sample_comes_once_an_epoch() -> None:
    assert sorted(_order(0)) == list(range(len(LENGTHS)))


def test_whole_batches_hold_one_bucket() -> None:
    order = _order(0)
    batches = [order[at : at + 2] for at in range(0, len(order), 2)]
    mixed = [batch for batch in batches if len({-(-LENGTHS[one] // 32) for one in batch}) > 1]
    assert len(mixed) <= 1, "only what is left over of the buckets may be mixed"


def test_the_order_depends_on_seed_and_epoch_alone() -> None:
    assert _order(1) == _order(1)
    assert _order(0) != _order(1) and _order(0) != _order(0, seed=8)
