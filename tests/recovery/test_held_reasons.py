"""Reasons for holding a task have numbers that stay, and are documented."""

from __future__ import annotations

from pathlib import Path

import pytest

from parsl_diaspora.events import Diagnosis
from parsl_diaspora.failures import CLASSES
from parsl_diaspora.recovery import held_reasons
from parsl_diaspora.recovery.held_reasons import OWN_NUMBERS, REASONS, reason_for

DOCS = (Path(__file__).parents[2] / "docs" / "held.md").read_text()


@pytest.mark.parametrize("reason", REASONS.values(), ids=lambda reason: str(reason.number))
def test_each_reason_is_documented_with_its_suggestion(reason):
    assert f"| {reason.number} | {reason.text} | {reason.suggestion} |" in DOCS


def test_numbers_stay_the_same():
    assert {number: reason.text for number, reason in REASONS.items()} == {
        1: "somebody asked for it",
        2: "a rule of the policy holds it",
        3: "nothing explains its failure",
        4: "the place lacks something that it needs",
        5: "it needs more memory than it had",
        6: "a disk or limit of the place is used up",
        7: "no place takes it",
        8: "a service that it calls does not answer",
        9: "what it waited for did not come in time",
    }
    assert max(REASONS) < OWN_NUMBERS


@pytest.mark.parametrize("name", CLASSES)
def test_each_failure_class_has_a_reason(name):
    assert reason_for(Diagnosis(failure_class=name)).number in REASONS


def test_reasons_are_given_by_classes_that_exist():
    assert set(held_reasons._OF_CLASSES) <= set(CLASSES)
