"""Who and what an elder told of, and when."""

from typing import Literal

from pydantic import BaseModel


class EntityOut(BaseModel):
    title: str
    type: Literal["person", "place", "event", "time", "object", "organisation"]
    description: str
    memory_ids: list[str]


class RelationshipOut(BaseModel):
    source: str  #: titles of entities
    target: str
    description: str
    weight: float
    memory_ids: list[str]


class CommunityOut(BaseModel):
    level: int  #: 0 for the widest
    titles: list[str]
    memory_ids: list[str]


class GraphOut(BaseModel):
    elder_id: str
    entities: list[EntityOut]
    relationships: list[RelationshipOut]
    communities: list[CommunityOut]
    failed_memory_ids: list[str]  #: which the teacher could not read, and the offline finder read


class HappeningOut(BaseModel):
    told: str  #: when, in the elder's words
    year: int | None
    text: str
    titles: list[str]
    memory_id: str


class TimelineOut(BaseModel):
    elder_id: str
    happenings: list[HappeningOut]


class RelativeOut(BaseModel):
    whose: str  #: "" for the elder's own
    kin: str
    called: str
    name: str
    memory_ids: list[str]


class KinshipOut(BaseModel):
    elder_id: str
    relatives: list[RelativeOut]
