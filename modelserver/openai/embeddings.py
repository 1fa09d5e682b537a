"""Embeddings: multilingual-e5-small, as the memories are searched with."""

import struct
from base64 import b64encode

from fastapi import APIRouter
from fastapi.concurrency import run_in_threadpool

from kernel.errors import BadInput, NoSuchModel, TooLarge, Unsupported
from kernel.upload import has_surrogate
from modelserver.auth import Family, Provided
from modelserver.openai.schemas import EmbeddingObject, Embeddings, EmbeddingUsage, NewEmbeddings
from modelserver.services import Services

router = APIRouter(prefix="/v1/embeddings", tags=["openai"])

MODEL = "multilingual-e5-small"
DIMENSIONS = 384
MOST_CHARACTERS = 400_000  #: of one request


@router.post("")
async def create_embeddings(wanted: NewEmbeddings, services: Provided, tenant: Family) -> Embeddings:
    """Unit vectors of 384 floats; a text is read up to 512 tokens. `input_type` says whether it is a `query` or a
    `passage`, which this model embeds differently."""
    texts = _texts(wanted)
    async with services.turnstile.passed(tenant):
        return await run_in_threadpool(_embed, services, texts, wanted)


def _texts(wanted: NewEmbeddings) -> list[str]:
    if wanted.model != MODEL:
        raise NoSuchModel(model=wanted.model)
    if wanted.dimensions not in (None, DIMENSIONS):
        raise Unsupported(param="dimensions")
    texts = [wanted.input] if isinstance(wanted.input, str) else wanted.input
    if not texts or not all(isinstance(text, str) and text for text in texts):
        reason = "Send a text, or a list of texts: none empty, and none as numbers of another model's tokens."
        raise BadInput(reason=reason, param="input")
    found = [text for text in texts if isinstance(text, str)]
    if any(map(has_surrogate, found)):
        raise BadInput(reason="The text holds half a character: save the file as UTF-8.", param="input")
    if sum(map(len, found)) > MOST_CHARACTERS:
        raise TooLarge(what="The list of texts", limit=f"{MOST_CHARACTERS} characters", param="input")
    return found


def _embed(services: Services, texts: list[str], wanted: NewEmbeddings) -> Embeddings:
    is_query = wanted.input_type == "query"
    vectors = services.embedder.embed(texts, is_query=is_query)
    count = services.embedder.count(texts, is_query=is_query)
    form = _base64 if wanted.encoding_format == "base64" else list
    return Embeddings(
        data=[EmbeddingObject(index=place, embedding=form(vector)) for place, vector in enumerate(vectors)],
        model=MODEL,
        usage=EmbeddingUsage(prompt_tokens=count, total_tokens=count),
    )


def _base64(vector: list[float]) -> str:
    return b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
