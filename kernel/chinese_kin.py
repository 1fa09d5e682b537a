"""Chinese kin: "我娘叫沈阿巧", "孙女思雨", "老周的弟弟德亮", "周德明是我丈夫", "我有两个妹妹，阿英和阿芳".

Chinese has no blanks: where a name ends is known from the people of the graph, or from what follows it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from kernel.kin import Said, own_words

_CALLED = {
    word: kin
    for kin, words in {
        "mother": "母亲 妈妈 老妈 阿妈 姆妈 阿娘 老娘 娘 妈",
        "father": "父亲 爸爸 老爸 阿爸 阿爹 老爹 爹 爸",
        "grandmother": "奶奶 祖母 外婆 姥姥 外祖母 阿婆",
        "grandfather": "爷爷 祖父 外公 姥爷 外祖父 阿公",
        "husband": "丈夫 老公 男人 老头子",
        "wife": "妻子 老婆 太太",
        "spouse": "老伴 爱人",
        "sister": "大姐 二姐 三姐 小姐姐 姐姐 阿姐 姐 大妹 二妹 小妹 妹妹 阿妹 妹 姐妹",
        "brother": "大哥 二哥 三哥 哥哥 阿哥 哥 大弟 二弟 小弟 弟弟 阿弟 弟 兄弟",
        "son": "大儿子 二儿子 小儿子 儿子",
        "daughter": "大女儿 二女儿 小女儿 女儿 闺女",
        "child": "孩子",
        "grandson": "孙子 外孙",
        "granddaughter": "孙女 外孙女",
        "aunt": "姑姑 姑妈 姑母 姨妈 姨母 小姨 婶婶 婶娘 舅妈 舅母 伯母",
        "uncle": "舅舅 大舅 小舅 舅父 叔叔 叔父 小叔 伯伯 伯父 大伯 姑父 姑夫 姨父 姨夫",
        "cousin": "表哥 表姐 表弟 表妹 堂哥 堂姐 堂弟 堂妹",
        "nephew": "侄子 侄儿 外甥",
        "niece": "侄女 外甥女",
        "mother-in-law": "岳母 丈母娘 婆婆",
        "father-in-law": "岳父 丈人 公公",
        "daughter-in-law": "儿媳妇 儿媳",
        "son-in-law": "女婿",
        "sister-in-law": "嫂子 嫂嫂 弟媳",
        "brother-in-law": "姐夫 妹夫",
    }.items()
    for word in words.split()
}
_KIN = "|".join(sorted(_CALLED, key=lambda word: (-len(word), word)))
_WORD = re.compile(rf"(?:{_KIN})(?![家们子辈])")
_OWN = re.compile(r"(?:我|我们|咱|咱们|俺)(?:家|的)?$")
_HAVING = re.compile(r"(?P<whose>我(?:们)?|^)(?:还|只)?(?:有|生了|养了|生过)(?:过)?(?P<count>[一两二三四五六几])?个?$")
_CHAIN = re.compile(rf"(?:我|我们|^|[，。；！？\s])(?P<whose>{_KIN})的$")
#: before a relative of nobody else: "是孙女思雨", "跟舅舅去"; after a family name it would be a neighbour, "孙大姐"
_OPEN = frozenset("，。；！？：、 是跟和给让叫对同把被替找去在到由陪向像送听看说")
#: said of anybody, unless "我" stands before them
_ANYBODYS = frozenset(
    "男人 老头子 孩子 太太 叔叔 伯伯 姐妹 兄弟 阿婆 阿公 大哥 大姐 阿姐 阿哥 婆婆 公公 儿子 女儿".split()
)
_NAMED = re.compile("^(?:名叫|名字叫|的名字是|的名字叫|叫做|叫|是)")
_APPOSED = re.compile("^[，：（]")
_UP_TO_A_MARK = re.compile(r"^[\u4e00-\u9fff]{2,4}(?=[，。、；！？）\s]|$)")
_AND = re.compile("^(?:、|和|跟|与)")
_CHILD = re.compile("老[大二三四五幺小]")
_CHILDREN = re.compile("生了|生过|养了|孩子|儿女")
_MARRIED = (
    (re.compile("我[^，。；！？]{0,6}嫁给了?"), "husband", "嫁"),
    (re.compile("我[^，。；！？]{0,6}娶了"), "wife", "娶"),
    (re.compile("我(?:们)?(?:跟|和|同|与)(?=[^，。；！？]{2,8}结(?:的|了)?婚)"), "spouse", "结婚"),
)

_YOUR = "[您你](?:的|家的?)?(?:第?[大二三四小])?"
_NAME_ASKED = re.compile(
    rf"{_YOUR}(?P<asked>{_KIN})(?:的)?(?:名字|大名|姓名|是谁|(?:名字)?叫(?:什么|啥))|[给为](?P<given>{_KIN})[取起]"
)
_ABOUT = re.compile(
    rf"(?:讲讲|说说|谈谈|聊聊|介绍)(?:一下)?{_YOUR}(?P<told>{_KIN})们?(?:的事情?)?[吧呢吗]?\W*$"
    rf"|[您你]有(?:几个|多少|没有)(?P<had>{_KIN})"
)


def chinese_kin(sentence: str, people: Sequence[str]) -> Iterator[Said]:
    """`people`: names, among them those of the sentence; relatives that are called by no name may be there, too."""
    text = own_words(sentence)
    names = sorted((one for one in people if one not in _CALLED), key=lambda one: (-len(one), one))
    for match in _WORD.finditer(text):
        before, word, after = text[: match.start()], match.group(), text[match.end() :]
        whose = _whose(before, word, names)
        if whose is None:
            continue
        found = _names(before, after, names) or [""]
        yield from (Said(whose=whose, kin=_CALLED[word], called=word, name=name) for name in found)
    if _CHILDREN.search(text):
        for match in _CHILD.finditer(text):
            if name := _starting(text[match.end() :], names):
                yield Said(kin="child", called=match.group(), name=name)
    for pattern, kin, word in _MARRIED:
        for match in pattern.finditer(text):
            if name := _starting(text[match.end() :], names):
                yield Said(kin=kin, called=word, name=name)


def chinese_name_asked(question: str) -> str | None:
    """The relative whose name is asked for. Not "您妈妈的妹妹" or "您儿子的狗"."""
    found = _NAME_ASKED.search(question)
    return _CALLED[found["asked"] or found["given"]] if found else None


def chinese_relative_asked_about(question: str) -> str | None:
    """Whom the whole question is about: "讲讲您的孩子吧。" """
    found = _ABOUT.search(question)
    return _CALLED[found["told"] or found["had"]] if found else None


def _whose(before: str, word: str, names: Sequence[str]) -> str | None:
    """None where that is not said."""
    if _OWN.search(before) or _HAVING.search(before):
        return ""
    if chain := _CHAIN.search(before):
        return chain["whose"]
    if owner := next((name for name in names if before.endswith(f"{name}的")), None):
        return owner
    is_plain = len(word) > 1 and word not in _ANYBODYS
    return "" if is_plain and (not before or before[-1] in _OPEN) else None


def _names(before: str, after: str, names: Sequence[str]) -> list[str]:
    having = _HAVING.search(before)
    called = _NAMED.search(after)
    rest = after[called.end() :] if called else after
    first = _starting(rest, names)
    if called and called.group() == "是" and rest[len(first) :].startswith("的"):
        return []
    if not first and called and called.group() != "是" and (told := _UP_TO_A_MARK.search(rest)):
        return [told.group()]
    if not first and not called and (mark := _APPOSED.search(after)):
        rest = after[mark.end() :]
        first = _starting(rest, names)
        if first and not having and not re.match("[，。）；]|$", rest[len(first) :]):
            return _subject(before, names)
    if not first:
        return _subject(before, names)
    return [first, *_others(rest[len(first) :], names)] if having and having["count"] not in ("一", None) else [first]


def _others(rest: str, names: Sequence[str]) -> Iterator[str]:
    """ "，阿英和阿芳" goes on with "和阿芳"."""
    while mark := _AND.search(rest):
        rest = rest[mark.end() :]
        if not (name := _starting(rest, names)):
            return
        yield name
        rest = rest[len(name) :]


def _subject(before: str, names: Sequence[str]) -> list[str]:
    """ "周德明是我" """
    said = re.search("(?:就)?是我(?:们)?(?:的|家)?$", before)
    if said is None:
        return []
    return [name for name in names if before[: said.start()].endswith(name)][:1]


def _starting(text: str, names: Sequence[str]) -> str:
    return next((name for name in names if text.startswith(name)), "")
