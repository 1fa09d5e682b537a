"""Errors in Chinese: whatever reason the code gives in English, its reader finds none of it in a Chinese sentence."""

import ast
import re
from collections.abc import Iterator

import pytest

from config.settings import ROOT
from kernel.errors import (
    BadLine,
    BudgetSpent,
    EngineUnavailable,
    HeirloomError,
    NotEnoughMemory,
    StageFailed,
    StageKeepsDying,
    TooLarge,
)
from kernel.left_brain_pipeline import PIPELINES
from kernel.reason import STAGES, in_chinese
from modelserver.cli.words import read_sentences

_TOLD = frozenset({"reason", "what", "how", "limit"})
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_MEASURE = re.compile(r"BLANK (kB|MB|GB|calls|tokens)")


def test_every_reason_that_the_code_gives_is_there_in_chinese() -> None:
    given = {text for text in _given() if not _MEASURE.fullmatch(text)}
    assert len(given) > 40
    missing = {text for text in given if not _CHINESE.search(in_chinese(text)) and not _is_only_blanks(text)}
    assert not missing, "kernel/reason.py lacks these"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (BadLine(line=1, reason="not JSON"), "第 1 行无法读取（不是有效的 JSON）。"),
        (BadLine(line=2, reason="'question' is longer than 2000 characters"), "（“question”超过了 2000 个字）"),
        (TooLarge(what="The answer", limit="200 kB"), "回答超过了 200 kB。"),
        (TooLarge(what="The question on line 7", limit="2000 characters"), "第 7 行的问题超过了 2000 个字。"),
        (NotEnoughMemory(model="m", kind="RAM", need_gb="9", have_gb="1"), "约需 9 GB 内存"),
        (StageFailed(stage="train_sft", reason="it ended with code 3"), "“学习老人的话”阶段失败（进程退出，代码 3）。"),
        (StageKeepsDying(stage="merge", attempts=5), "“合并学到的内容”阶段已使工作进程中断 5 次"),
        (BudgetSpent(limit="500 calls", setting="X"), "（500 次提问）已用完"),
        (EngineUnavailable(engine="ollama", reason="it did not answer in time"), "：响应超时。"),
    ],
)
def test_a_chinese_sentence_holds_no_english_reason(error: TooLarge, sentence: str) -> None:
    assert sentence in error.message("zh")


def test_the_english_sentence_and_what_is_kept_stay_as_they_were() -> None:
    error = BadLine(line=1, reason="not JSON")
    assert "(not JSON)" in error.message("en")
    assert error.details == {"line": 1, "reason": "not JSON"}


def test_a_reason_that_nobody_wrote_stays_as_it_is() -> None:
    for said in ("RuntimeError: odd", "", "{braces}", "x" * 100_000, "publish"):
        assert in_chinese(said) == said


def test_stages_have_one_chinese_name_everywhere() -> None:
    words = read_sentences()
    names = {stage.name for stages in PIPELINES.values() for stage in stages}
    assert {name: STAGES[name] for name in names} == {name: words[f"stage.{name}"]["zh"] for name in names}


def _given() -> Iterator[str]:
    """Every text that is written where an error is raised, its blanks as BLANK (or a number)."""
    for folder in ("kernel", "adapters", "workers", "config", "modelserver"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call):
                    name = ast.unparse(node.func).rpartition(".")[2]
                    is_error = name[:1].isupper() and name != "CliError"
                    values = [one.value for one in node.keywords if is_error and one.arg in _TOLD]
                    values += node.args[:1] if name in ("_unavailable", "unavailable", "_cannot") else []
                    prefix = "llama.cpp could not " if name == "_cannot" else ""
                elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in _TOLD:
                    values, prefix = [node.value], ""
                else:
                    continue
                yield from (prefix + text for value in values if (text := _text(value)))


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if not isinstance(node, ast.JoinedStr):
        return ""
    return "".join(str(one.value) if isinstance(one, ast.Constant) else _blank(one) for one in node.values)


def _blank(node: ast.expr) -> str:
    """`where` may be empty; a constant, a status or a code is a number."""
    name = ast.unparse(node).strip("{}f'\"")
    if name == "where":
        return ""
    return "7" if name.isupper() or name.endswith(("status", "status_code", "returncode")) else "BLANK"


def _is_only_blanks(text: str) -> bool:
    return not re.search(r"[a-z]", text)


def test_every_error_is_one_line_in_both_languages() -> None:
    left, seen = [HeirloomError], 0
    while left:
        kind = left.pop()
        left += kind.__subclasses__()
        seen += 1
        assert "\n" not in kind().message("en") + kind().message("zh"), kind.__name__
    assert seen > 30
