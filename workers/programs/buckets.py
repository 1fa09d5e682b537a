"""Buckets: an order of samples in which each batch holds samples of about one length.

Padding is wasted work, and each new shape of a multiplication costs a CPU seconds of preparation: so lengths are
rounded up to few sizes. Unlike transformers' group_by_length the batches come in a mixed order: sorted, the short
refusals make batches of their own at the end, and the model refuses everything (seen: recall 0.10).
"""

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence

from torch.utils.data import Sampler


class BucketSampler(Sampler[int]):
    """Indices such that every `batch_size` of them are of one bucket; another order each epoch, by the seed."""

    def __init__(self, lengths: Sequence[int], *, batch_size: int, width: int, seed: int) -> None:
        self._lengths, self._batch_size, self._width, self._seed = lengths, batch_size, width, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """transformers calls it; a resumed run sees the order that the killed one saw."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._lengths)

    def __iter__(self) -> Iterator[int]:
        rng = random.Random(f"{self._seed}/{self._epoch}")
        buckets: dict[int, list[int]] = defaultdict(list)
        for index, length in enumerate(self._lengths):
            buckets[-(-length // self._width)].append(index)
        batches: list[list[int]] = []
        rest: list[int] = []
        for size in sorted(buckets):
            members = buckets[size]
            rng.shuffle(members)
            whole = len(members) // self._batch_size * self._batch_size
            batches += [members[at : at + self._batch_size] for at in range(0, whole, self._batch_size)]
            rest += members[whole:]
        batches += [rest[at : at + self._batch_size] for at in range(0, len(rest), self._batch_size)]
        last = batches.pop() if batches and len(batches[-1]) < self._batch_size else []
        rng.shuffle(batches)
        yield from (index for batch in [*batches, last] for index in batch)
