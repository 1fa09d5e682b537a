"""Grounding: is every name, number and year of a text in what it was made from?"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kernel.graph import EntityType

if TYPE_CHECKING:
    from kernel.ports import EntityFinder

_NAMES = (EntityType.PERSON, EntityType.PLACE, EntityType.ORGANISATION)
_NUMBER = re.compile(
    r"\d+(?:[.,]\d+)*|[〇零一二三四五六七八九十百千万两]{2,}|[二三四五六七八九十两](?=[个年岁天月次位口])"
)
_WHOLE = re.compile(r"[a-z0-9]+(?:[.,][0-9]+)*")


def unsupported(text: str, source: str, *, language: str, finder: EntityFinder) -> list[str]:
    """Names, numbers and years of `text` that `source` does not hold, in their order."""
    told = (*_NAMES, EntityType.TIME)
    named = [mention.title for mention in finder.find(text, language) if mention.type in told]
    held = _plain(source)
    found = dict.fromkeys([*named, *_NUMBER.findall(text)])
    return [one for one in found if not _is_held(one, held)]


def facts(text: str, *, language: str, finder: EntityFinder) -> list[str]:
    """Names and numbers, each once; of a date the numbers, as it may be said in other words."""
    named = [mention.title for mention in finder.find(text, language) if mention.type in _NAMES]
    return list(dict.fromkeys([*named, *_NUMBER.findall(text)]))


def _is_held(name: str, held: str) -> bool:
    """A name of several words is held when each of its words is: "Arthur Whitcombe" by "Arthur ... Whitcombe"."""
    plain = _plain(name)
    if words := _WHOLE.findall(plain):
        return set(words) <= set(_WHOLE.findall(held))
    return plain in held


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.casefold()).strip()
