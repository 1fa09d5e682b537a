"""ChromaDB: the vectors of each elder's memories, in a server of its own that API and workers share.

A cache: one collection an elder, named by a digest of tenant and elder, holding the digest of what it was made
from. Whoever finds it missing or at another digest makes it anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from kernel.errors import EngineUnavailable
from kernel.ids import ElderId, TenantId, digest

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

    from kernel.ports import Embedder

BATCH = 500  #: vectors a request


class ChromaIndex:
    """Implements kernel.ports.VectorIndex. Connects at the first call, not before."""

    def __init__(self, host: str, port: int, embedder: Embedder) -> None:
        self._host, self._port, self._embedder = host, port, embedder

    def check(self) -> None:
        """Raises EngineUnavailable when the server does not answer."""
        with _translated():
            self._client.heartbeat()

    def sync(self, tenant: TenantId, elder: ElderId, *, digest: str, texts: dict[str, str]) -> None:
        """The digest is written last: a half-filled collection is not taken for a whole one."""
        with _translated():
            collection = self._collection(tenant, elder)
            if (collection.metadata or {}).get("digest") == digest:
                return
            held = set(collection.get(include=[])["ids"])
            if gone := sorted(held - texts.keys()):
                collection.delete(ids=gone)
            new = sorted(texts.keys() - held)
            for start in range(0, len(new), BATCH):
                ids = new[start : start + BATCH]
                vectors = self._embedder.embed([texts[one] for one in ids], is_query=False)
                collection.upsert(ids=ids, embeddings=vectors)  # type: ignore[arg-type]
            collection.modify(metadata={"digest": digest})

    def nearest(self, tenant: TenantId, elder: ElderId, question: str, *, limit: int) -> list[tuple[str, float]]:
        [asked] = self._embedder.embed([question], is_query=True)
        with _translated():
            found = self._collection(tenant, elder).query(
                query_embeddings=[asked],  # type: ignore[arg-type]
                n_results=limit,
                include=["distances"],
            )
        distances = found["distances"] or [[]]
        return [(one, 1.0 - far) for one, far in zip(found["ids"][0], distances[0], strict=True)]

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        from chromadb.errors import NotFoundError

        with _translated():
            try:
                self._client.delete_collection(_name(tenant, elder))
            except NotFoundError:
                return

    def _collection(self, tenant: TenantId, elder: ElderId) -> Collection:
        return self._client.get_or_create_collection(
            _name(tenant, elder), embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    @cached_property
    def _client(self) -> ClientAPI:
        import chromadb

        settings = chromadb.Settings(anonymized_telemetry=False)
        return chromadb.HttpClient(host=self._host, port=self._port, settings=settings)


def _name(tenant: TenantId, elder: ElderId) -> str:
    return "memories_" + digest(tenant, elder)[:32]


@contextmanager
def _translated() -> Iterator[None]:
    """Chroma raises its own errors, httpx's, and ValueError when it cannot connect."""
    import httpx
    from chromadb.errors import ChromaError

    try:
        yield
    except (ChromaError, httpx.HTTPError, ValueError, OSError) as error:
        raise EngineUnavailable(engine="chroma", reason=type(error).__name__) from error
