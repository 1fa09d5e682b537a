"""Parts: a Chinese sentence cut into words by fixed lists, patterns, and what the memories repeat.

No dictionary of the language: a word that no list knows is found as what is left between known ones.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from kernel import chinese_words as lists

#: "other" holds pronouns, particles, adverbs and marks; "unknown" a lone character of no list.
Kind = Literal["noun", "person", "place", "time", "age", "amount", "quote", "verb", "other", "unknown"]

_NUMBER = "[0-9〇零一二两三四五六七八九十百千万几半]"
_FIRST = "[0-9一二两三四五六七八九十百千几半]"
_YEAR = r"(?:[一二][〇零一二三四五六七八九]{3}|(?<!\d)(?:1[89]|20)\d\d)"
_TIME = re.compile(
    rf"{_YEAR}年?(?:{_NUMBER}+月(?:{_NUMBER}+[号日])?)?"
    rf"|{_NUMBER}+月{_NUMBER}+[号日]|{_NUMBER}+年代|{_NUMBER}+点(?:半|{_NUMBER}+分?)"
)
_AGE = re.compile(rf"{_NUMBER}+[来多]?岁")
_MEASURE = rf"(?:{'|'.join(sorted(lists.LONG_MEASURES, key=len, reverse=True))}|[{lists.MEASURES}])"
_AMOUNT = re.compile(
    rf"(?:{_FIRST}{_NUMBER}*[来多]?大?{_MEASURE}(?:{_NUMBER}+{_MEASURE}?)*(?:[多半])?(?:钱)?|[\d.]+{_MEASURE})"
)
_ORDINAL = re.compile(rf"(?:第|头){_NUMBER}{_MEASURE}")
_QUOTE = re.compile(r"《[^》]{1,20}》|“[^”]{1,14}”|「[^」]{1,14}」|『[^』]{1,14}』")
_LATIN = re.compile(r"[A-Za-z][A-Za-z0-9'’-]*|\d+")
_CALLED = re.compile(r"(?:名叫|小名叫|就叫|叫做|叫作|叫|姓)([\u4e00-\u9fff]{2,3})(?=[，。、；！？,.;!?]|$)")
_HANZI = re.compile(r"[\u3400-\u9fff]")
_NAME_OF_PLACE = re.compile(rf"[\u4e00-\u9fff]{{1,4}}[{lists.NAME_ENDINGS}]")
_PET_NAMES = "芳梅兰英红玉琴燕莉萍霞敏静丽娟军伟强刚明华平云芬珍凤娥勇杰涛波宝芸倩娜婷"
_OLD_YOUNG = re.compile(rf"老[{lists.SURNAMES}]|小[{lists.SURNAMES}]|小[{_PET_NAMES}]|阿[\u4e00-\u9fff]")
_RELATIVE = "|".join(lists.KIN)
_HOUSEHOLD = re.compile(rf"[{lists.SURNAMES}]家")
_FULL_NAME = re.compile(rf"[{lists.SURNAMES}][{lists.GIVEN}]{{2}}")
_SHORT_NAME = re.compile(rf"[{lists.SURNAMES}][{lists.GIVEN}]")


@dataclass(frozen=True, slots=True)
class Part:
    text: str
    kind: Kind


class Cutter:
    """Cuts by the cheapest path through known words; what two memories repeat is a word, too."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._words = dict(_LEXICON)
        self._costs: dict[str, float] = {}
        for name in {name for text in texts for name in _CALLED.findall(text)}:
            if name not in self._words and not _has_particle(name):
                self._learn(name, "person", 1.2)
        everything = "\n".join(texts)
        for gram in _repeated(texts):
            if gram not in self._words:
                is_named = _OLD_YOUNG.fullmatch(gram) or re.search(rf"(?:{_RELATIVE}){gram}", everything)
                self._learn(gram, "person" if is_named else "noun", 1.5)
        self._seen: dict[str, tuple[Part, ...]] = {}

    def cut(self, text: str) -> tuple[Part, ...]:
        if text not in self._seen:
            self._seen[text] = tuple(_with_titles(_with_unknown(self._cheapest(text))))
        return self._seen[text]

    def _learn(self, word: str, kind: Kind, cost: float) -> None:
        self._words[word] = kind
        self._costs[word] = cost

    def _cheapest(self, text: str) -> list[Part]:
        best: list[tuple[float, int, Kind]] = [(0.0, 0, "other")]
        best += [(float("inf"), 0, "other")] * len(text)
        for start in range(len(text)):
            for word, kind, cost in self._words_at(text, start):
                end = start + len(word)
                if best[start][0] + cost < best[end][0]:
                    best[end] = (best[start][0] + cost, start, kind)
        parts: list[Part] = []
        end = len(text)
        while end:
            _, start, kind = best[end]
            parts.append(Part(text[start:end], kind))
            end = start
        return parts[::-1]

    def _words_at(self, text: str, start: int) -> Iterator[tuple[str, Kind, float]]:
        yield text[start], "unknown" if _HANZI.match(text[start]) else "other", 1.7
        for pattern, kind, cost in _PATTERNS:
            match = pattern.match(text, start)
            if match and (kind != "place" or _is_name_of_place(match.group())):
                yield match.group(), kind, cost
        for end in range(start + 1, min(start + 7, len(text)) + 1):
            word = text[start:end]
            if word in self._words:
                yield word, self._words[word], self._costs.get(word, 1.0 if len(word) > 1 else 1.2)


_PATTERNS: tuple[tuple[re.Pattern[str], Kind, float], ...] = (
    (_TIME, "time", 0.9),
    (_AGE, "age", 0.9),
    (_AMOUNT, "amount", 0.95),
    (_ORDINAL, "other", 0.9),
    (_QUOTE, "quote", 0.5),
    (_LATIN, "noun", 0.9),
    (_FULL_NAME, "person", 1.5),
    (_SHORT_NAME, "person", 2.6),
    (_OLD_YOUNG, "person", 1.6),
    (_HOUSEHOLD, "person", 2.1),
    (_NAME_OF_PLACE, "place", 2.0),
)


def _lexicon() -> dict[str, Kind]:
    """Later lists win: a word that is both is what it more often is."""
    found: dict[str, Kind] = {word: "other" for group in lists.SYNONYMS for word in group}
    for words in lists.NOUNS.values():
        found.update(dict.fromkeys(words.split(), "noun"))
    found.update(dict.fromkeys(lists.VERBS, "verb"))
    found.update(dict.fromkeys(lists.PLACES, "place"))
    found.update(dict.fromkeys((*lists.ROLES, *lists.KIN), "person"))
    found.update(dict.fromkeys(lists.FUNCTION, "other"))
    return found


_LEXICON = _lexicon()
_TITLES = frozenset((*lists.ROLES, *lists.KIN)) - {"孩子", "孩子们", "兵", "爹娘", "父母", "爸妈"}
_PARTICLES = frozenset(
    "的了是在我你您他她它们和与就都也还很这那吗呢吧啊着过把被给跟从到对又再才只不没之为得去来上下里，。、；"
)


def _has_particle(text: str) -> bool:
    return any(character in _PARTICLES for character in text)


def _is_name_of_place(text: str) -> bool:
    return not _has_particle(text) and text[0] not in "家开做买卖住搬" and text[0] not in lists.MEASURES


def _repeated(texts: Iterable[str]) -> list[str]:
    """Two or three characters that two memories or more hold, and that no list can explain."""
    counted: Counter[str] = Counter()
    for text in texts:
        counted.update({text[i : i + n] for n in (2, 3) for i in range(len(text) - n + 1)})
    single = {word for word, kind in _LEXICON.items() if len(word) == 1 and kind in ("other", "verb")}
    return sorted(
        gram
        for gram, count in counted.items()
        if count > 1
        and all(_HANZI.match(one) and one not in single and one not in _PARTICLES for one in gram)
        and not re.search(f"{_NUMBER}|[{lists.MEASURES}年]", gram)
        and gram[0] not in lists.NAME_ENDINGS
        and not (len(gram) == 3 and (gram[:2] in _LEXICON or gram[1:] in _LEXICON))
    )


def _with_unknown(parts: Iterable[Part]) -> list[Part]:
    """Lone characters of no list, side by side, are a word."""
    found: list[Part] = []
    run = ""
    for part in (*parts, Part("", "other")):
        if part.kind == "unknown":
            run += part.text
            continue
        if run:
            found.append(Part(run, "noun" if 2 <= len(run) <= 6 else "unknown"))
            run = ""
        if part.text:
            found.append(part)
    return found


def _with_titles(parts: Sequence[Part]) -> list[Part]:
    """A surname, a name or a trade, and the title after it: 吕 师傅, 体育 老师."""
    found: list[Part] = []
    for part in parts:
        before = found[-1] if found else Part("", "other")
        is_named = before.kind == "person" and before.text not in _TITLES
        is_surname = len(before.text) == 1 and before.text in lists.SURNAMES and before.kind != "other"
        is_unknown_name = before.kind == "noun" and before.text not in _LEXICON and len(before.text) < 4
        starts = before.text[:1] in lists.SURNAMES or before.text.endswith("家")
        is_trade = before.kind == "noun" and len(before.text) == 2 and part.text in lists.ROLES
        is_many = part.text == "们" and before.kind == "person"
        is_title = part.text in _TITLES and (is_named or is_surname or (is_unknown_name and starts))
        is_aged = before.text in ("老", "小") and part.kind == "person"
        if is_title or is_trade or is_many or is_aged:
            found[-1] = Part(before.text + part.text, "person")
        else:
            found.append(part)
    return found
