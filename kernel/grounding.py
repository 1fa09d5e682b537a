"""Grounding: is every name, number and year of a text in what it was made from? What is not, is not kept."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from kernel.graph import EntityType
from kernel.language import fold_years

if TYPE_CHECKING:
    from kernel.memory import Memory
    from kernel.note import Note
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
    held = f"{held}\n{fold_years(held)}"
    found = dict.fromkeys([*named, *_NUMBER.findall(text)])
    return [one for one in found if not _is_held(one, held)]


def grounded_note(
    told: Mapping[str, object], memory: Memory, *, otherwise: Note, teacher: str, finder: EntityFinder
) -> Note:
    """What a teacher told of the memory; what the memory does not hold is left out, or as in `otherwise`."""

    def grounded(field: str, plain: str) -> str:
        text = text_of(told, field)
        is_held = not unsupported(text, memory.source, language=memory.language, finder=finder)
        return text if text and is_held else plain

    def held(field: str) -> tuple[str, ...]:
        source = memory.source.casefold()
        return tuple(dict.fromkeys(one for one in texts_of(told, field) if one.casefold() in source))

    return replace(
        otherwise,
        title=grounded("title", otherwise.title),
        summary=grounded("summary", otherwise.summary),
        insight=grounded("insight", otherwise.insight),
        keywords=held("keywords")[:8] or otherwise.keywords,
        people=held("people") or otherwise.people,
        places=held("places") or otherwise.places,
        dates=held("dates") or otherwise.dates,
        teacher=teacher,
    )


def text_of(told: Mapping[str, object] | None, field: str) -> str:
    return str((told or {}).get(field) or "").strip()


def texts_of(told: Mapping[str, object], field: str) -> list[str]:
    found = told.get(field, [])
    return [str(one).strip() for one in found if str(one).strip()] if isinstance(found, list | tuple) else []


def facts(text: str, *, language: str, finder: EntityFinder) -> list[str]:
    """Names and numbers, each once; of a date the numbers, as it may be said in other words."""
    named = [mention.title for mention in finder.find(text, language) if mention.type in _NAMES]
    return list(dict.fromkeys([*named, *_NUMBER.findall(text)]))


def spellings(fact: str) -> tuple[str, ...]:
    """How an answer may say it: of a name of several words the last is enough."""
    return tuple(dict.fromkeys([fact, fact.split()[-1]]))


def _is_held(name: str, held: str) -> bool:
    """A name of several words is held when each of its words is: "Arthur Whitcombe" by "Arthur ... Whitcombe".

    A year is the same in digits and in characters; `held` is written both ways.
    """
    plain = _plain(name)
    if words := _WHOLE.findall(plain):
        return set(words) <= set(_WHOLE.findall(held))
    return plain in held or fold_years(plain) in held


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.casefold()).strip()
