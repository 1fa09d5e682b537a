"""ChromaDB: the vectors of each elder's memories, in a server of its own that API and workers share.

A cache: one collection an elder, named by a digest of tenant and elder. A vector's id is the digest of its text, so
what is there is right, and what is missing is embedded. A process reads an elder's vectors once and compares a question
with all of them: exact, and without a request.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from kernel.errors import EngineUnavailable
from kernel.ids import ElderId, TenantId, digest

if TYPE_CHECKING:
    from chromadb import Collection
    from chromadb.api import ClientAPI

    from kernel.ports import Embedder

BATCH = 500  #: vectors a request
HELD_BYTES = 256 << 20  #: of vectors in the process; 5,000 memories are 23 MB


class ChromaIndex:
    """Implements kernel.ports.VectorIndex. Connects at the first call, not before; safe in threads."""

    def __init__(self, host: str, port: int, embedder: Embedder, *, held_bytes: int = HELD_BYTES) -> None:
        self._host, self._port, self._embedder, self._held_bytes = host, port, embedder, held_bytes
        self._held: OrderedDict[str, _Held] = OrderedDict()  # by collection, the longest unasked first
        self._lock = Lock()

    def check(self) -> None:
        """Raises EngineUnavailable when the server does not answer."""
        with _translated():
            self._client.heartbeat()

    def similarities(
        self, tenant: TenantId, elder: ElderId, question: str, *, digest: str, texts: Sequence[str]
    ) -> NDArray[np.float32]:
        """The elder waits under a lock of their own while the vectors are made or read: no other does."""
        [asked] = self._embedder.embed([question], is_query=True)
        name = _name(tenant, elder)
        with self._lock:
            held = self._held.setdefault(name, _Held())
            self._held.move_to_end(name)
        with held.lock:
            if held.digest != digest:
                held.ids, held.vectors = self._read(name, texts, held)
                held.digest = digest
            vectors = held.vectors
        self._make_room()
        # In this thread alone: BLAS shares it among cores that others use (15,000 vectors: 4 ms against 10).
        return np.einsum("ij,j->i", vectors, np.array(asked, dtype=np.float32))

    def hold(self, tenant: TenantId, elder: ElderId, texts: Sequence[str], *, most: int) -> bool:
        """Nothing of it stays in this process."""
        wanted = {_id(text): text for text in texts}
        with _translated():
            collection = self._collection(_name(tenant, elder))
            missing = sorted(wanted.keys() - _stored(collection, wanted))
            chosen = random.sample(missing, min(most, len(missing)))  # two workers at once make different ones
            for ids in _batches(chosen):
                made = self._embedder.embed([wanted[one] for one in ids], is_query=False)
                collection.upsert(ids=ids, embeddings=np.array(made, dtype=np.float32))
        return len(missing) <= most

    def delete(self, tenant: TenantId, elder: ElderId) -> None:
        from chromadb.errors import NotFoundError

        name = _name(tenant, elder)
        with self._lock:
            self._held.pop(name, None)
        with _translated():
            try:
                self._client.delete_collection(name)
            except NotFoundError:
                return

    def _read(self, name: str, texts: Sequence[str], held: _Held) -> tuple[list[str], NDArray[np.float32]]:
        """A row a text. The collection holds exactly these afterwards."""
        rows = [_id(text) for text in texts]
        wanted = dict(zip(rows, texts, strict=True))
        vectors = dict(zip(held.ids, held.vectors, strict=True))
        with _translated():
            collection = self._collection(name)
            stored = _stored(collection, wanted)
            for ids in _batches(sorted(stored - vectors.keys())):
                found = collection.get(ids=ids, include=["embeddings"])
                vectors |= zip(found["ids"], np.array(found["embeddings"], dtype=np.float32), strict=True)
            for ids in _batches(sorted(wanted.keys() - (stored & vectors.keys()))):
                new = [one for one in ids if one not in vectors]
                made = self._embedder.embed([wanted[one] for one in new], is_query=False)
                vectors |= zip(new, np.array(made, dtype=np.float32), strict=True)
                collection.upsert(ids=ids, embeddings=[vectors[one] for one in ids])
        return rows, np.stack([vectors[one] for one in rows])

    def _collection(self, name: str) -> Collection:
        """This very one from here on: what is deleted takes no more vectors, though another gets its name."""
        return self._client.get_or_create_collection(
            name, embedding_function=None, configuration={"hnsw": {"space": "cosine"}}
        )

    def _make_room(self) -> None:
        """The elder that was asked last stays, however many memories they have."""
        with self._lock:
            while len(self._held) > 1 and sum(held.vectors.nbytes for held in self._held.values()) > self._held_bytes:
                self._held.popitem(last=False)

    @cached_property
    def _client(self) -> ClientAPI:
        import chromadb

        settings = chromadb.Settings(anonymized_telemetry=False)
        return chromadb.HttpClient(host=self._host, port=self._port, settings=settings)


@dataclass
class _Held:
    """One elder's vectors as this process holds them, a row a text of those at `digest`."""

    lock: Lock = field(default_factory=Lock)
    digest: str = ""
    ids: list[str] = field(default_factory=list)
    vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), dtype=np.float32))


def _name(tenant: TenantId, elder: ElderId) -> str:
    return "memories_" + digest(tenant, elder)[:32]


def _id(text: str) -> str:
    return digest(text)[:32]


def _stored(collection: Collection, wanted: Mapping[str, str]) -> set[str]:
    """Which of the wanted ids are there; no others are afterwards."""
    stored = set(collection.get(include=[])["ids"])
    for gone in _batches(sorted(stored - wanted.keys())):
        collection.delete(ids=gone)
    return stored & wanted.keys()


def _batches(ids: list[str]) -> Iterator[list[str]]:
    return (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))


@contextmanager
def _translated() -> Iterator[None]:
    """Chroma raises its own errors, httpx's, and ValueError when it cannot connect."""
    import httpx
    from chromadb.errors import ChromaError

    try:
        yield
    except (ChromaError, httpx.HTTPError, ValueError, OSError) as error:
        raise EngineUnavailable(engine="chroma", reason=type(error).__name__) from error
