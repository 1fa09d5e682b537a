"""Problems: every error as one JSON shape, with a code and a sentence that says what to do.

    {"error": {"code": "job_running", "message": "...", "details": {"job_id": "..."}}}

In Chinese when the Accept-Language header prefers it, in English otherwise.
"""

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kernel.errors import BadInput, HeirloomError, NotFound, TooLarge

log = structlog.get_logger(__name__)


def language_of(request: Request) -> str:
    return "zh" if request.headers.get("accept-language", "").lower().startswith("zh") else "en"


def problem(error: HeirloomError, language: str) -> dict[str, object]:
    details = {name: value if isinstance(value, (int, float)) else str(value) for name, value in error.details.items()}
    return {"error": {"code": error.code, "message": error.message(language), "details": details}}


def handle_problems(app: FastAPI) -> None:
    @app.exception_handler(HeirloomError)
    def heirloom_error(request: Request, error: HeirloomError) -> JSONResponse:
        headers = {"WWW-Authenticate": "Bearer"} if error.status == 401 else {}
        if error.status == 503:
            headers["Retry-After"] = "30"
        return JSONResponse(problem(error, language_of(request)), error.status, headers=headers)

    @app.exception_handler(RequestValidationError)
    def bad_request(request: Request, error: RequestValidationError) -> JSONResponse:
        # Only where and what kind: pydantic's own message repeats the input.
        reason = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'] if part != 'body') or 'body'}: {one['msg']}"
            for one in error.errors()
        )
        return heirloom_error(request, BadInput(reason=reason))

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> JSONResponse:
        known = NotFound() if error.status_code == 404 else HeirloomError()
        body = problem(known, language_of(request))
        if error.status_code != 404:
            body = {"error": {"code": "http_error", "message": str(error.detail), "details": {}}}
        return JSONResponse(body, error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    def broke(request: Request, error: Exception) -> JSONResponse:
        log.error("request.broke", path=request.url.path, error=type(error).__name__)
        return JSONResponse(problem(HeirloomError(), language_of(request)), 500)


class BodyLimit:
    """Refuses a body larger than `limit` bytes, whether its length is declared or not."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = JSONResponse(problem(self._too_large(), language_of(Request(scope))), TooLarge.status)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit:
            await refused(scope, receive, send)
            return
        received = 0

        async def limited() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise self._too_large()
            return message

        async def corrected(message: Message) -> None:
            """FastAPI makes its own 400 of whatever goes wrong while it reads a body."""
            if received <= self._limit:
                await send(message)
            elif message["type"] == "http.response.start":
                await refused(scope, receive, send)

        await self._app(scope, limited, corrected)

    def _too_large(self) -> TooLarge:
        return TooLarge(what="The request", limit=f"{self._limit // 1_000_000} MB")
