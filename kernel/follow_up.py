"""Follow-ups: "And where was she then?" cannot be searched for without the question before it."""

import re
from collections.abc import Sequence

from kernel.language import tokens
from kernel.sample import Message

FEW = 1  #: content words of an English question; of a Chinese one as many characters with their pair
_CHINESE_FEW = 3

_POINTS_BACK = re.compile(
    r"\b(?:he|him|his|she|hers?|it|its|they|them|their|theirs|that|this|those|these|there|then)\b"
    r"|[他她它]|那时|那儿|那里|这个|那个|那次|当时|后来",
    re.IGNORECASE,
)
_CJK = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")


def searched_for(question: str, history: Sequence[Message]) -> str:
    """The question; with the user's one before it where it leans on that."""
    before = next((turn.content for turn in reversed(history) if turn.role == "user"), "")
    return f"{before} {question}" if before and leans(question) else question


def leans(question: str) -> bool:
    """Whether it points back, or holds hardly a word to search for."""
    few = _CHINESE_FEW if _CJK.search(question) else FEW
    return bool(_POINTS_BACK.search(question)) or len(set(tokens(question))) <= few
