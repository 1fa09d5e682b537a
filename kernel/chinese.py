"""Chinese phrasing: questions made from an interviewer's question and from the elder's own clauses.

The words of a question come from the memory or from fixed lists of synonyms. There is no segmenter:
kernel/chinese_parts.py finds the words that can be asked for.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

from kernel import chinese_words as lists
from kernel.chinese_asking import as_you, clauses_of, told_words
from kernel.chinese_parts import Cutter
from kernel.memory import Memory

_MARKED = re.compile(r"\[([^\]]+)\]")
_ADDRESSED = re.compile(f"^(?:{'|'.join(lists.KIN)})[，,]")
_STATEMENT = re.compile(
    r"^(?:请|能不能|能|可以)?(?:您|你)?(?:再)?(?:跟我们?|给我们?|和我们?)?"
    r"(?:讲一讲|说一说|谈一谈|讲讲|说说|谈谈|聊聊|介绍一下|回忆一下|描述一下|介绍介绍)(.+?)(?:吧|吗|好吗|好不好)?$"
)
_ASKS = re.compile("什么|谁|哪|怎|多少|几|为何|多大|多久|有没有|是不是|能不能|会不会|啥")
_TOPIC = (
    "跟我说说{}吧。",
    "您能讲讲{}吗？",
    "我想听听{}。",
    "{}是什么样的？",
    "{}，您还记得吗？",
    "关于{}，您还记得些什么？",
    "能不能给我讲讲{}？",
    "我想多知道一点{}。",
    "{}怎么样？",
    "请您回忆一下{}。",
)
_ASK = (
    "{}？",
    "{}？",
    "{}呢？",
    "您还记得{}吗？",
    "我想知道{}。",
    "请问{}？",
    "能告诉我{}吗？",
    "给我讲讲{}吧。",
    "说说看，{}？",
    "一直没问过您，{}？",
    "{}来着？",
    "{}？跟我讲讲吧。",
)
_ASK_WHETHER = (
    "{}吗？",
    "是不是{}？",
    "{}吗？跟我讲讲吧。",
    "我想问问，{}吗？",
    "{}吗？是怎么回事？",
    "说说看，{}吗？",
)
_BLANKED = (
    "{}？",
    "{}？",
    "{}？",
    "您还记得{}吗？",
    "请问{}？",
    "{}来着？",
    "我想知道{}。",
    "能告诉我{}吗？",
    "说说看，{}？",
    "说到{t}，{}？",
)
_WHOLE = (
    "{}，是怎么回事？",
    "{}，后来呢？",
    "是不是{}？",
    "{}，这件事您还记得吗？",
    "{}，能再讲讲吗？",
    "{}，那是什么时候的事？",
    "您说过{}，是吗？",
    "我想听{}的故事。",
)
_TOLD: dict[str, tuple[str, ...]] = {
    "any": (
        "跟我说说{}吧。",
        "关于{}，您记得什么？",
        "您还记得{}吗？",
        "{}的事，能讲讲吗？",
        "我想听听{}的事。",
        "提到{}，您想起什么？",
        "说起{t}，您提过{}，是吗？",
        "说到{t}，{}是怎么回事？",
        "{}",
        "{}呢？",
    ),
    "person": ("{}是谁？", "{}做过什么？", "{}是个怎样的人？", "您跟{}有过什么事？", "{}后来怎么样了？"),
    "place": (
        "您在{}做过什么？",
        "您去{}做什么？",
        "在{}发生过什么？",
        "{}跟您有什么关系？",
        "{}在哪里？",
    ),
    "noun": (
        "{}是怎么回事？",
        "{}是怎么来的？",
        "{}是什么样的？",
        "{}后来怎么样了？",
        "什么事跟{}有关？",
        "哪一回有{}？",
    ),
    "amount": ("{}是怎么回事？", "什么是{}？"),
    "time": (
        "{}发生了什么？",
        "{}您在做什么？",
        "{}的事您还记得吗？",
        "{}出了什么事？",
        "{}您怎么了？",
        "{}，{t}？",
    ),
}
_TWO = (
    "{a}跟{b}是怎么回事？",
    "{a}和{b}有什么关系？",
    "{a}、{b}，您还记得吗？",
    "跟我讲讲{a}和{b}吧。",
    "{a} {b}",
    "{a}跟{b}的那件事，您讲讲。",
)
_FEMALE = re.compile("我嫁|嫁给|我丈夫|我老公|我男人|我怀|婆家|我出嫁|干姐妹|红旗手|坐月子|我婆婆|当新娘|女工")
_MALE = re.compile("我娶|娶了|我老婆|我媳妇|我妻子|丈人|岳母|岳父|我当兵|我参军|我入伍|光屁股|当新郎")
_ADDRESSES = {"female": ("奶奶", "姥姥", "外婆"), "male": ("爷爷", "姥爷", "外公"), "": ()}
#: What an elder's spouse is not called.
_ODD = {
    "female": frozenset(("妻子", "老婆", "媳妇")),
    "male": frozenset(("丈夫", "老公")),
    "": frozenset(("妻子", "老婆", "媳妇", "丈夫", "老公")),
}
_SPOUSE = re.compile("您?(?:老伴|丈夫|爱人|老公|妻子|老婆)(?!儿|们)")


class ChinesePhrasing:
    def __init__(self, memories: Sequence[Memory]) -> None:
        self._texts = tuple(f"{memory.question}\n{memory.answer}" for memory in memories)
        self._all = "\n".join(self._texts)
        self._cutter = Cutter(self._texts)
        self._gender = _gender(self._all)
        self._addresses = tuple(one for one in _ADDRESSES[self._gender] if one not in self._all)
        self._spouse = {"female": "爷爷", "male": "奶奶", "": ""}[self._gender]

    def questions(self, memory: Memory, count: int, rng: random.Random) -> list[str]:
        asking = _Asking(memory, self._cutter, self._texts, _ODD[self._gender], rng)
        found = [memory.question] if memory.question else []
        wanted = _bigrams(f"{memory.question}\n{memory.answer}")
        tries = 0
        while len(found) < count and tries < 60 * count:
            tries += 1
            question = _tidy(self._voiced(asking.one(), rng))
            is_near = bool(_bigrams(question) & wanted) or tries > 40 * count
            if question and question not in found and is_near and len(question) <= 48:
                found.append(question)
        return found[:count]

    def clauses(self, memory: Memory) -> list[tuple[str, str]]:
        clauses = clauses_of(self._cutter, _asked(memory), memory.answer)
        return [(_tidy(f"{blank}？"), clause.text()) for clause in clauses for blank in clause.blanks()]

    def about(self, name: str, rng: random.Random) -> str:
        kinds = {part.kind for part in self._cutter.cut(name)}
        special = (
            lists.ABOUT_PERSON if "person" in kinds else lists.ABOUT_PLACE if "place" in kinds else lists.ABOUT_THING
        )
        return rng.choice(lists.ABOUT_ANY + special).format(name)

    def whole_unanswerable(self) -> list[str]:
        return [self._shown(one) for one in lists.QUESTIONS if self._is_unknown(one)]

    def unanswerable(self, rng: random.Random) -> list[str]:
        """Half whole questions, half a grid of small ones; some about people whom memories do hold."""
        whole = self.whole_unanswerable()
        rng.shuffle(whole)
        grid = self._about_the_known(rng) + self._about_strangers(rng) + self._acts(rng) + self._years(rng)
        rng.shuffle(grid)
        mixed = [one for pair in zip(whole, grid, strict=False) for one in pair]
        rest = grid[len(whole) :] + whole[len(grid) :]
        return list(dict.fromkeys(self._unsaid_you(one, rng) for one in mixed + rest))[:400]

    def greetings(self) -> list[tuple[str, str]]:
        return list(lists.GREETINGS)

    def self_questions(self) -> list[str]:
        return list(lists.SELF_QUESTIONS)

    def _voiced(self, question: str, rng: random.Random) -> str:
        """As a grandchild says it: the elder's spouse by the grandchild's word, an address, 你 for 您."""
        if self._spouse and self._spouse not in self._all and rng.random() < 0.15:
            question = _SPOUSE.sub(self._spouse, question)
        if self._addresses and rng.random() < 0.08:
            question = f"{rng.choice(self._addresses)}，{question}"
        return question.replace("您", "你") if rng.random() < 0.12 else question

    def _unsaid_you(self, question: str, rng: random.Random) -> str:
        if self._addresses and rng.random() < 0.06:
            question = f"{rng.choice(self._addresses)}，{question}"
        return question.replace("您", "你") if rng.random() < 0.12 else question

    def _is_unknown(self, marked: str) -> bool:
        """Whether no memory holds a telling word of it, nor a synonym."""
        telling = [word for match in _MARKED.findall(marked) for word in match.split("|")]
        for group in lists.SYNONYMS:
            if any(word in group for word in telling):
                telling += group
        return not any(word in self._all for word in telling)

    def _shown(self, marked: str) -> str:
        return _MARKED.sub(lambda match: match.group(1).split("|")[0], marked)

    def _about_the_known(self, rng: random.Random) -> list[str]:
        """What no memory says of somebody whom memories do hold."""
        asked = [one for one in lists.KIN_QUESTIONS if self._is_unknown(one)]
        people = _people(self._cutter, self._texts)
        if not people or not asked:
            return []
        pairs = [(one, person) for one in asked for person in people]
        return [self._shown(one).format(k=person) for one, person in rng.sample(pairs, min(110, len(pairs)))]

    def _about_strangers(self, rng: random.Random) -> list[str]:
        """Of relatives whom no memory names."""
        strangers = [self._shown(one) for one in lists.RELATIVES if self._is_unknown(one)]
        strangers = [one for one in strangers if one != self._spouse]
        return [one.format(k=stranger) for stranger in strangers for one in rng.sample(lists.RELATIVE_QUESTIONS, 2)]

    def _acts(self, rng: random.Random) -> list[str]:
        found = []
        for verb, marked in lists.ACTS:
            if self._is_unknown(marked):
                forms = lists.ACT_QUESTIONS[:2] if verb in ("得", "遇到") else lists.ACT_QUESTIONS
                found.append(rng.choice(forms).format(v=verb, o=self._shown(marked)))
        return found

    def _years(self, rng: random.Random) -> list[str]:
        hanzi = str.maketrans("0123456789", "〇一二三四五六七八九")
        years = [str(year) for year in range(1935, 2015)]
        unknown = [one for one in years if one not in self._all and one.translate(hanzi) not in self._all]
        return [
            rng.choice(lists.YEAR_QUESTIONS).format(x=one.translate(hanzi) if rng.random() < 0.7 else one)
            for one in rng.sample(unknown, min(8, len(unknown)))
        ]


class _Asking:
    """An endless supply of ways to ask for one memory."""

    def __init__(
        self, memory: Memory, cutter: Cutter, texts: Sequence[str], odd: frozenset[str], rng: random.Random
    ) -> None:
        self._rng = rng
        self._odd = odd
        self._cutter = cutter
        self._question = _asked(memory)
        self._told = told_words(cutter, memory.answer, texts)
        self._topics = [one.text for one in told_words(cutter, self._question, ())]
        self._clauses = clauses_of(cutter, self._question, memory.answer)
        self._blanks = [(clause, blank) for clause in self._clauses for blank in clause.blanks()]

    def one(self) -> str:
        ways: list[tuple[float, Callable[[], str]]] = []
        if self._question:
            ways.append((3.2, self._reworded))
        if self._blanks:
            ways.append((3.6, self._blanked))
        if self._clauses:
            ways.append((0.9, self._whole))
        if self._told:
            ways += [(1.8, self._told_word), (0.8, self._two)]
        if any(one.kind == "time" for one in self._told):
            ways.append((0.6, self._time))
        if not ways:
            return self._rng.choice(lists.ABOUT_ANY).format("这件事")
        return self._rng.choices([way for _, way in ways], [weight for weight, _ in ways])[0]()

    def _reworded(self) -> str:
        question = self._swapped(self._turned(self._question), 0.65)
        statement = _STATEMENT.match(question)
        if statement:
            return self._rng.choice(_TOPIC).format(statement.group(1))
        if not _ASKS.search(question) and not question.endswith("吗"):
            return self._rng.choice(_TOPIC).format(question)
        if question.endswith("吗"):
            return self._whether(question.removesuffix("吗"))
        if re.search("记得|有没有|是不是|会不会|能不能", question):
            ways = [one for one in _ASK if "记得" not in one and "来着" not in one]
        else:
            ways = list(_ASK)
        return self._rng.choice(ways).format(re.sub("呢$", "", question))

    def _whether(self, question: str) -> str:
        match = re.match(r"^(.*?[您你])(?!有没有)((?:有|[^，有]{1,4}过).*)$", question)
        if match and self._rng.random() < 0.5:
            has = match.group(2) if match.group(2).startswith("有") else f"有没有{match.group(2)}"
            has = re.sub("^有(?!没有)", "有没有", has)
            return self._rng.choice((*_ASK[:2], "我想知道{}。", "请问{}？", "说说看，{}？")).format(
                match.group(1) + has
            )
        if "记得" in question:
            return self._rng.choice(("{}吗？", "{}吗？讲讲吧。", "{}吗？我想听听。")).format(question)
        return self._rng.choice(_ASK_WHETHER).format(question)

    def _turned(self, question: str) -> str:
        """The same question in another order, when it has one of a few common shapes."""
        if self._rng.random() < 0.5:
            return question
        turned = re.sub(r"^([^，]{2,12})是谁$", r"谁是\1", question)
        turned = re.sub(r"^[您你](小时候|年轻时|年轻的时候|结婚后|退休后|退休以后)(.+)$", r"\1您\2", turned)
        if turned == question:
            turned = re.sub(r"^(小时候|年轻时|年轻的时候)您", r"您\1", turned)
        return re.sub(r"是怎么(.{1,10})的$", r"怎么\1的", turned)

    def _blanked(self) -> str:
        clause, blank = self._rng.choice(self._blanks)
        asked = self._swapped(blank, 0.3)
        ways = _BLANKED if self._topics and clause.place else _BLANKED[:-1]
        return self._rng.choice(ways).format(asked, t=self._topic())

    def _whole(self) -> str:
        said = self._swapped(self._rng.choice(self._clauses).text(), 0.3)
        ways = [one for one in _WHOLE if "什么时候" not in one or "年" not in said]
        return self._rng.choice(ways).format(said)

    def _told_word(self) -> str:
        told = self._rng.choice(self._told[:12])
        kind = told.kind if told.kind in _TOLD else "noun"
        ways = [one for one in _TOLD["any"] + _TOLD[kind] * 2 if self._topics or "{t}" not in one]
        return self._rng.choice(ways).format(told.text, t=self._topic())

    def _two(self) -> str:
        pool = [one.text for one in self._told[:10] if one.kind != "time"] + self._topics
        if len(pool) < 2:
            return self._told_word()
        first, second = self._rng.choice(pool), self._rng.choice(pool)
        if first in second or second in first:
            return self._told_word()
        return self._rng.choice(_TWO).format(a=first, b=second)

    def _time(self) -> str:
        told = self._rng.choice([one for one in self._told if one.kind == "time"])
        ways = [one for one in _TOLD["time"] if self._topics or "{t}" not in one]
        return self._rng.choice(ways).format(told.text, t=self._topic())

    def _topic(self) -> str:
        return self._rng.choice(self._topics) if self._topics else "那件事"

    def _swapped(self, text: str, chance: float) -> str:
        """Up to two words swapped, each from another group."""
        parts = [part.text for part in self._cutter.cut(text)]
        places = list(range(len(parts)))
        self._rng.shuffle(places)
        swapped = 0
        for place in places:
            groups = _GROUPS.get(parts[place], ())
            if groups and swapped < 2 and self._rng.random() < chance:
                others = [one for one in self._rng.choice(groups) if one not in self._odd]
                parts[place] = self._rng.choice([one for one in others if one != parts[place]] or [parts[place]])
                swapped += 1
        return "".join(parts)


def _asked(memory: Memory) -> str:
    """The interviewer's question, spoken to the elder, without an address and the mark at its end."""
    return _ADDRESSED.sub("", re.sub(r"[。？！?!.\s]+$", "", as_you(memory.question)))


_GROUPS = {
    word: tuple(group for group in lists.SYNONYMS if word in group)
    for word in {word for group in lists.SYNONYMS for word in group}
}
_LIGHT = frozenset("的了是在我你他她您和与就都也还很有这那吗呢吧啊着过把被给跟从到什么谁哪怎多少记得说讲想知道能时候事")


def _bigrams(text: str) -> frozenset[str]:
    """Two characters side by side, neither a particle nor a word of asking."""
    return frozenset(
        text[i : i + 2]
        for i in range(len(text) - 1)
        if re.fullmatch(r"[\w]{2}", text[i : i + 2]) and not _LIGHT & set(text[i : i + 2])
    )


def _gender(text: str) -> str:
    female, male = len(_FEMALE.findall(text)), len(_MALE.findall(text))
    return "female" if female > male else "male" if male > female else ""


def _people(cutter: Cutter, texts: Sequence[str]) -> list[str]:
    """Named people as they are; the elder's own kin as 您娘."""
    found: dict[str, None] = {}
    for text in texts:
        parts = cutter.cut(text.split("\n", 1)[1])
        for before, part in zip((None, *parts), parts, strict=False):
            if part.kind != "person" or part.text in ("孩子", "孩子们", "男人", "老人"):
                continue
            if part.text in lists.KIN:
                if before is not None and before.text == "我":
                    found[f"您{part.text}"] = None
            elif part.text not in lists.ROLES and not part.text.endswith(("家", "们")):
                found[part.text] = None
    return list(found)


def _tidy(question: str) -> str:
    question = re.sub(r"\s+", " ", question).strip().replace("是不是是", "是不是")
    question = re.sub(r"[，。、；：,]+(?=[？。！，])", "", question)
    question = re.sub(r"([？。！])[？。！]+", r"\1", question)
    question = re.sub(r"(您|你|的|您们)\1", r"\1", question)
    question = re.sub(r"的事的事|的事的故事", "的事", question)
    return question.lstrip("，、。；")
