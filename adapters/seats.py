"""Seats: one llama.cpp context in which several texts are computed side by side, each with a cache of its own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from adapters.local_model import LocalModel, library, set_adapter
from kernel.errors import EngineUnavailable

Row = tuple[int, int, int, bool]  #: seat, position, token, and whether what comes after it is asked for


class Seats:
    """`count` caches of `room` tokens each; at most `batch` tokens are computed at once."""

    def __init__(
        self, model: LocalModel, *, count: int, room: int, batch: int, threads: int, adapter: Any = None
    ) -> None:
        """Raises EngineUnavailable when memory is short."""
        self._library, self._words = library(), model.words
        self.count, self.room = count, room
        params = self._library.llama_context_default_params()
        params.n_ctx, params.n_seq_max, params.kv_unified = count * room, count, False
        params.n_batch, params.n_threads, params.n_threads_batch = batch, threads, threads
        params.flash_attn_type = self._library.LLAMA_FLASH_ATTN_TYPE_DISABLED  # as in chat: it rounds otherwise
        self._context = self._library.llama_init_from_model(model.weights, params)
        if not self._context:
            raise _cannot("hold the texts: memory is short")
        set_adapter(self._context, adapter)
        self._batch = self._library.llama_batch_init(batch, 0, 1)

    def forget(self, seat: int, start: int = 0) -> None:
        """The seat's tokens from position `start` on."""
        self._library.llama_memory_seq_rm(self._library.llama_get_memory(self._context), seat, start, -1)

    def compute(self, rows: Sequence[Row]) -> list[NDArray[np.float32]]:
        """The logits (vocabulary,) after each row that is asked for. Raises EngineUnavailable."""
        if not rows:
            return []
        batch = self._batch
        batch.n_tokens = len(rows)
        for at, (seat, position, token, is_asked) in enumerate(rows):
            batch.token[at], batch.pos[at], batch.logits[at] = token, position, is_asked
            batch.n_seq_id[at], batch.seq_id[at][0] = 1, seat
        if self._library.llama_decode(self._context, batch) != 0:
            raise _cannot("compute the texts")
        return [self._logits(at) for at, row in enumerate(rows) if row[3]]

    def close(self) -> None:
        self._library.llama_batch_free(self._batch)
        self._library.llama_free(self._context)

    def _logits(self, at: int) -> NDArray[np.float32]:
        """Good until the next `compute`."""
        logits = self._library.llama_get_logits_ith(self._context, at)
        return np.ctypeslib.as_array(logits, shape=(self._words,))


def _cannot(what: str) -> EngineUnavailable:
    return EngineUnavailable(engine="llama_cpp", reason=f"llama.cpp could not {what}")
