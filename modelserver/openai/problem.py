"""Problems under /v1/: in OpenAI's shape, with our code, and the status of which its client makes its exceptions.

{"error": {"message": "...", "type": "invalid_request_error", "param": "messages", "code": "bad_input"}}
"""

from fastapi.responses import JSONResponse

from kernel.errors import BadInput, HeirloomError, Permanent

PREFIX = "/v1/"
CLIENT_GONE = 499  #: nginx's; nobody reads it

_TYPES = {401: "authentication_error", 403: "permission_error"}


def openai_problem(error: HeirloomError, language: str) -> JSONResponse:
    """What the caller can mend is a 400 there, and a 422 here. Its client tries a 409 again unless it is told that
    this changes nothing.
    """
    status = 400 if error.status == BadInput.status else error.status
    headers = {"x-should-retry": "false"} if isinstance(error, Permanent) else {}
    return JSONResponse(openai_error(error, language), status, headers=headers)


def openai_error(error: HeirloomError, language: str) -> dict[str, object]:
    return openai_body(error.status, error.message(language), code=error.code, param=error.details.get("param"))


def openai_body(status: int, message: str, *, code: str, param: object = None) -> dict[str, object]:
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}
