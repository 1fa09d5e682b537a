"""The family's page: a few files that talk to the same REST interface. The key stays in the address's fragment and
the browser's own storage; it never reaches a log."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from kernel.errors import NotFound

router = APIRouter(include_in_schema=False)

_PAGES = Path(__file__).parent.parent / "pages"
_KINDS = {".css": "text/css", ".js": "text/javascript"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src data:; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked again each time, so that the files are always of one version
}


@router.get("/")
def page() -> FileResponse:
    return FileResponse(_PAGES / "index.html", headers=_HEADERS)


@router.get("/{name}.{kind}")
def part(name: str, kind: str) -> FileResponse:
    """Its style and its scripts, and nothing else that may lie there."""
    found = {path.name: path for path in _PAGES.iterdir() if path.suffix in _KINDS}.get(f"{name}.{kind}")
    if found is None:
        raise NotFound
    return FileResponse(found, media_type=_KINDS[found.suffix], headers=_HEADERS)
