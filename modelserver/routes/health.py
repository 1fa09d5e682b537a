"""Health: which parts are up. Needs no key, and tells nothing but that."""

from fastapi import APIRouter, Request, Response

from modelserver.auth import Provided
from modelserver.problems import language_of
from modelserver.schemas.health import HealthOut, PartOut

router = APIRouter(tags=["health"])

_UP = {"en": "up", "zh": "正常"}


@router.get("/health")
async def health(request: Request, response: Response, services: Provided) -> HealthOut:
    """200 with every part up; 503 with the parts that are down named. As they were within the last two seconds."""
    language = language_of(request)
    parts = {
        name: PartOut(is_up=wrong is None, message=wrong.message(language) if wrong else _UP[language])
        for name, wrong in (await services.checkup.parts()).items()
    }
    is_ok = all(part.is_up for part in parts.values())
    response.status_code = 200 if is_ok else 503
    return HealthOut(status="ok" if is_ok else "degraded", parts=parts)
