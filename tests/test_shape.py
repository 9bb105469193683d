"""The shape of the code: short functions, and modules that can be read at one go."""

from __future__ import annotations

import ast
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "parsl_diaspora"
LONGEST_FUNCTION = 50  # lines
LONGEST_MODULE = 400


def functions():
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield f"{path.relative_to(PACKAGE)}:{node.name}", (node.end_lineno or 0) - node.lineno + 1


def test_no_function_is_too_long_to_be_seen_whole():
    assert {name: lines for name, lines in functions() if lines > LONGEST_FUNCTION} == {}


def test_no_module_is_too_long_to_be_read_at_one_go():
    lines = {
        str(path.relative_to(PACKAGE)): len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")
    }
    assert {name: count for name, count in lines.items() if count > LONGEST_MODULE} == {}
