"""What came from which memory."""

from pydantic import BaseModel

from modelserver.schemas.body import MemoryOut


class MadeOut(BaseModel):
    kind: str
    id: str
    text: str
    memory_ids: list[str]


class OriginOut(BaseModel):
    thing: MadeOut
    memories: list[MemoryOut]
    made: list[MadeOut]
