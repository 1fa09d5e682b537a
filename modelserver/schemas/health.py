"""Which parts are up."""

from typing import Literal

from pydantic import BaseModel


class PartOut(BaseModel):
    is_up: bool
    message: str


class HealthOut(BaseModel):
    status: Literal["ok", "degraded"]
    parts: dict[str, PartOut]
