"""Negative sampling: questions that no memory answers, whose right answer admits not remembering."""

from __future__ import annotations

from itertools import cycle, islice
from typing import TYPE_CHECKING, ClassVar

from kernel.generators.draft import Draft

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from kernel.held_out import HeldOut
    from kernel.phrasing import Phrasing
    from kernel.recipe import SampleCounts


class NegativeSampling:
    """With memories in the prompt and without; with them, those near one first."""

    kinds: ClassVar = ("negative",)

    def __init__(
        self,
        phrasing: Phrasing,
        near: Sequence[str],
        counts: SampleCounts,
        others: Sequence[Draft],
        *,
        held_out: HeldOut,
    ) -> None:
        """`near`: questions near what a memory tells of. `others`: what the shares are of."""
        self._phrasing, self._near, self._counts, self._others = phrasing, near, counts, others
        self._held_out = held_out

    def generate(self, rng: random.Random) -> Iterator[Draft]:
        generic = [one for one in self._phrasing.unanswerable(rng) if not self._held_out.holds(one)]
        shown = sum(draft.is_shown for draft in self._others)
        bare = int((len(self._others) - shown) * self._counts.refusal_share)
        cut = bare % len(generic)
        for question in islice(cycle(generic), bare):
            yield Draft(kind="negative", question=question)
        hard = cycle([*self._near, *generic[cut:], *generic[:cut]])
        for question in islice(hard, int(shown * self._counts.grounded_refusal_share)):
            yield Draft(kind="negative", question=question, is_shown=True)
