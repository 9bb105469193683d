"""A text that matches a pattern holds one of the literals that are looked for first."""

from __future__ import annotations

import re

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parsl.app.errors import BashExitFailure

from parsl_diaspora.failures.literals import needed_literals
from parsl_diaspora.failures.rules import BUILT_IN

PATTERNS = [
    str(rule["when"][key])
    for rule in yaml.safe_load(BUILT_IN.read_text())
    for key in ("text", "message", "stderr")
    if key in rule["when"]
]


@pytest.mark.parametrize("pattern", PATTERNS, ids=range(len(PATTERNS)))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_text_that_matches_is_passed_over(pattern, data):
    text = data.draw(st.from_regex(re.compile(pattern, re.ASCII)))
    literals = needed_literals(pattern)
    assert not literals or any(literal in text.lower() for literal in literals)


@pytest.mark.parametrize("pattern", PATTERNS, ids=range(len(PATTERNS)))
def test_every_built_in_pattern_is_looked_for_by_literals_first(pattern):
    assert needed_literals(pattern)


def test_no_rule_for_bash_apps_searches_the_message_that_all_of_them_raise():
    message = str(BashExitFailure("render", 1)).lower()
    for rule in yaml.safe_load(BUILT_IN.read_text()):
        if "BashExitFailure" in rule["when"].get("exception", "BashExitFailure"):
            for key in ("text", "message", "stderr"):
                literals = needed_literals(rule["when"].get(key, ""))
                assert not [each for each in literals if each in message], rule["name"]
