"""Problems: every error as one JSON shape, with a code and a sentence that says what to do.

    {"error": {"code": "job_running", "message": "...", "details": {"job_id": "..."}}}

In Chinese when the Accept-Language header prefers it, in English otherwise. Under /v1/ in OpenAI's shape.
"""

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from kernel.errors import BadInput, HeirloomError, NotFound, TooLarge
from modelserver.openai.problem import CLIENT_GONE, PREFIX, openai_body, openai_problem
from modelserver.validation import fault, place

log = structlog.get_logger(__name__)


def language_of(request: Request) -> str:
    return "zh" if request.headers.get("accept-language", "").lower().startswith("zh") else "en"


def problem(error: HeirloomError, language: str) -> dict[str, object]:
    details = {name: value if isinstance(value, (int, float)) else str(value) for name, value in error.details.items()}
    return {"error": {"code": error.code, "message": error.message(language), "details": details}}


def answer_to(request: Request, error: HeirloomError) -> JSONResponse:
    """In the shape of the interface that was asked."""
    language = language_of(request)
    answer = (
        openai_problem(error, language) if _is_openai(request) else JSONResponse(problem(error, language), error.status)
    )
    if error.status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    if error.status == 503:
        answer.headers["Retry-After"] = "30"
    return answer


def handle_problems(app: FastAPI) -> None:
    @app.exception_handler(HeirloomError)
    def heirloom_error(request: Request, error: HeirloomError) -> JSONResponse:
        return answer_to(request, error)

    @app.exception_handler(RequestValidationError)
    def bad_request(request: Request, error: RequestValidationError) -> JSONResponse:
        language, faults = language_of(request), error.errors()
        told = ("；" if language == "zh" else "; ").join(fault(one, language) for one in faults)
        where = {"param": place(faults[0]) or None} if _is_openai(request) else {}
        return answer_to(request, BadInput(reason=told, **where))

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 404:
            return answer_to(request, NotFound())
        if isinstance(error.__cause__, (ValueError, RecursionError)):  # of reading the body: FastAPI knows no kinds
            return answer_to(request, BadInput(reason="The body cannot be read: send JSON, encoded as UTF-8."))
        said = _http_in_chinese(error.status_code) if language_of(request) == "zh" else str(error.detail)
        body: dict[str, object] = {"error": {"code": "http_error", "message": said, "details": {}}}
        if _is_openai(request):
            body = openai_body(error.status_code, said, code="http_error")
        return JSONResponse(body, error.status_code, headers=error.headers)

    @app.exception_handler(ClientDisconnect)
    def client_gone(request: Request, error: ClientDisconnect) -> Response:
        return Response(status_code=CLIENT_GONE)

    @app.exception_handler(Exception)
    def broke(request: Request, error: Exception) -> JSONResponse:
        log.error("request.broke", path=request.url.path, error=type(error).__name__)
        return answer_to(request, HeirloomError())


def _is_openai(request: Request) -> bool:
    return request.url.path.startswith(PREFIX)


def _http_in_chinese(status: int) -> str:
    """What FastAPI itself refuses; its own words are English."""
    known = {400: "提交的内容无法读取。", 405: "这个地址不支持这种请求方法。"}
    return known.get(status, f"请求没有被接受（HTTP {status}）。")


class BodyLimit:
    """Refuses a body larger than `limit` bytes, whether its length is declared or not."""

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app, self._limit = app, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = answer_to(Request(scope), self._too_large())
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
