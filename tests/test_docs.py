"""The documents say what the code does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parsl_diaspora.events.schema import json_schema
from parsl_diaspora.failures import CLASSES
from parsl_diaspora.recovery import RULES
from parsl_diaspora.settings import Settings

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", [*CLASSES, *(rule.name for rule in RULES)])
def test_every_failure_class_and_rule_is_documented(name):
    assert f"| `{name}` |" in (ROOT / "docs" / "failures.md").read_text()


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_every_setting_is_documented(name):
    assert f"`{name}`" in (ROOT / "docs" / "settings.md").read_text()


def test_every_reason_of_a_rule_is_documented_as_it_is():
    text = (ROOT / "docs" / "failures.md").read_text()
    assert [rule.name for rule in RULES if rule.reason not in text] == []


def test_the_published_schema_is_that_of_the_code():
    published = json.loads((ROOT / "docs" / "events.schema.json").read_text())
    assert published == json.loads(json.dumps(json_schema()))
