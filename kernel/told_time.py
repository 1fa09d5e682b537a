"""Told time: the words that say when, in English and Chinese, and the year in them, if there is one.

"September 1961", "nineteen fifty-two", "the winter of '47", "一九五六年八月", "民国二十六年", "五八年"; and without a
year "the year of the flood", "when I was nine", "小梅出嫁那天", "困难时期".
"""

from __future__ import annotations

import re

from kernel.language import years

_UNITS = "one two three four five six seven eight nine".split()
_TEENS = "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen".split()
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()
_VALUES = (
    {word: number for number, word in enumerate(_UNITS, 1)}
    | {word: number for number, word in enumerate(_TEENS, 10)}
    | {word: 10 * number for number, word in enumerate(_TENS, 2)}
)
_DECADES = {f"{word.removesuffix('y')}ies": _VALUES[word] for word in _TENS}
_MONTHS = "January February March April May June July August September October November December".split()
_HANZI = {digit: number for number, digit in enumerate("〇一二三四五六七八九")} | {"零": 0, "○": 0, "两": 2}
_AMBIGUOUS = 26  #: '10 to '26 may be of either century: no year

# ---- English --------------------------------------------------------------------------------------------

_UNIT, _TEEN, _TEN, _MONTH = ("|".join(words) for words in (_UNITS, _TEENS, _TENS, _MONTHS))
_SMALL = rf"(?:(?:{_TEN})(?:[ -](?:{_UNIT}))?|{_TEEN})"
_SPOKEN_YEAR = (
    rf"(?:(?:[Ee]ighteen|[Nn]ineteen)[ -](?:hundred(?:(?: and)?[ -](?:{_SMALL}|{_UNIT}))?|oh[ -](?:{_UNIT})|{_SMALL})"
    rf"|(?:(?<=in )|(?<=of )|(?<=since )|(?<=until ))two thousand and (?:{_SMALL}|{_UNIT})"
    rf"|[Tt]wenty[ -](?:{_TEEN}|twenty(?:[ -](?:{_UNIT}))?))\b(?!-)"
)
_WRITTEN_YEAR = r"(?<![\d,.£$€])(?:1[89]|20)\d\d(?![\d,]\d)(?!s|年)"
_YEAR = rf"(?:{_WRITTEN_YEAR}|{_SPOKEN_YEAR})"
_DAY = r"(?:\d{1,2}(?:st|nd|rd|th)?|[a-z]+(?:-[a-z]+)?(?:st|nd|rd|th))"
_SEASON = "(?:spring|summer|autumn|fall|winter)"
_STRETCH = rf"[Tt]he (?:year|{_SEASON}|day|night|week)"
_ADJECTIVE = "(?:great|big|bad|long|first|last|second|old|hard|cold|hot|dry|wet|royal)"
_WHO = r"(?:we|I|he|she|they|(?:my|our|the|his|her) [a-z-]+|[A-Z][a-z]+)"
_CLAUSE = "[^,.;:!?—]{2,60}?(?=[,.;:!?—]| and | but | so | because |$)"
_AGE = rf"(?:\d{{1,2}}|{_SMALL}|{_UNIT})"
_ENGLISH = re.compile(
    "|".join(
        [
            rf"\b(?:[Tt]he )?{_DAY} (?:of )?(?:{_MONTH})(?:,? {_YEAR})?",
            rf"\b(?:{_MONTH}) {_DAY}\b(?:,? {_YEAR})?|\b(?:{_MONTH}),? (?:of )?{_YEAR}",
            rf"\b(?:[Tt]he )?{_SEASON} of (?:{_YEAR}|['’]\d\d\b)|(?<=[Ii]n )['’]\d\d\b",
            rf"\b(?:Christmas(?: Eve| Day)?|Easter|Michaelmas|New Year['’]s Eve),? (?:in |of )?{_YEAR}",
            rf"\b[Tt]he (?:(?:early|late) )?(?:(?:1[89]|20)\d0s|(?:{'|'.join(_DECADES)}))\b",
            _YEAR,
            rf"\b{_STRETCH} of (?:the|our|my|his|her|their) (?:{_ADJECTIVE} )*[a-zA-Z’'-]+",
            rf"\b{_STRETCH} (?:that |when |before |after )?{_WHO} {_CLAUSE}",
            rf"\b[Ww]hen I was (?:about |only |just |nearly |barely )?{_AGE}\b(?: years old)?",
            rf"\b[Aa]t (?:the age of {_AGE}\b|(?:{_SMALL}|[1-9]\d)(?=,? (?:I|we)\b|,))",
            r"\b(?:[Dd]uring|[Aa]fter|[Bb]efore|[Ii]n|[Tt]hrough) the (?:First |Second |Great )?(?:World )?[Ww]ar\b"
            "(?: years)?",
        ]
    )
)

# ---- Chinese --------------------------------------------------------------------------------------------

_DIGIT = "[〇零○一二三四五六七八九]"
_COUNT = r"(?:[一二三四五六七八九十]{1,3}|\d{1,2})"
_WITHIN = rf"(?:{_COUNT}月(?:{_COUNT}[日号])?|[春夏秋冬](?:天|季)?|国庆节?|春节|除夕|中秋节?)?"
_THAT = "(?:那一?年|那天|那会儿|那阵子)"
_START = "(?:^|(?<=[，。；！？：、“”‘’（\\s]))"
_LEADS = re.compile("^(?:我|还|也|都|记得|就|正|是|好像|大概|到了?|等到?|在|从|打)+(?!那)")
_CHINESE = re.compile(
    "|".join(
        [
            rf"(?:[一二]{_DIGIT}{{3}}|(?<!\d)(?:1[89]|20)\d\d)年(?!代){_WITHIN}",
            rf"民国{_COUNT}年{_WITHIN}",
            r"(?:上世纪|一九|二[〇零○]|19|20)?(?:[二三四五六七八九][十〇零○]|(?<!\d)[2-9]0|(?<=19)[2-9]0|(?<=20)[2-9]0)年代[初末]?",
            # "五八年"; "五六年" is five or six years
            rf"(?<![〇零○一二三四五六七八九十百])(?!一二|二三|三四|四五|五六|六七|七八|八九|三五){_DIGIT}{{2}}年(?![多来代]){_WITHIN}",
            rf"(?<!\d)\d\d年(?=[春夏秋冬那]|\d{{1,2}}月){_WITHIN}",
            rf"{_START}[^，。；！？：、“”‘’（\s]{{2,14}}?{_THAT}",
            rf"{_START}(?:我)?{_COUNT}岁(?:生日|的时候|时|上|起)?(?=[我就进去跟，])",
            "(?:抗战|抗日战争|困难时期|三年自然灾害|文化大革命|文革|大跃进|土改|抗美援朝|改革开放|解放)(?:时期|期间|那几年|以前|以后|前|后|时)"
            "|困难时期|三年自然灾害|文化大革命|文革|大跃进",
        ]
    )
)


def told_times(text: str) -> list[str]:
    """The times of a sentence in their order, each as it stands there."""
    found = []
    for pattern in (_ENGLISH, _CHINESE):
        for match in pattern.finditer(text):
            told = _LEADS.sub("", match.group()) if pattern is _CHINESE else match.group()
            if re.sub(_THAT, "", told):
                found.append((match.start(), told))
    return [told for _, told in sorted(found)]


def year_of(told: str) -> int | None:
    """The year in the words of a time, a decade's first; None where there is none, or it may be of two centuries."""
    if named := years(told):
        return named[0]
    if spoken := re.search(rf"{_SPOKEN_YEAR}|two thousand and .*", told):
        words = re.split("[ -]", spoken.group().lower())
        century = {"eighteen": 1800, "nineteen": 1900}.get(words[0], 2000)
        return century + sum(_VALUES.get(word, 0) for word in words[1:])
    if republic := re.match(rf"民国({_COUNT})年", told):
        return 1911 + _number(republic[1])
    if decade := re.search(r"((?:1[89]|20)\d0)s", told):
        return int(decade[1])
    if decade := re.search("|".join(_DECADES), told):
        return 1900 + _DECADES[decade.group()]
    if short := re.search(rf"['’](\d\d)\b|(\d\d|{_DIGIT}{{2}}|[二三四五六七八九]十)年", told):
        return _of_a_century(_number(next(filter(None, short.groups()))), told)
    return None


def month_of(told: str) -> int:
    """1-12; 0 where none is told."""
    for number, month in enumerate(_MONTHS, 1):
        if re.search(rf"\b{month}\b", told):
            return number
    found = re.search(rf"({_COUNT})月", told)
    return _number(found[1]) if found else 0


def _of_a_century(short: int, told: str) -> int | None:
    if told.startswith(("二〇", "二零", "20")):
        return 2000 + short
    if short > _AMBIGUOUS or told.startswith(("一九", "19")):
        return 1900 + short
    return 2000 + short if short < 10 else None


def _number(text: str) -> int:
    """ "26", "五八", "十", "二十六", "三十"."""
    if text.isdigit() and text.isascii():
        return int(text)
    if "十" in text:
        tens, _, units = text.partition("十")
        return 10 * _HANZI.get(tens, 1) + _HANZI.get(units, 0)
    return int("".join(str(_HANZI[digit]) for digit in text))
