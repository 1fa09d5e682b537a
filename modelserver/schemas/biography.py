"""What an elder's life is about."""

from pydantic import BaseModel


class ThemeOut(BaseModel):
    name: str
    memory_ids: list[str]


class BiographyOut(BaseModel):
    elder_id: str
    first_person: str
    second_person: str
    third_person: str
    memory_ids: list[str]
    topics: list[ThemeOut]
    shades: list[ThemeOut]  #: traits, with the memories in which they show
