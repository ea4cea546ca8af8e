"""The house rules that no linter checks: lengths, and no assert in the package."""

import ast
from pathlib import Path
from statistics import median

import pytest

FILES = sorted((Path(__file__).parents[1] / "src").rglob("*.py"))
MOST_LINES, MOST_FUNCTION_LINES, MEDIAN_LINES = 250, 45, 110


@pytest.mark.parametrize("path", FILES, ids=lambda path: "/".join(path.parts[-2:]))
def test_files_and_functions_are_short(path: Path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    for node in ast.walk(ast.parse(text)):
        assert not isinstance(node, ast.Assert), f"line {node.lineno}: an assert"
        if isinstance(node, ast.FunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            assert lines <= MOST_FUNCTION_LINES, f"{node.name} has {lines} lines"


def test_most_files_are_shorter():
    assert median(len(path.read_text(encoding="utf-8").splitlines()) for path in FILES) <= MEDIAN_LINES
