"""Follow-ups: "And where was she then?" cannot be searched for without the question before it."""

import re
from collections.abc import Callable, Sequence

from kernel.language import tokens
from kernel.retrieval import Found
from kernel.sample import Message

FEW = 1  #: content words of an English question; of a Chinese one as many characters with their pair
_CHINESE_FEW = 3

_POINTS_BACK = re.compile(
    r"\b(?:he|him|his|she|hers?|it|its|they|them|their|theirs|that|this|those|these|there|then)\b"
    r"|[他她它]|那时|那儿|那里|这个|那个|那次|当时|后来",
    re.IGNORECASE,
)
_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")


def find_in_talk(question: str, history: Sequence[Message], find: Callable[[str], Found]) -> Found:
    """What is found for the question; with the user's one before it where it leans on that.

    "Was there a dog?" points back only to the eye: what is surely meant by the question itself is taken.
    """
    before = next((turn.content for turn in reversed(history) if turn.role == "user"), "")
    if not before or not leans(question):
        return find(question)
    if not _says_little(question) and (found := find(question)).is_sure:
        return found
    return find(f"{before} {question}")


def leans(question: str) -> bool:
    """Whether it points back, or holds hardly a word to search for."""
    return bool(_POINTS_BACK.search(question)) or _says_little(question)


def _says_little(question: str) -> bool:
    return len(set(tokens(question))) <= (_CHINESE_FEW if _CJK.search(question) else FEW)
