"""Language: Chinese or English, sentences, and the words that a search goes by. No models, no dictionaries.

Sentences are exact substrings of their text, so that quoting one never changes a person's words.
"""

import re
import unicodedata
from itertools import pairwise

# 。！？ end a Chinese sentence wherever they stand; .!? end an English one before a blank and a capital.
_CJK = r"\u3400-\u4dbf\u4e00-\u9fff"
_CLOSERS = "”’』」）)\"'"
_END = re.compile(rf"[。！？!?…]+[{_CLOSERS}]*(?=[{_CJK}“‘『「（])|[。！？]+[{_CLOSERS}]*|\n+")
_ENGLISH_END = re.compile(rf"[.!?…]+[{_CLOSERS}]*\s+(?=[“‘\"'(]?[A-Z0-9{_CJK}])")
_LONGEST_ABBREVIATION = 16  #: characters looked at before a full stop
_ABBREVIATIONS = frozenset(
    "mr mrs ms miss dr st prof rev sr jr col capt lt sgt gen hon no vs etc e.g i.e a.m p.m approx".split()
)
_WORD = re.compile(rf"[a-z0-9]+(?:['’][a-z]+)?|[{_CJK}]+")
_LATIN = "[0-9a-zà-ɏ]"
_CJK_RUN = re.compile(rf"[{_CJK}]+")

#: One word of English, or one character of Chinese.
WORD_OR_CHARACTER = re.compile(rf"[a-z0-9]+(?:['’][a-z]+)?|[{_CJK}]", re.IGNORECASE)

STOP_WORDS = frozenset(
    """a about after again all also am an and any anything are around as at be because been before
    being but by can could did do does doing done down during each ever every for from get got had
    has have having he her here hers herself him himself his how i if in into is it its itself just
    ll m me more most my myself no nor not of off oh on once one only or other our ours out over own
    please re recall remember s said same say she should so some something such t tell than that the
    their theirs them themselves then there these they thing things this those through to too under
    until up us ve very was we well were what when where which while who whom whose why will with
    would yes you your yours yourself d""".split()
)
_ZH_STOP_WORDS = re.compile(
    "什么|怎么样|怎么|怎样|哪里|哪儿|哪个|哪年|哪些|多少|为什么|谁|记得|还记得|告诉|讲讲|说说|能不能|是不是|有没有|"
    "时候|我们|你们|他们|她们|咱们|自己|一个|那个|这个|那些|这些|那时|一下|没有|因为|所以|但是|可是|后来"
)
_ZH_STOP_CHARACTERS = frozenset(
    "的了是在我你他她它您和与就都也还很有这那哪吗呢吧啊呀么之着过把被给跟从到对而或又再才只不没请"
)

# What the young call otherwise: the question says "mum" or "radio" where the memory says "mother" or "wireless".
_ALSO_CALLED = {
    alias: name
    for name, aliases in {
        "mother": "mum mummy mom mommy mam mama ma",
        "father": "dad daddy pa papa pop",
        "grandmother": "gran granny grandma nan nana nanny",
        "grandfather": "grandad granddad grandpa gramps",
        "child": "kid children",
        "husband": "hubby",
        "radio": "wireless",
        "telephone": "phone",
        "television": "telly tv",
        "bicycle": "bike",
        "aeroplane": "plane airplane",
        "photograph": "photo",
        "refrigerator": "fridge",
        "film": "movie",
        "母亲": "妈妈 老妈 妈 娘 阿妈 姆妈",
        "父亲": "爸爸 老爸 爸 爹 阿爸",
        "祖父": "爷爷 阿公",
        "祖母": "奶奶 阿婆",
        "外祖父": "外公 姥爷",
        "外祖母": "外婆 姥姥",
        "丈夫": "老公 爱人 老伴",
        "妻子": "老婆 媳妇",
        "收音机": "无线电 话匣子 半导体",
        "自行车": "脚踏车 单车",
        "火柴": "洋火",
        "肥皂": "洋皂 洋胰子",
        "煤油": "洋油",
        "缝纫机": "洋机",
        "结婚": "成亲 成家",
    }.items()
    for alias in aliases.split()
}
_ZH_ALSO_CALLED = re.compile(
    "|".join(sorted((word for word in _ALSO_CALLED if not word.isascii()), key=len, reverse=True))
)
_IRREGULAR = dict(
    pair.split(":")
    for pair in """
    began:begin begun:begin born:birth bought:buy broke:break broken:break brought:bring built:build
    came:come caught:catch chose:choose cut:cut drank:drink drove:drive ate:eat eaten:eat fell:fall
    fallen:fall fed:feed fought:fight found:find flew:fly forgot:forget forgotten:forget gave:give
    given:give went:go gone:go grew:grow grown:grow heard:hear hid:hide held:hold kept:keep
    knew:know known:know learnt:learn led:lead left:leave lost:lose made:make meant:mean met:meet
    paid:pay ran:run rode:ride rose:rise sang:sing sung:sing sat:sit saw:see seen:see sent:send
    slept:sleep sold:sell spent:spend spoke:speak stood:stand stole:steal swam:swim swore:swear
    taken:take took:take taught:teach thought:think threw:throw told:tell trod:tread wept:weep
    won:win wore:wear worn:wear wrote:write written:write men:man women:woman feet:foot teeth:tooth
    wives:wife lives:life wedding:marry wed:marry married:marry marriage:marry""".split()
)
_DIGITS = str.maketrans("〇零一二三四五六七八九", "00123456789")
_ZH_YEAR = re.compile("[一二][〇零一二三四五六七八九]{3}")
_YEAR = re.compile(r"(?<!\d)(1[89]\d\d|20\d\d)(?!\d)")


def weight(text: str) -> int:
    """How much is said, in Latin letters; a Chinese character says as much as three."""
    return len(text) + 2 * sum(map(len, _CJK_RUN.findall(text)))


def detect_language(text: str, fallback: str = "en") -> str:
    """ "zh" or "en": whichever writes more words; a Chinese character counts as half a word."""
    hanzi = sum(len(run) for run in _CJK_RUN.findall(text))
    words = len(re.findall(r"[A-Za-zÀ-ɏ]+", text))
    if hanzi == words == 0:
        return fallback
    return "zh" if hanzi > 2 * words else "en"


def sentences(text: str) -> list[str]:
    """The text's sentences in order, with their marks, stripped; both languages, also mixed."""
    cuts = {match.end() for match in _END.finditer(text)}
    cuts |= {match.end() for match in _ENGLISH_END.finditer(text) if not _is_abbreviation(text, match.start())}
    edges = [0, *sorted(cuts), len(text)]
    pieces = (text[start:end].strip() for start, end in pairwise(edges))
    return [piece for piece in pieces if piece]


def tokens(text: str) -> list[str]:
    """What a lexical search compares: stemmed English content words; Chinese characters and bigrams.

    Case, full-width forms, what relatives and things are also called, and Chinese-written years are folded; stop words
    are dropped.
    """
    plain = fold_years(unicodedata.normalize("NFKC", text).lower())
    found: list[str] = []
    for word in _WORD.findall(plain):
        found.extend(_hanzi_tokens(word) if _CJK_RUN.match(word) else _english_tokens(word))
    return found


def content_words(text: str) -> list[str]:
    """English content words as they are written, in order; Chinese has no blanks, so none."""
    words = re.findall(r"[A-Za-z][A-Za-z’'-]*[A-Za-z]", text)
    return [word for word in words if word.lower().split("'")[0].split("’")[0] not in STOP_WORDS]


def years(text: str) -> list[int]:
    """Years named in the text, in order: "1962", "一九六二年"."""
    return [int(year) for year in _YEAR.findall(fold_years(text))]


def fold_years(text: str) -> str:
    """ "一九六二年" as "1962年"."""
    return _ZH_YEAR.sub(lambda match: match.group().translate(_DIGITS), text)


def names(text: str, title: str) -> bool:
    """Whether the title stands in the text, in any case, as whole words; Chinese has no blanks, so there anywhere."""
    wanted = re.escape(_plain(title))
    return bool(wanted) and re.search(rf"(?<!{_LATIN}){wanted}(?!{_LATIN})", _plain(text)) is not None


def stem(word: str) -> str:
    """A light stem of a lower-case English word: plural, -ed, -ing, and the common irregular forms."""
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    for ending in ("ing", "ed"):
        base = word.removesuffix(ending)
        if base != word and len(base) > 2 and re.search("[aeiouy]", base):
            return _undouble(base)
    if word.endswith(("sses", "shes", "ches", "xes")):
        return word[:-2]
    if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3:
        word = word[:-1]
    return word.removesuffix("e") if len(word) > 3 else word


def _undouble(base: str) -> str:
    """ "stopp" is "stop"; "bak" and "bake" meet without the e."""
    if base[-1] == base[-2] and base[-1] not in "lsz":
        return base[:-1]
    return base[:-1] + "y" if base.endswith("i") else base.removesuffix("e")


def _english_tokens(word: str) -> list[str]:
    word = re.split("['’]", word)[0]
    if word in STOP_WORDS:
        return []
    return [stem(_ALSO_CALLED.get(word) or _ALSO_CALLED.get(word.removesuffix("s"), word))]


def _hanzi_tokens(run: str) -> list[str]:
    found: list[str] = []
    run = _ZH_ALSO_CALLED.sub(lambda match: _ALSO_CALLED[match.group()], run)
    for piece in _ZH_STOP_WORDS.sub(" ", run).split():
        parts = "".join(" " if character in _ZH_STOP_CHARACTERS else character for character in piece).split()
        for part in parts:
            found.extend(part)
            found.extend(part[i : i + 2] for i in range(len(part) - 1))
    return found


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _is_abbreviation(text: str, dot: int) -> bool:
    if text[dot] != ".":
        return False
    before = re.search(r"[A-Za-z.]+$", text[max(0, dot - _LONGEST_ABBREVIATION) : dot])
    if before is None:
        return False
    word = before.group()
    return word.lower() in _ABBREVIATIONS or (len(word) == 1 and word.isupper() and word != "I")
