"""What several of them have: a body that allows nothing unknown, names, a memory, a number."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError


def _seen(name: str) -> str:
    if "\x00" in name or (name and not any(character.isprintable() for character in name)):
        raise PydanticCustomError("unseen", "a name that can be seen, without NUL characters")
    return name


Name = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100), AfterValidator(_seen)]
#: of the family; "" for nobody
Member = Annotated[str, StringConstraints(strip_whitespace=True, max_length=100), AfterValidator(_seen)]
#: goes on with it: what was said before comes from there; "" for none
ConversationGiven = Annotated[str, Field(max_length=64)]
Offset = Annotated[int, Field(ge=0, le=2**31)]  #: a database takes no number of more than 8 bytes


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class MemoryOut(BaseModel):
    id: str
    text: str


class Total(BaseModel):
    total: int
