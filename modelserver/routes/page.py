"""The family's page: one HTML file that talks to the same REST interface. The key stays in the address's
fragment and the browser's own storage; it never reaches a log."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

router = APIRouter(include_in_schema=False)

_PAGE = Path(__file__).parent.parent / "pages" / "index.html"
_POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
)


@router.get("/")
def page() -> FileResponse:
    return FileResponse(_PAGE, headers={"Content-Security-Policy": _POLICY, "Referrer-Policy": "no-referrer"})
