"""The reranker: small base models read each memory, and say how likely the question is after it.

log P(question | memory) - log P(question), in nats: the query likelihood of Sachan et al. 2022 ("Improving Passage
Retrieval with Zero-Shot Question Generation"), less what is likely whatever was read; so it also says whether
anything fits. Where two models read a language their nats are added: they err in different places. The models are
untrained ones, shared by all families, and embedded, whichever engine chats.
"""

import weakref
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from adapters.local_model import LocalModel
from adapters.seats import Seats
from adapters.turns import Turns

_ROOM = 320  #: tokens of one memory and the question
_QUESTION = 96  #: tokens of a question; what is longer is cut
_SEATS = 48  #: memories kept read: 360 MB of SmolLM2-135M's cache; an elder of so many memories is read once
_FORMS = {
    "en": ("Grandmother tells: {}", "\nThe grandchild asked:", " {}"),
    "zh": ("奶奶说：{}", "\n孙子问：", "{}"),
}
_NOTHING = "..."


class QueryLikelihoodReranker:
    """Implements kernel.ports.Reranker. A model is loaded at its first question, and kept.

    Safe in threads: one memory is read at a time, the questions under way in turn, so that a short one waits for a
    memory of each other and not for all that they have found.
    """

    def __init__(self, ggufs: Mapping[str, Sequence[Path]], *, threads: int) -> None:
        """`ggufs`: by language."""
        self._ggufs = ggufs
        self._threads = threads
        self._readers: dict[tuple[str, Path], _Reader] = {}
        self._turns = Turns()
        self.close = weakref.finalize(self, _unload, self._readers)  #: at the process's end, too

    def model(self, language: str) -> str:
        return "+".join(gguf.name for gguf in self._ggufs.get(language, ()))

    def likelihoods(self, question: str, texts: Sequence[str], *, language: str) -> list[float]:
        ggufs = self._ggufs.get(language, ())
        if not ggufs or not all(gguf.is_file() for gguf in ggufs):
            return []
        read = [self._read(question, texts, gguf=gguf, language=language) for gguf in ggufs]
        return [sum(nats) for nats in zip(*read, strict=True)]

    def _read(self, question: str, texts: Sequence[str], *, gguf: Path, language: str) -> list[float]:
        """Of each text, in nats."""
        found = []
        for text in (_NOTHING, *texts):
            with self._turns:
                found.append(self._reader(gguf, language).log_likelihood(question, text))
        return [one - found[0] for one in found[1:]]

    def _reader(self, gguf: Path, language: str) -> "_Reader":
        if (language, gguf) not in self._readers:
            self._readers[language, gguf] = _Reader(gguf, language=language, threads=self._threads)
        return self._readers[language, gguf]


class _Reader:
    """One model, one memory at a time. What was read stays in its seat until others need it: a question about the
    same memories costs the question's tokens only.
    """

    def __init__(self, gguf: Path, *, language: str, threads: int) -> None:
        """Raises EngineUnavailable."""
        self._tells, self._asks, self._asked = _FORMS.get(language, _FORMS["en"])
        self._held: OrderedDict[str, _Held] = OrderedDict()  # by text, the longest unread first
        self._free = list(range(_SEATS))
        with ExitStack() as kept:
            self._model = kept.enter_context(closing(LocalModel(gguf, chats=False)))
            seats = Seats(self._model, count=_SEATS, room=_ROOM, batch=_ROOM, threads=threads)
            self._seats = kept.enter_context(closing(seats))
            self.close = kept.pop_all().close

    def log_likelihood(self, question: str, text: str) -> float:
        """log P(question | text), in nats; the same whatever was asked or read before."""
        asked = self._tokens(self._asked.format(question))[:_QUESTION]
        held = self._read(text)
        tokens = [held.last, *asked[:-1]]
        rows = [(held.seat, held.length + at, token, True) for at, token in enumerate(tokens)]
        try:
            return sum(map(_log_probability, self._seats.compute(rows), asked))
        finally:
            self._seats.forget(held.seat, held.length)

    def _read(self, text: str) -> "_Held":
        """The text in a seat. It is computed by itself, so that what comes of it never depends on the others."""
        if text not in self._held:
            *read, last = self._before(text)
            if not self._free:
                self._free.append(self._held.popitem(last=False)[1].seat)
            seat = self._free[-1]
            self._seats.forget(seat)
            self._seats.compute([(seat, at, token, False) for at, token in enumerate(read)])
            self._free.pop()  # only now: what could not be computed leaves its seat free
            self._held[text] = _Held(seat=seat, length=len(read), last=last)
        self._held.move_to_end(text)
        return self._held[text]

    def _before(self, text: str) -> list[int]:
        """What is read before the question; a long memory's end is left out."""
        asks = self._tokens(self._asks)
        return self._tokens(self._tells.format(text), begin=True)[: _ROOM - _QUESTION - len(asks)] + asks

    def _tokens(self, text: str, *, begin: bool = False) -> list[int]:
        return self._model.tokens(text, begin=begin, special=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Held:
    """`length` tokens of a text are in the seat; its `last` one is computed again with each question."""

    seat: int
    length: int
    last: int


def _unload(readers: dict[tuple[str, Path], _Reader]) -> None:
    while readers:
        readers.popitem()[1].close()


def _log_probability(logits: NDArray[np.float32], token: int) -> float:
    highest = logits.max()
    return float(logits[token] - highest - np.log(np.exp(logits - highest).sum()))
