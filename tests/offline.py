"""The models that come as packages and that tests ask for real: loaded once, and asked once about each text."""

from collections.abc import Sequence

from adapters.embedder import E5Embedder
from adapters.entity_finder import OfflineEntityFinder
from kernel.ports import Embedder, EntityFinder, Mention


class _OnceEmbedder:
    def __init__(self, model: Embedder) -> None:
        self._model = model
        self._known: dict[tuple[str, bool], list[float]] = {}

    def embed(self, texts: Sequence[str], *, is_query: bool) -> list[list[float]]:
        new = [text for text in dict.fromkeys(texts) if (text, is_query) not in self._known]
        vectors = self._model.embed(new, is_query=is_query)
        self._known |= {(text, is_query): vector for text, vector in zip(new, vectors, strict=True)}
        return [list(self._known[text, is_query]) for text in texts]

    def count(self, texts: Sequence[str], *, is_query: bool) -> int:
        return self._model.count(texts, is_query=is_query)


class _OnceFinder:
    def __init__(self, model: EntityFinder) -> None:
        self._model = model
        self._known: dict[tuple[str, str], list[Mention]] = {}

    def find(self, text: str, language: str) -> list[Mention]:
        if (text, language) not in self._known:
            self._known[text, language] = self._model.find(text, language)
        return list(self._known[text, language])


EMBEDDER: Embedder = _OnceEmbedder(E5Embedder())
FINDER: EntityFinder = _OnceFinder(OfflineEntityFinder())
