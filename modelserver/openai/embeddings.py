"""Embeddings: multilingual-e5-small, as the memories are searched with."""

import struct
from base64 import b64encode

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response

from kernel.errors import BadInput, NoSuchModel, TooLarge, Unsupported
from kernel.upload import has_surrogate
from modelserver.auth import Family, Provided
from modelserver.openai.problem import CLIENT_GONE
from modelserver.openai.schemas import EmbeddingObject, Embeddings, EmbeddingUsage, NewEmbeddings

router = APIRouter(prefix="/v1/embeddings", tags=["openai"])

MODEL = "multilingual-e5-small"
DIMENSIONS = 384
BATCH = 32  #: texts; between two it is seen whether anybody still waits
MOST_CHARACTERS = 400_000  #: of one request


@router.post("", response_model=Embeddings)
async def create_embeddings(
    request: Request, wanted: NewEmbeddings, services: Provided, tenant: Family
) -> Embeddings | Response:
    """Unit vectors of 384 floats; a text is read up to 512 tokens. `input_type` says whether it is a `query` or a
    `passage`, which this model embeds differently."""
    texts, is_query = _texts(wanted), wanted.input_type == "query"
    vectors: list[list[float]] = []
    async with services.turnstile.passed(tenant):
        for start in range(0, len(texts), BATCH):
            if await request.is_disconnected():
                return Response(status_code=CLIENT_GONE)
            batch = texts[start : start + BATCH]
            vectors += await run_in_threadpool(services.embedder.embed, batch, is_query=is_query)
        count = await run_in_threadpool(services.embedder.count, texts, is_query=is_query)
    form = _base64 if wanted.encoding_format == "base64" else list
    return Embeddings(
        data=[EmbeddingObject(index=place, embedding=form(vector)) for place, vector in enumerate(vectors)],
        model=MODEL,
        usage=EmbeddingUsage(prompt_tokens=count, total_tokens=count),
    )


def _texts(wanted: NewEmbeddings) -> list[str]:
    if wanted.model != MODEL:
        raise NoSuchModel(model=wanted.model)
    if wanted.dimensions not in (None, DIMENSIONS):
        raise Unsupported(param="dimensions")
    texts = [wanted.input] if isinstance(wanted.input, str) else wanted.input
    if not texts or not all(isinstance(text, str) and text for text in texts):
        reason = "Send a text, or a list of texts: none empty, and none as numbers of another model's tokens."
        raise BadInput(reason=reason, param="input")
    if any(map(has_surrogate, texts)):
        raise BadInput(reason="The text holds half a character: save the file as UTF-8.", param="input")
    if sum(map(len, texts)) > MOST_CHARACTERS:
        raise TooLarge(what="The list of texts", limit=f"{MOST_CHARACTERS} characters", param="input")
    return texts


def _base64(vector: list[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
