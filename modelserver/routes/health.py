"""Health: which parts are up. Needs no key, and tells nothing but that."""

from concurrent.futures import ThreadPoolExecutor

from fastapi import APIRouter, Request, Response

from kernel.errors import HeirloomError
from modelserver.auth import Provided
from modelserver.problems import language_of
from modelserver.schemas.health import HealthOut, PartOut
from modelserver.services import Check

router = APIRouter(tags=["health"])

_UP = {"en": "up", "zh": "正常"}


@router.get("/health")
def health(request: Request, response: Response, services: Provided) -> HealthOut:
    """200 with every part up; 503 with the parts that are down named."""
    language = language_of(request)
    with ThreadPoolExecutor(len(services.checks)) as pool:
        parts = dict(
            zip(
                services.checks,
                pool.map(lambda check: _part(check, language), services.checks.values()),
                strict=True,
            )
        )
    is_ok = all(part.is_up for part in parts.values())
    response.status_code = 200 if is_ok else 503
    return HealthOut(status="ok" if is_ok else "degraded", parts=parts)


def _part(check: Check, language: str) -> PartOut:
    try:
        check()
    except HeirloomError as error:
        return PartOut(is_up=False, message=error.message(language))
    return PartOut(is_up=True, message=_UP[language])
