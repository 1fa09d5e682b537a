"""What several of them have: a body that allows nothing unknown, names, a memory, a number."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)]
Member = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)]  #: of the family; "" for nobody

Offset = Annotated[int, Field(ge=0, le=2**31)]  #: the store counts no further than 2**63


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class MemoryOut(BaseModel):
    id: str
    text: str


class Total(BaseModel):
    total: int
