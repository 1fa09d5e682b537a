"""Files: conversations to train from, checked line by line when they come."""

import secrets
from pathlib import PurePosixPath
from typing import Annotated, Literal

from fastapi import APIRouter, Form, UploadFile
from fastapi.responses import Response

from kernel.errors import TooLarge, TooManyFiles, Unsupported
from kernel.ids import FileId
from kernel.training_file import TrainingFile
from kernel.upload import read_answers
from modelserver.auth import Family, Provided
from modelserver.openai.page import After, Limit, page_of
from modelserver.openai.schemas import FileDeleted, FileObject, Page

router = APIRouter(prefix="/v1/files", tags=["openai"])

MOST_FILES = 100  #: of one family
_PURPOSE = "fine-tune"


@router.post("")
def create_file(
    services: Provided,
    tenant: Family,
    file: UploadFile,
    purpose: Annotated[str, Form()],
    expires: Annotated[str | None, Form(alias="expires_after[anchor]")] = None,
) -> FileObject:
    """JSONL for fine-tuning: `{"messages": [...]}` as OpenAI has it, or `{"question", "answer"}` a line. What the
    assistant says is what the elder said. A bad line is named, and then nothing is kept."""
    if purpose != _PURPOSE:
        raise Unsupported(param="purpose")
    if expires:
        raise Unsupported(param="expires_after")
    limit = services.settings.max_import_bytes
    content = file.file.read(limit + 1)
    if len(content) > limit:
        raise TooLarge(what="The file", limit=f"{limit // 1_000_000} MB", param="file")
    read_answers(content, max_answer_bytes=services.settings.max_answer_bytes)
    if (count := len(services.files.all(tenant))) >= MOST_FILES:
        raise TooManyFiles(count=count, param="file")
    kept = TrainingFile(
        id=FileId("file-" + secrets.token_hex(12)),
        name=_name(file.filename or ""),
        size_bytes=len(content),
        created_at=services.clock(),
    )
    services.files.add(tenant, kept, content)
    return _out(kept)


@router.get("")
def list_files(
    services: Provided,
    tenant: Family,
    purpose: str | None = None,
    after: After = None,
    limit: Limit = 10_000,
    order: Literal["asc", "desc"] = "desc",
) -> Page[FileObject]:
    found = [_out(file) for file in services.files.all(tenant)] if purpose in (None, "", _PURPOSE) else []
    return page_of(found if order == "desc" else found[::-1], after=after, limit=limit)


@router.get("/{file}")
def retrieve_file(file: str, services: Provided, tenant: Family) -> FileObject:
    return _out(services.files.get(tenant, FileId(file)))


@router.get("/{file}/content")
def file_content(file: str, services: Provided, tenant: Family) -> Response:
    """As it was sent, to be saved and never to be shown as a page."""
    headers = {"Content-Disposition": "attachment", "X-Content-Type-Options": "nosniff"}
    content = services.files.content(tenant, FileId(file))
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.delete("/{file}")
def delete_file(file: str, services: Provided, tenant: Family) -> FileDeleted:
    """The answers that were made from it stay the elder's."""
    known = services.files.get(tenant, FileId(file))
    services.files.delete(tenant, known.id)
    return FileDeleted(id=known.id)


def _name(sent: str) -> str:
    """Shown, never opened."""
    plain = sent.encode(errors="replace").decode().replace("\\", "/").replace("\0", "")
    return PurePosixPath(plain).name[:255] or "file.jsonl"


def _out(file: TrainingFile) -> FileObject:
    created = int(file.created_at.timestamp())
    return FileObject(id=file.id, bytes=file.size_bytes, created_at=created, filename=file.name)
