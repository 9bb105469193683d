"""Each error that a user can provoke says what is wrong and what to do, and is documented as it is said."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from parsl_diaspora import errors
from parsl_diaspora.errors import DiasporaError
from parsl_diaspora.executors import errors as executor_errors
from parsl_diaspora.fabric.octopus.errors import Refusal
from tests.user_errors.page import ELSEWHERE, GROUPS, all_cases, entry

PAGE = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
CASES = list(all_cases())
#: Bases that others derive from, and are not raised themselves.
BASES = {"DiasporaError", "TaskFailure"}
CLASSES = [
    each.__name__
    for module in (errors, executor_errors)
    for _, each in inspect.getmembers(module, inspect.isclass)
    if issubclass(each, DiasporaError) and each.__module__ == module.__name__
]


@pytest.mark.timeout(240)  # one of them waits for a whole program with its pools
@pytest.mark.parametrize(("group", "case"), CASES, ids=[f"{group}-{case.title}" for group, case in CASES])
def test_the_error_is_said_as_documented_and_tells_what_to_do(group, case):
    said = case.provoke()
    section = PAGE.partition(f"## {group}\n")[2].partition("\n## ")[0]
    assert entry(case, said) in section, "docs/errors.md is out of date: make errors"
    assert said.hint or case.is_own_text or not said.kind


def test_the_page_tells_of_nothing_else():
    assert PAGE.count("\n**") == len(CASES)
    assert re.findall(r"^## (.*)$", PAGE, re.MULTILINE) == [
        *(title for title, _, _ in GROUPS),
        "Not provoked here",
    ]


@pytest.mark.parametrize("name", sorted({*CLASSES, Refusal.__name__} - BASES))
def test_every_class_of_errors_is_documented(name):
    assert f"\n{name}: " in PAGE or name in ELSEWHERE


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_said_not_to_be_provoked_is_not(name):
    assert f"\n{name}: " not in PAGE
