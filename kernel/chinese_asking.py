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

LONGEST_CLAUSE = 30

_YOU = {"我": "您", "我们": "你们", "咱们": "你们", "咱": "你们", "俺": "您", "你": "我", "你们": "我们"}
_ASKER = re.compile("(?<![跟给和让教对诉])我们?(?!想[知听问])")
_ELDERS = frozenset("爸爸 妈妈 父亲 母亲 爹 娘 爸 妈 爹娘 父母 爸妈 外婆 外公 姥姥 姥爷 祖父 祖母".split())
_ASKERS_KIN = re.compile(f"我(?:{'|'.join(lists.KIN)})")
_CONNECTIVE = re.compile(
    "^(?:后来|所以|但是|可是|不过|结果|于是|而且|因为|虽然|然后|其实|好在|原来|那时候|那时|那会儿|那天|当时|当然|反正|只是|幸亏|谁知道|没想到|"
    "嗯|啊|哦|哎|唉|是啊|对了|怎么说呢)[，,]?"
)
_PRESENTS = re.compile("^有|有个|有位|住着|来了|是")
_WEATHER = ("刮", "下", "着火", "出", "刮起", "打", "是", "走了")
_LEADS_TO_PLACE = ("在", "到", "去", "从", "回", "往", "住", "进", "回到", "搬到", "离开", "去了", "住在")
_LOCALIZERS = frozenset("里 上 边 下 外 中 前 后 底下 后头 旁边 门口 里头 外面 附近 对面 上头".split())
_LEADS_ON = re.compile("(?:的时候|那天|那年|那会儿|以后|之后|后|时|前|说|常说|问|讲)$")
_PALE_VERBS = frozenset(
    ("下来 出来 起来 过来 回来 过去 进去 进来 上来 下去 上去 回去 出去 得过 遇到 碰到 拿手 看到 知道 记得 喜欢").split()
)
_MONEY = re.compile("[块元毛角]")
_ARTICLES = ("一", "半", "几")
_CATEGORY = {
    word: key for key, words in lists.NOUNS.items() if key not in ("什么东西", "什么事") for word in words.split()
}


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
    """我的童年 is 您的童年; 跟我, 我想知道, and what a grandchild asks of 我妈 stay."""
    if re.search("[您你]", text) or (text.endswith("？") and _ASKERS_KIN.search(text)):
        return text
    return _ASKER.sub(lambda match: _YOU[match.group()], text)


def clauses_of(cutter: Cutter, question: str, answer: str) -> list[Clause]:
    """Spoken to the elder, each with its subject, 4 to LONGEST_CLAUSE characters."""
    person = _last_person(cutter.cut(question))
    subject, is_told = (person if person.startswith("您") else "您"), False
    found: list[Clause] = []
    for place, words in enumerate(_pieces(answer)):
        parts = list(cutter.cut(words))
        needs_subject = (is_told or not place) and _needs_subject(parts, is_told)
        turned = _turned(parts, "" if needs_subject and person == subject else person)
        person = _last_person(turned) or person
        if needs_subject:
            turned = [Part(subject, "other"), *turned]
        elif _own_subject(_main(parts)) is not None:
            own = _rendered_subject(_main(turned))
            subject, is_told = own or subject, bool(own)
        elif turned[-1].kind == "person" and _PRESENTS.search(words):
            subject, is_told = _last_person(turned) or subject, True
        text = "".join(part.text for part in turned)
        if 4 <= len(text) <= LONGEST_CLAUSE and not re.search("[它我“”「」…]", text):
            found.append(Clause(place, tuple(turned)))
    return found


def told_words(cutter: Cutter, text: str, texts: Sequence[str]) -> list[Told]:
    """Words worth asking about, the rarest among all memories first."""
    found: dict[str, Told] = {}
    parts = cutter.cut(text)
    for start, end, kind in _runs(parts):
        if kind == "noun":
            end = _trimmed(parts, start, end)
        words = "".join(part.text for part in parts[start:end])
        if "我" in words or start == end:
            continue
        if start and kind == "person" and parts[start - 1].text in ("我", "你"):
            words = f"{_YOU[parts[start - 1].text] if texts else '我'}{words}"
        if kind == "noun" and (modified := _modified(parts, start, end)):
            found.setdefault(modified, Told(modified, kind))
        if len(words) >= 2 and (kind != "noun" or len(words) <= 8):
            found.setdefault(words, Told(words, kind))
    for part in parts:
        if not texts and part.kind == "verb" and len(part.text) > 1 and part.text not in _PALE_VERBS:
            found.setdefault(part.text, Told(part.text, "noun"))
        if part.kind == "time" and re.search("年|月", part.text):
            year = re.match("[^年]+年", part.text)
            words = year.group() if year else part.text
            found.setdefault(words, Told(words, "time"))
        if part.kind == "age" and re.search(f"(?:^|[，。]){part.text}(?:那年|时|的时候)?，?我|我{part.text}", text):
            found.setdefault(part.text, Told(f"您{part.text}的时候", "time"))
    order = list(found.values())
    return sorted(order, key=lambda one: sum(one.text.lstrip("您") in other for other in texts) > 2)


def _pieces(answer: str) -> Iterator[str]:
    """Clauses between commas; one too short to stand alone, or that leans on the one before, goes with it."""
    for sentence in sentences(answer):
        held = ""
        for piece in re.split(r"[，；：,;]|——", re.sub(r"[。！？!?\n]+$", "", sentence)):
            piece = _CONNECTIVE.sub("", piece.strip())
            leans = re.match("[就才也都还]", piece) and len(held) + len(piece) < 18
            if len(held) >= 5 and not leans and not (_LEADS_ON.search(held) and len(held) < 18):
                yield held
                held = ""
            held = f"{held}，{piece}" if held and piece else held or piece
        if len(held) >= 4:
            yield held


def _turned(parts: Sequence[Part], person: str) -> list[Part]:
    """我 is 您, a bare 娘 is 您娘, and a leading 他 is whoever was spoken of last."""
    found: list[Part] = []
    for place, part in enumerate(parts):
        before = parts[place - 1] if place else Part("", "other")
        if part.text in _YOU:
            found.append(Part(_YOU[part.text], "other"))
        elif part.text in ("他", "她") and person and all(one.kind != "person" for one in parts[:place]):
            found.append(Part(person, "person"))
        elif part.text in _ELDERS and before.text not in _OWNERS and before.kind not in ("person", "noun"):
            found += [Part("您", "other"), part]
        else:
            found.append(part)
    return found


_OWNERS = frozenset("我 你 您 他 她 的 我们 他们 咱 家 老".split())


def _main(parts: Sequence[Part]) -> Sequence[Part]:
    """What follows 通水那天，."""
    for place, part in enumerate(parts[:-1]):
        if part.text == "，" and place and re.search("时候?$|那天|那年|[以之]?后$|前$", parts[place - 1].text):
            return parts[place + 1 :]
    return parts


_WHEN = frozenset(
    "， 后 那天 那年 那时 那时候 那会儿 春天 夏天 秋天 冬天 早上 上午 中午 下午 晚上 夜里 半夜 傍晚 "
    "有一回 有一次 有一年 有一天 头一回 头一次 第一次 后来 以前 从前 现在 每天 每年".split()
)


def _own_subject(parts: Sequence[Part]) -> str | None:
    """The first word, when it is one that acts; None when the clause begins with what is done."""
    for part in parts:
        if part.kind in ("time", "age") or part.text in _WHEN:
            continue
        is_actor = part.kind in ("person", "noun") or part.text in (*_YOU, "他", "她", "他们", "她们")
        return part.text if is_actor else None
    return None


def _rendered_subject(turned: Sequence[Part]) -> str:
    words = ""
    for part in turned:
        if part.kind in ("time", "age") or part.text in _WHEN:
            if words:
                break
            continue
        if part.kind == "person" or part.text in ("您", "你们"):
            words += part.text
        else:
            break
    return words


def _needs_subject(parts: Sequence[Part], is_told: bool) -> bool:
    first = parts[0]
    if any(part.text in _YOU for part in parts[:4]):
        return False
    if first.kind == "time" and is_told and len(parts) > 1:
        return parts[1].kind == "verb" and parts[1].text not in _WEATHER
    second = parts[1] if len(parts) > 1 else first
    if second.kind == "amount" or second.text == "的":
        return first.kind == "verb" and second.text != "的"
    if first.kind == "verb":
        return first.text not in _WEATHER
    return first.text in lists.ADVERBS and first.text not in ("是", "像", "比", "不", "从来", "和")


def _last_person(parts: Sequence[Part]) -> str:
    """您娘, 骆文清先生: the last person named, with the 您 before."""
    for place in range(len(parts) - 1, -1, -1):
        part = parts[place]
        if part.kind == "person" and part.text not in (
            "孩子们",
            "姑娘",
            "客人",
            "人家",
            "同事",
            "爹娘",
            "父母",
        ):
            has_you = place and parts[place - 1].text == "您"
            return f"您{part.text}" if has_you and not part.text.startswith("您") else part.text
    return ""


def _runs(parts: Sequence[Part]) -> Iterator[tuple[int, int, str]]:
    """Stretches that name one thing: a person with a role, a place in a place, a noun and what it is like."""
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
            if end < len(parts) and parts[end].kind == "place":
                end += 1
                yield start, end, "place"
            elif parts[end - 1].kind != "unknown" or end - start > 1:
                yield start, end, "place" if _is_led_to(parts, start, end) else "noun"
        start = end


def _is_led_to(parts: Sequence[Part], start: int, end: int) -> bool:
    """到平水去: a word of no list, where one goes."""
    if end - start > 1 or parts[start].text in _KNOWN_NOUNS or not start:
        return False
    after = parts[end].text if end < len(parts) else ""
    return parts[start - 1].text in ("到", "去", "从", "回", "回到", "搬到") and after in (
        "去",
        "来",
        "",
        "，",
        "做",
        "当",
    )


def _trimmed(parts: Sequence[Part], start: int, end: int) -> int:
    """Without a lone last character that is rather what the noun does: 手 抖."""
    while end > start and parts[end - 1].kind == "unknown" and parts[end - 1].text not in lists.NOUN_ENDINGS:
        end -= 1
    return end


def _is_given_name(parts: Sequence[Part], place: int) -> bool:
    """老大 建平: two characters that no list knows, after a word for a relative."""
    part = parts[place]
    return (
        part.kind == "noun"
        and len(part.text) == 2
        and part.text not in _KNOWN_NOUNS
        and (parts[place - 1].text in lists.KIN)
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
            after = parts[end] if end < len(parts) else Part("", "other")
            is_household = parts[end - 1].text.endswith("家") and after.kind in ("place", "noun")
            if not (is_mine and after.text == "的") and not is_household:
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
    led = parts[start - 1] if start else before
    if led.text == "了" and start > 1:
        led = parts[start - 2]
    after = parts[end] if end < len(parts) else Part("", "other")
    if after.kind == "person":
        return start, end, "哪里的"
    if led.text in _LEADS_TO_PLACE or after.text == "的":
        return start, end, "哪里"
    return start, end, ("什么" if led.kind in ("verb", "amount") else "什么地方")


def _noun_spots(parts: Sequence[Part], start: int, end: int, before: Part) -> Iterator[tuple[int, int, str]]:
    after = parts[end].text if end < len(parts) else ""
    if after in ("得", "那天", "那年") or (after == "的" and end + 1 < len(parts)):
        return
    end = _trimmed(parts, start, end)
    if end == start:
        return
    yield start, end, "什么"
    if before.kind == "amount" and before.text.startswith("一"):
        yield start - 1, end, "什么"
    words = "".join(part.text for part in parts[start:end])
    category = _CATEGORY.get(words)
    if category and not after and before.text != "的":
        yield start, end, category
