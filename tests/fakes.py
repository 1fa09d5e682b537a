"""Fakes: in-memory doubles of the ports. Each passes the same contract tests as the real one."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kernel.graph import EntityType
from kernel.ids import ElderId, TenantId
from kernel.ids import digest as digest_of
from kernel.ports import Embedder, Mention


class Letters:
    """Texts as counts of their characters: no model to load."""

    def embed(self, texts: Sequence[str], *, is_query: bool) -> list[list[float]]:
        return [[float(sum(ord(one) % 64 == slot for one in text)) for slot in range(64)] for text in texts]

    def count(self, texts: Sequence[str], *, is_query: bool) -> int:
        return sum(map(len, texts))


class MemoryIndex:
    """A VectorIndex in a dict, by the texts' digests; `embeds` counts the texts that it had embedded."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._held: dict[tuple[TenantId, ElderId], dict[str, list[float]]] = {}
        self.embeds = 0

    def similarities(
        self, tenant: TenantId, elder: ElderId, question: str, *, digest: str, texts: Sequence[str]
    ) -> NDArray[np.float32]:
        held = self._held.setdefault((tenant, elder), {})
        ids = [digest_of(text) for text in texts]
        new = sorted({text for text, id in zip(texts, ids, strict=True) if id not in held})
        self.embeds += len(new)
        known = held | dict(zip(map(digest_of, new), self._embedder.embed(new, is_query=False), strict=True))
        _replace(held, {id: known[id] for id in ids})
        [asked] = self._embedder.embed([question], is_query=True)
        return np.array([known[id] for id in ids], dtype=np.float32) @ np.array(asked, dtype=np.float32)

    def hold(self, tenant: TenantId, elder: ElderId, texts: Sequence[str], *, most: int) -> bool:
        held = self._held.setdefault((tenant, elder), {})
        wanted = {digest_of(text): text for text in texts}
        missing = sorted(wanted.keys() - held)
        made = self._embedder.embed([wanted[id] for id in missing[:most]], is_query=False)
        self.embeds += len(made)
        known = held | dict(zip(missing, made, strict=False))
        _replace(held, {id: known[id] for id in wanted if id in known})
        return len(missing) <= most

    def holds(self, tenant: TenantId, elder: ElderId) -> set[str]:
        """Digests of the texts whose vectors are there."""
        return set(self._held.get((tenant, elder), {}))

    def has(self, tenant: TenantId, elder: ElderId) -> bool:
        return (tenant, elder) in self._held

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        self._held.pop((tenant, elder), None)


def _replace(held: dict[str, list[float]], vectors: dict[str, list[float]]) -> None:
    """In place: what was deleted meanwhile is nobody's any more."""
    held.clear()
    held.update(vectors)


class Reads:
    """A Reranker that finds a question this much likelier, in nats, after a text that holds the word."""

    def __init__(self, **nats: float) -> None:
        self._nats = nats
        self.texts = 0

    def likelihoods(self, question: str, texts: Sequence[str], *, language: str) -> list[float]:
        self.texts += len(texts)
        if not self._nats:
            return []
        return [sum(nats for word, nats in self._nats.items() if word in text) for text in texts]

    def model(self, language: str) -> str:
        return "reads"


class Names:
    """An EntityFinder to which every capitalised word inside a sentence is a place, and so is what 《》 hold."""

    def find(self, text: str, language: str) -> list[Mention]:
        found = re.finditer(r"(?<=[a-z,] )[A-Z][a-z]+|(?<=《)[^》]+", text)
        return [Mention(title=one.group(), type=EntityType.PLACE, start=one.start()) for one in found]
