"""English kin: "my mother, Dora", "Arthur's Aunt Hester", "Tom was my brother", "I married Arthur"."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kernel.kin import KINDS, Said, own_words

_CALLED = {
    word: kin
    for kin, words in {
        "mother": "mother mum mummy mam mama mom mommy",
        "father": "father dad daddy papa",
        "grandmother": "grandmother gran granny grandma nan nana nanny",
        "grandfather": "grandfather grandad granddad grandpa grandpapa",
        "aunt": "aunt auntie aunty",
    }.items()
    for word in words.split()
}
_BASES = sorted(
    {*_CALLED, "husband", "wife", "daughter", "son", "child", "children", "sister", "brother", "granddaughter"}
    | {"grandson", "grandchild", "grandchildren", "uncle", "niece", "nephew", "cousin"},
    key=lambda word: (-len(word), word),
)
_KIN = rf"(?i:(?:great-)?(?:step-?|half-|god)?(?:{'|'.join(_BASES)})s?(?:-in-law)?)(?!-|\w)"
_MODIFIERS = (
    "(?:(?:late|dear|poor|own|only|big|little|old|older|elder|eldest|oldest|younger|youngest|twin|baby|first|second"
    "|other|two|three|four|five|six|maternal|paternal) )*"
)
_NO_NAMES = (
    "I|We|He|She|They|It|You|The|An?|And|But|So|Then|When|Where|While|In|On|At|For|From|To|My|Our|His|Her|That|This"
    "|There|Who|What|Nobody|Everybody|Everyone|God|Father|Mother|Mum|Dad|Mam|Gran|Granny|Grandma|Grandpa|Grandad|Aunt"
    "|Auntie|Uncle|Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday|January|February|March|April|June|July"
    "|August|September|October|November|December|Christmas|Easter"
)
_WORD = rf"(?!(?:{_NO_NAMES})\b)[A-ZÀ-Þ][\wà-ɏ]*(?:[-’'](?!s\b)\w+)*"
_NAME = rf"{_WORD}(?: {_WORD}){{0,2}}"
_NAMES = rf"{_NAME}(?:(?:, | and |, and ){_NAME})*"
_END = r"(?=[,.;:!?)]|$)"
_OWN = "(?:[Mm]y|[Oo]ur)"
_AT_HOME = "Father|Mother|Mum|Mummy|Mam|Dad|Daddy|Grandma|Grandpa|Gran|Granny|Nan|Nana|Grandad"
_WHOSE = rf"(?P<whose>(?:{_OWN} {_MODIFIERS}{_KIN}|{_AT_HOME}|{_NAME})['’]s|{_OWN})"
_NOBODYS = "(?<!['’]s )(?<![Hh]is )(?<![Hh]er )(?<![Tt]heir )(?<![Yy]our )"
_PATTERNS = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?<!, )(?<!and )\b(?P<names>{_NAME}), {_WHOSE} {_MODIFIERS}(?P<kin>{_KIN})(?=[.;:!?)]|$|,(?! (?:and|or) ))",
        rf"\b(?P<names>{_NAME}) (?:was|is) {_WHOSE} {_MODIFIERS}(?P<kin>{_KIN})(?!['’]s)",
        rf"\b{_WHOSE} {_MODIFIERS}(?P<kin>{_KIN})['’]s name (?:was|is) (?P<names>{_NAME})",
        rf"\b{_WHOSE} {_MODIFIERS}(?P<kin>{_KIN}) (?:(?:was |is |were )?(?:called|named) )?(?P<names>{_NAMES})",
        rf"\b{_WHOSE} {_MODIFIERS}(?P<kin>{_KIN})(?:, | \()(?P<names>{_NAMES}){_END}",
        rf"\b(?:I|[Ww]e)(?: had| have|['’]d|['’]ve)(?: got)? (?:an?|one|two|three|four|five|six|only one) "
        rf"{_MODIFIERS}(?P<kin>{_KIN})(?:(?:,? (?:called|named) |[,:] )(?P<names>{_NAMES}){_END}|{_END})",
        rf"\bI (?:got |was )?(?P<kin>married)(?: to)? (?P<names>{_NAME})(?! and {_WORD})",
        rf"{_NOBODYS}\b(?P<kin>Aunt|Auntie|Uncle|Cousin|Grandma|Grandpa|Gran|Granny|Nan|Grandad|Grandmother|Grandfather)"
        rf" (?P<names>{_NAME})",
        rf"\b{_WHOSE} {_MODIFIERS}(?P<kin>{_KIN})",
        rf"(?<!the )(?<!a )(?<!Holy )(?<!Reverend )\b(?P<kin>{_AT_HOME})\b(?! [A-Z]| of\b|['’]s Day)",
    )
)

_NAME_ASKED = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b[Yy]our {_MODIFIERS}(?P<kin>{_KIN})['’]s? (?:(?:first|full|given|real|Christian|maiden) )?names?\b",
        rf"\b(?i:names? of|name did you give(?: to)?|call|name) your {_MODIFIERS}(?P<kin>{_KIN})(?!['’])",
        rf"\b[Yy]our {_MODIFIERS}(?P<kin>{_KIN}) (?:(?:was|is|were|are) )?(?:called|named)\b",
        rf"^[Ww]ho (?:was|is|were|are) your {_MODIFIERS}(?P<kin>{_KIN})\W*$",
    )
)

_ABOUT = re.compile(
    rf"\b(?i:about|who (?:was|is|were|are)|how many|have|raise) (?:any )?(?:[Yy]our )?{_MODIFIERS}(?P<kin>{_KIN})"
    rf"(?: (?:do|did|have) you(?: have)?)?\W*$"
)


def english_kin(sentence: str) -> Iterator[Said]:
    """Each relative that the sentence tells of, the surest ways of saying it first."""
    text = own_words(sentence)
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            found = match.groupdict()
            kin = _kind(found["kin"])
            if kin not in KINDS:
                continue
            whose, name = _whose(found.get("whose") or ""), found.get("names") or ""
            names = re.split(", and |, | and ", name) if _is_several(found["kin"]) else [re.split(", | and ", name)[0]]
            yield from (Said(whose=whose, kin=kin, called=found["kin"], name=one) for one in names)
            text = text[: match.start("kin")] + "~" * (match.end() - match.start("kin")) + text[match.end() :]


def english_name_asked(question: str) -> str | None:
    """The relative whose name is asked for. Not "your mother's sister's", nor "your son's dog's"."""
    found = next((match for pattern in _NAME_ASKED if (match := pattern.search(question))), None)
    return _kind(found["kin"]) if found else None


def english_relative_asked_about(question: str) -> str | None:
    """Whom the whole question is about: "Tell me about your children." """
    found = _ABOUT.search(question)
    return _kind(found["kin"]) if found else None


def _kind(word: str) -> str:
    """ "Great-Aunt" is a great-aunt, "step-brothers" a stepbrother, "Mum" a mother."""
    if word == "married":
        return "spouse"
    plain = word.lower().replace("step-", "step").replace("children", "child")
    ending = "-in-law" if plain.endswith("-in-law") else ""
    plain = plain.removesuffix("-in-law")
    plain = plain if plain in _CALLED else plain.removesuffix("s")
    before = next((part for part in ("great-", "step", "half-", "god") if plain.startswith(part)), "")
    base = plain.removeprefix(before)
    return f"{before}{_CALLED.get(base, base)}{ending}"


def _is_several(word: str) -> bool:
    return word.lower().removesuffix("-in-law").endswith(("s", "children")) and word.lower() not in _CALLED


def _whose(words: str) -> str:
    """ "" for "my"; "mother" for "my mother's"; "Arthur" for "Arthur's"."""
    owner = re.sub(r"['’]s$", "", words)
    owner = re.sub(rf"^{_OWN}(?: |$){_MODIFIERS}", "", owner)
    return owner
