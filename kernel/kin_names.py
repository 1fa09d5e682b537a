"""Kin names: whose name a question asks for, and whose a memory tells.

"What was your mother called?" shares one word and little meaning with "My mother, Dora, took in sewing".
"""

from kernel.chinese_kin import chinese_kin, chinese_name_asked
from kernel.english_kin import english_kin, english_name_asked
from kernel.language import detect_language, sentences

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
    kin = chinese_name_asked(question) or english_name_asked(question)
    return _WIDER.get(kin, kin) if kin else None


def names_told(text: str) -> frozenset[str]:
    """The relatives of the one who speaks that the text names, as `name_asked` gives them."""
    is_chinese = detect_language(text) == "zh"
    return frozenset(
        _WIDER.get(said.kin, said.kin)
        for sentence in sentences(text)
        for said in (chinese_kin(sentence, ()) if is_chinese else english_kin(sentence))
        if said.name and not said.whose
    )
