"""Pages: what comes after an id, and whether there is more."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import Query

from kernel.errors import BadInput
from modelserver.openai.schemas import Page, T

After = Annotated[str | None, Query(max_length=200)]
Limit = Annotated[int, Query(ge=1, le=10_000)]


def page_of(items: Sequence[T], *, after: str | None, limit: int) -> Page[T]:
    """Raises BadInput for an `after` that is none of theirs."""
    begin = 0
    if after:
        places = [place for place, item in enumerate(items) if item.id == after]
        if not places:
            raise BadInput(reason="There is nothing with this id to go on after.", param="after")
        begin = places[0] + 1
    found = list(items[begin : begin + limit])
    return Page(
        data=found,
        first_id=found[0].id if found else None,
        last_id=found[-1].id if found else None,
        has_more=begin + limit < len(items),
    )
