"""Asking: an elder's answer as clauses that speak to the elder, and what in them can be asked for.

我娘绣枕套 becomes 您娘绣什么. A clause without a subject takes that of the clause before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kernel import chinese_words as lists
from kernel.chinese_parts import Cutter, Part
from kernel.language import sentences

LONGEST_CLAUSE = 26

_YOU = {"我": "您", "我们": "你们", "咱们": "你们", "咱": "你们", "俺": "您"}
_SELF_SAID = re.compile("我(?=想|来|们想|在跟|说说|讲|听|吧)")
_ELDERS = frozenset("爸爸 妈妈 父亲 母亲 爹 娘 爸 妈 爹娘 父母 爸妈 外婆 外公 姥姥 姥爷 祖父 祖母".split())
_CONNECTIVE = re.compile(
    "^(?:后来|所以|但是|可是|不过|结果|于是|而且|因为|虽然|然后|其实|好在|原来|那时候|那时|那会儿|那天|当时|当然|反正|只是|幸亏|谁知道|没想到|"
    "嗯|啊|哦|哎|唉|是啊|对了|怎么说呢)[，,]?"
)
_WEATHER = ("刮", "下", "着火", "出", "刮起", "打", "是", "走了")
_LEADS_TO_PLACE = ("在", "到", "去", "从", "回", "往", "住", "进", "回到", "搬到", "离开", "去了", "住在")
_LOCALIZERS = ("里", "上", "边", "底下", "下", "后头", "旁边", "外", "门口", "里头", "外面", "附近", "对面", "上头", "中", "前")
_MONEY = re.compile("[块元毛角]")
_ARTICLES = ("一", "半", "几")
_CATEGORY = {word: key for key, words in lists.NOUNS.items() if key not in ("什么东西", "什么事") for word in words.split()}


@dataclass(frozen=True, slots=True)
class Told:
    text: str
    kind: str  #: "person", "place", "noun", "time" or "amount"


@dataclass(frozen=True, slots=True)
class Clause:
    place: int  #: in the answer
    parts: tuple[Part, ...]

    def text(self) -> str:
        return "".join(part.text for part in self.parts)

    def blanks(self) -> list[str]:
        """The clause with one telling word asked for, in each way that leaves enough to know it by."""
        found: list[str] = []
        for start, end, asked in _spots(self.parts):
            before, after = self.parts[:start], self.parts[end:]
            left = [part for part in (*before, *after) if part.kind != "other" or len(part.text) > 2]
            if sum(len(part.text) for part in left if part.text != "您") >= 2:
                found.append("".join(part.text for part in before) + asked + "".join(p.text for p in after))
        return found


def as_you(text: str) -> str:
    """Nobody asks the elder for 我的母亲; only the asker's own 我想, 跟我 stay."""
    kept = re.sub("(跟|给|告诉|和|让|教)我(?=说|讲|们说|聊|听|谈|吗|[^，。？]{0,14}[吗吧。？])", "\\1\0", text)
    return _SELF_SAID.sub("\0", kept).replace("\0", "我") if "\0" in kept else text


def clauses_of(cutter: Cutter, question: str, answer: str) -> list[Clause]:
    """Spoken to the elder, each with its subject, 4 to LONGEST_CLAUSE characters."""
    asked = _person_asked(cutter, question)
    subject, is_told = asked or "您", False
    person = asked
    found: list[Clause] = []
    for place, words in enumerate(_pieces(answer)):
        parts = list(cutter.cut(words))
        own = _own_subject(parts)
        turned = _turned(parts, person)
        person = _last_person(turned) or person
        if own is not None:
            subject, is_told = _rendered_subject(turned), True
        elif _needs_subject(parts, is_told):
            turned = [Part(subject, "other"), *turned]
        text = "".join(part.text for part in turned)
        if 4 <= len(text) <= LONGEST_CLAUSE and not re.search("[它我“”「」…]", text):
            found.append(Clause(place, tuple(turned)))
    return found


def told_words(cutter: Cutter, text: str, texts: Sequence[str]) -> list[Told]:
    """Words worth asking about, the rarest among all memories first."""
    found: dict[str, Told] = {}
    parts = cutter.cut(text)
    for start, end, kind in _runs(parts):
        words = "".join(part.text for part in parts[start:end])
        if parts[start - 1].text == "我" and start and kind == "person":
            words = f"您{words}"
        if kind == "noun" and (modified := _modified(parts, start, end)):
            found.setdefault(modified, Told(modified, kind))
        if len(words) >= 2 and (kind != "noun" or len(words) <= 8):
            found.setdefault(words, Told(words, kind))
    for part in parts:
        if not texts and part.kind == "verb" and len(part.text) > 1:
            found.setdefault(part.text, Told(part.text, "noun"))
        if part.kind == "time" and re.search("年|月", part.text):
            year = re.match("[^年]+年", part.text)
            words = year.group() if year else part.text
            found.setdefault(words, Told(words, "time"))
        if part.kind == "age" and "我" in text:
            found.setdefault(part.text, Told(f"您{part.text}的时候", "time"))
    order = list(found.values())
    return sorted(order, key=lambda one: sum(one.text.lstrip("您") in other for other in texts) > 2)


def _pieces(answer: str) -> Iterator[str]:
    """Clauses between commas; one too short to stand alone goes with the next."""
    for sentence in sentences(answer):
        held = ""
        for piece in re.split(r"[，；：,;]|——", re.sub(r"[。！？!?\n]+$", "", sentence)):
            piece = _CONNECTIVE.sub("", piece.strip())
            held = f"{held}，{piece}" if held else piece
            if len(held) >= 5:
                yield held
                held = ""
        if len(held) >= 4:
            yield held


def _turned(parts: Sequence[Part], person: str) -> list[Part]:
    """我 is 您, a bare 娘 is 您娘, and a leading 他 is whoever was spoken of last."""
    found: list[Part] = []
    for place, part in enumerate(parts):
        before = parts[place - 1] if place else Part("", "other")
        if part.text in _YOU:
            found.append(Part(_YOU[part.text], "other"))
        elif part.text in ("他", "她") and person and not any(one.kind == "person" for one in parts[:place]):
            found.append(Part(person, "person"))
        elif part.text in _ELDERS and before.text not in _OWNERS and before.kind not in ("person", "noun"):
            found += [Part("您", "other"), part]
        else:
            found.append(part)
    return found


_OWNERS = frozenset("我 你 您 他 她 的 我们 他们 咱 家 老".split())


def _own_subject(parts: Sequence[Part]) -> str | None:
    """The first word, when it is one that acts; None when the clause begins with what is done."""
    for part in parts:
        if part.kind in ("time", "age") or part.text in ("那天", "那年", "后", "，", "春天", "夏天", "秋天", "冬天"):
            continue
        is_actor = part.kind in ("person", "noun") or part.text in (*_YOU, "他", "她", "他们", "她们")
        return part.text if is_actor else None
    return None


def _rendered_subject(turned: Sequence[Part]) -> str:
    words = ""
    for part in turned:
        if part.kind in ("time", "age") or part.text in ("那天", "那年", "后", "，", "春天", "夏天", "秋天", "冬天"):
            if words:
                break
            continue
        if part.kind == "person" or part.text in ("您", "你们"):
            words += part.text
        else:
            break
    return words or "您"


def _needs_subject(parts: Sequence[Part], is_told: bool) -> bool:
    first = parts[0]
    if first.kind == "time" and is_told and len(parts) > 1:
        return parts[1].kind == "verb" and parts[1].text not in _WEATHER
    if first.kind == "verb":
        return first.text not in _WEATHER
    return first.text in lists.ADVERBS and first.text not in ("是", "像", "比", "不", "从来", "和")


def _last_person(parts: Sequence[Part]) -> str:
    """您娘, 骆文清先生: the last person named, with the 您 before."""
    for place in range(len(parts) - 1, -1, -1):
        part = parts[place]
        if part.kind == "person" and part.text not in ("孩子们", "姑娘", "客人", "人家", "同事", "爹娘", "父母"):
            has_you = place and parts[place - 1].text == "您"
            return f"您{part.text}" if has_you and not part.text.startswith("您") else part.text
    return ""


def _person_asked(cutter: Cutter, question: str) -> str:
    person = _last_person(cutter.cut(question))
    return person if person.startswith("您") else ""


def _runs(parts: Sequence[Part]) -> Iterator[tuple[int, int, str]]:
    """Stretches that name one thing: a person with a role, a place in a place, a noun with what describes it."""
    start = 0
    while start < len(parts):
        kind = parts[start].kind
        end = start + 1
        if kind == "person":
            while end < len(parts) and (parts[end].kind == "person" or _is_given_name(parts, end)):
                end += 1
            yield start, end, "person"
        elif kind == "place":
            while end < len(parts) and parts[end].kind == "place":
                end += 1
            is_described = end < len(parts) and parts[end].kind in ("noun", "unknown")
            if not is_described:
                yield start, end, "place"
        elif kind in ("noun", "quote", "unknown"):
            while end < len(parts) and parts[end].kind in ("noun", "quote", "unknown"):
                end += 1
            last = parts[end - 1].kind
            if last != "unknown" or end - start > 1:
                yield start, end, "noun"
        start = end


def _is_given_name(parts: Sequence[Part], place: int) -> bool:
    """老大 建平: two characters that no list knows, after a word for a relative."""
    part = parts[place]
    return part.kind == "noun" and len(part.text) == 2 and part.text not in _KNOWN_NOUNS and (
        parts[place - 1].text in lists.KIN
    )


_KNOWN_NOUNS = frozenset(word for words in lists.NOUNS.values() for word in words.split())


def _modified(parts: Sequence[Part], start: int, end: int) -> str:
    """修伞的老郑, 舅舅送的兔子灯: the noun with a short description before it, spoken to the elder."""
    if start < 2 or parts[start - 1].text != "的":
        return ""
    first = start - 2
    while first > 0 and parts[first - 1].kind in ("person", "noun", "place", "verb") and start - first < 4:
        first -= 1
    if parts[first].kind not in ("person", "noun", "place") or parts[first - 1 if first else 0].text == "的":
        return ""
    words = "".join(part.text for part in _turned(parts[first:end], ""))
    return words if 4 <= len(words) <= 10 else ""


def _spots(parts: Sequence[Part]) -> Iterator[tuple[int, int, str]]:
    """What can be asked for, from where to where, and with which word."""
    for place, part in enumerate(parts):
        if part.kind == "time":
            is_dated = "年" in part.text and "年代" not in part.text
            yield place, place + 1, ("哪一年" if is_dated and "月" not in part.text else "什么时候")
        elif part.kind == "age":
            is_then = place + 1 < len(parts) and parts[place + 1].text in ("那年", "时", "的时候")
            yield place, place + 1 + is_then, ("多大的时候" if is_then else "几岁")
        elif part.kind == "amount" and not part.text.startswith(_ARTICLES):
            yield place, place + 1, _how_many(part.text)
    for start, end, kind in _runs(parts):
        before = parts[start - 1] if start else Part("", "other")
        if kind == "person":
            is_mine = before.text == "您"
            is_named = before.text in ("叫", "姓", "名叫")
            if not (is_mine and end < len(parts) and parts[end].text == "的"):
                yield (start - 1 if is_mine else start), end, ("什么名字" if is_named else "谁")
        elif kind == "place":
            yield _place_spot(parts, start, end, before)
        elif before.text in ("叫", "名叫", "小名叫"):
            yield start, end, "什么名字"
        else:
            yield from _noun_spots(parts, start, end, before)


def _how_many(amount: str) -> str:
    match = re.match(r"([0-9.〇零一二两三四五六七八九十百千万几半]+[来多]?)(大?.+)$", amount)
    number, measure = match.groups() if match else (amount, "")
    if _MONEY.match(measure) or "钱" in measure:
        return "多少钱"
    if re.search(r"[一二两三四五六七八九十]", measure):
        return "多少"
    return ("几" if len(number) == 1 and number != "十" else "多少") + measure


def _place_spot(parts: Sequence[Part], start: int, end: int, before: Part) -> tuple[int, int, str]:
    while end + 1 < len(parts) and parts[end].text == "的" and parts[end + 1].kind == "place":
        end += 2
    while start >= 2 and parts[start - 1].text == "的" and parts[start - 2].kind == "place":
        start -= 2
    while end < len(parts) and parts[end].text in _LOCALIZERS:
        end += 1
    led = parts[start - 1].text if start else before.text
    if led == "了" and start > 1:
        led = parts[start - 2].text
    return start, end, ("哪里" if led in _LEADS_TO_PLACE else "什么地方")


def _noun_spots(parts: Sequence[Part], start: int, end: int, before: Part) -> Iterator[tuple[int, int, str]]:
    after = parts[end].text if end < len(parts) else ""
    if after == "的" and end + 1 < len(parts):
        return
    yield start, end, "什么"
    if before.kind == "amount" and before.text.startswith("一"):
        yield start - 1, end, "什么"
    words = "".join(part.text for part in parts[start:end])
    category = _CATEGORY.get(words)
    if category and not after:
        yield start, end, category
