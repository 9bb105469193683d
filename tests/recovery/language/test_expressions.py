"""Expressions over the evidence: what they may say, that the unknown never holds, that nothing escapes."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora.recovery.language.expressions import Expression, ExpressionError
from parsl_diaspora.recovery.situation import EVIDENCE
from tests.recovery.situations import situation, situations

NAMES = ["a", "b", "text", "none"]
VALUES = {"a": 3, "b": 0.5, "text": "CUDA error", "none": None}

TRUE = [
    "a == 3",
    "a > 2 and b < 1",
    "a > 9 or b < 1",
    "not a > 9",
    "1 < a <= 3",
    "a * b + 1 == 2.5",
    "a % 2 == 1 and -a < 0",
    "'CUDA' in text",
    "text not in ['x', 'y']",
    "lower(text) == 'cuda error' and startswith(text, 'CU') and endswith(text, 'or')",
    "min(a, b) == b and max(a, 9) == 9 and abs(-a) == a",
    "known(a) and not known(none)",
    "2 * GB == 2000000000 and GiB > GB",
    "none > 1 or a == 3",  # what is unknown does not matter
]
NOT_TRUE = [
    "a == 4",
    "none == 1",
    "not none == 1",
    "none > 1 and a == 3",
    "a > none",
    "text > 3",
    "a / 0 > 1",
    "text * 9",
]


@pytest.mark.parametrize("text", TRUE)
def test_a_true_expression_holds(text):
    assert Expression(text, NAMES).holds(VALUES)


@pytest.mark.parametrize("text", NOT_TRUE)
def test_a_false_expression_does_not_hold_and_neither_does_one_about_what_nobody_told(text):
    assert not Expression(text, NAMES).holds(VALUES)


@pytest.mark.parametrize(
    "text",
    [
        *("", "a =", "a = 3", "a; b", "a\nb", "lambda: a", "[x for x in a]", "a if b else a", "f'{a}'"),
        *("a.b", "a[0]", "a ** 9", "a << 3", "c", "open('x')", "__import__('os')", "min(a)", "min(*a)"),
        *("known(3)", "known(a, b)", "a is b", "None", "b'x'", "{'a': 1}", "(y := 3)", "a" * 501),
        *("not " * 120 + "a", "(" * 200 + "a" + ")" * 200, "~a", "min(a, b, key=a)", "\x00"),
    ],
)
def test_anything_else_is_refused_or_harmless(text):
    with contextlib.suppress(ExpressionError):
        assert Expression(text, NAMES).holds(VALUES) in (True, False)


def test_which_names_are_not_known_can_be_asked():
    assert Expression("a > 1 and none > 2", NAMES).unknown(VALUES) == ["none"]


@given(st.text(max_size=30))
def test_no_text_does_more_than_be_refused(text):
    with contextlib.suppress(ExpressionError):
        Expression(text, NAMES).holds(VALUES)


@given(situations(), st.sampled_from(EVIDENCE), st.sampled_from(EVIDENCE))
def test_all_evidence_can_be_spoken_of_in_any_situation(where, one, other):
    assert Expression(f"{one} == {other} or {one} > 3", list(EVIDENCE)).holds(where.evidence) in (True, False)


def test_what_nobody_has_told_is_not_known():
    assert not Expression("known(node) or known(exit_code) or known(missing)", list(EVIDENCE)).holds(
        situation().evidence
    )
