"""The shape of the code: short functions, and modules that can be read at one go."""

from __future__ import annotations

import ast
import re
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1] / "parsl_diaspora"
LONGEST_FUNCTION = 60  # lines, signature and docstring included
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


def test_each_module_that_a_package_tells_of_is_there():
    missing = []
    for path in PACKAGE.rglob("__init__.py"):
        told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        named = re.findall(r"(?<![/\w])[a-z_]+\.py\b", told) + re.findall(r"(?m)^\s*([a-z_]+/)\s", told)
        missing += [f"{path.parent}: {name}" for name in named if not any(path.parent.rglob(name.strip("/")))]
    assert missing == []
