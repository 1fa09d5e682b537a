"""Kin names: whose name a question asks for, and which memory tells it.

"What was your mother called?" shares one word and little meaning with "My mother, Dora, took in sewing". And who was
asked about the children tells their names, often without another word for them: "We had two. Susan came in 1963."
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from kernel.chinese_kin import chinese_kin, chinese_name_asked, chinese_relative_asked_about
from kernel.english_kin import english_kin, english_name_asked, english_relative_asked_about
from kernel.language import detect_language, sentences

if TYPE_CHECKING:
    from kernel.memory import Memory

#: Who may be told of under another word: "I married Arthur", "we had one child, Susan".
_WIDER = {
    "husband": "spouse",
    "wife": "spouse",
    "son": "child",
    "daughter": "child",
    "grandson": "grandchild",
    "granddaughter": "grandchild",
}


def name_asked(question: str) -> str | None:
    """The elder's own relative whose name is asked for, one of kernel.kin.KINDS; None where no relative's is."""
    return _widest(chinese_name_asked(question) or english_name_asked(question))


def names_told(memory: Memory) -> frozenset[str]:
    """The elder's relatives whom the memory names, or was asked about, as `name_asked` gives them."""
    is_chinese = detect_language(memory.answer) == "zh"
    named = [
        said.kin
        for sentence in sentences(memory.answer)
        for said in (chinese_kin(sentence, ()) if is_chinese else english_kin(sentence))
        if said.name and not said.whose
    ]
    asked = chinese_relative_asked_about(memory.question) or english_relative_asked_about(memory.question)
    return frozenset(kin for one in [*named, asked] if (kin := _widest(one)))


def _widest(kin: str | None) -> str | None:
    return _WIDER.get(kin, kin) if kin else None
