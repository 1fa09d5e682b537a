"""Admissions: an answer that says it does not remember."""

import re

_ADMISSION = re.compile(
    r"(do(n't|n’t| not)|can(not|'t|’t)|no longer|never) (really |quite |seem to )?(remember|recall|know)"
    r"|no memory of|(have|'ve|’ve) forgotten|I forget|slipped my mind"
    r"|不记得|记不得|记不清|记不起|想不起|不知道|不清楚|忘了|忘记了|没有印象",
    re.IGNORECASE,
)


def admits_not_remembering(answer: str) -> bool:
    return bool(_ADMISSION.search(answer))
