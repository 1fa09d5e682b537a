"""The table of what the five documents name is true: each file, each name in it and each test is there."""

import ast
import re
from collections.abc import Iterator

import pytest

from config.settings import ROOT

TABLE = (ROOT / "docs" / "seeds.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
    for line in TABLE.splitlines()
    if line.startswith("| ") and not line.startswith("| it names")
]


def named_in(tree: ast.AST, within: str = "") -> Iterator[str]:
    """Functions, classes, their members and constants: "Talk", "Talk.say"."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield within + node.name
            if isinstance(node, ast.ClassDef):
                yield from named_in(node, f"{within}{node.name}.")
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (within + target.id for target in targets if isinstance(target, ast.Name))


def places(cell: str) -> list[tuple[str, str]]:
    return re.findall(r"`([^`]+?)::([^`]+)`", cell)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_what_a_row_says_is_so(row: list[str]) -> None:
    names, here, tests, _ = row
    assert names and places(here)
    assert places(tests) or tests == "measured, not tested"
    assert all(file.startswith("tests/") and name.startswith("test_") for file, name in places(tests))
    for file, name in places(here) + places(tests):
        text = (ROOT / file).read_text(encoding="utf-8")
        known = set(named_in(ast.parse(text))) if file.endswith(".py") else text
        assert name in known, f"{file} has no {name}"


@pytest.mark.parametrize(
    "name",
    (
        "LLMInterface L2DataProcessor graphrag_indexing compare_eval TrainProcessService TrainProgressHolder "
        "create_and_prepare_model OllamaTrainer"
    ).split(),
)
def test_a_name_that_is_another_one_here_is_explained(name: str) -> None:
    [row] = [row for row in ROWS if re.search(rf"\b{name}\b", row[0])]
    assert row[3]
