"""The documents say what the code does."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
import yaml

from parsl_diaspora.cli.main import main
from parsl_diaspora.events.schema import json_schema
from parsl_diaspora.fabric.triggers import Pattern
from parsl_diaspora.failures import CLASSES
from parsl_diaspora.recovery import RULES
from parsl_diaspora.settings import Settings
from parsl_diaspora.trigger_settings import Trigger

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("name", [*CLASSES, *(rule.name for rule in RULES)])
def test_every_failure_class_and_rule_is_documented(name):
    assert f"| `{name}` |" in (ROOT / "docs" / "failures.md").read_text()


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_every_setting_is_documented(name):
    assert f"`{name}`" in (ROOT / "docs" / "settings.md").read_text()


def test_triggers_in_the_documents_are_triggers():
    text = (ROOT / "docs" / "settings.md").read_text()
    example = textwrap.dedent(text.partition("    triggers:\n")[2].partition("\nPatterns")[0])
    triggers = Settings(triggers=yaml.safe_load(example)).triggers
    assert len(triggers) == 2
    assert all(Pattern(trigger.pattern) for trigger in triggers)


@pytest.mark.parametrize("name", Trigger.__struct_fields__)
def test_every_option_of_a_trigger_is_documented(name):
    assert f"`{name}`" in (ROOT / "docs" / "settings.md").read_text()


def test_every_reason_of_a_rule_is_documented_as_it_is():
    text = (ROOT / "docs" / "failures.md").read_text()
    assert [rule.name for rule in RULES if rule.reason not in text] == []


def test_the_published_schema_is_that_of_the_code():
    published = json.loads((ROOT / "docs" / "events.schema.json").read_text())
    assert published == json.loads(json.dumps(json_schema()))


@pytest.mark.parametrize("name", ["test", "provoked"])
def test_the_figures_of_rules_and_model_are_what_their_command_prints(name, capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    command = f"model test tests/data/failures/{name}.jsonl"
    assert main(command.split()) == 0
    printed = textwrap.indent(capsys.readouterr().out.rstrip(), "    ")
    printed = "\n".join(line.rstrip() for line in printed.splitlines())
    text = (ROOT / "docs" / "diagnosis.md").read_text()
    shown = text.partition(f"    $ parsl-diaspora {command}\n")[2]
    assert shown.startswith(printed if name == "test" else printed.partition("\n\n    By class")[0])
