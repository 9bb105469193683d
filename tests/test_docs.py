"""The documents say what the code does."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
import yaml

from parsl_diaspora.cli.main import COMMANDS, _parser, main
from parsl_diaspora.events import Failure
from parsl_diaspora.events.schema import json_schema
from parsl_diaspora.fabric.triggers import Pattern
from parsl_diaspora.failures import CLASSES, Context
from parsl_diaspora.failures.remedies import REMEDIES
from parsl_diaspora.failures.rules import CONDITIONS as CONDITIONS_OF_FAILURES
from parsl_diaspora.failures.rules import built_in as failure_rules
from parsl_diaspora.failures.rules import load_rules
from parsl_diaspora.recovery import Policy, built_in, options_of
from parsl_diaspora.recovery.language.conditions import CONDITIONS, MEANINGS
from parsl_diaspora.recovery.language.expressions import FUNCTIONS
from parsl_diaspora.recovery.language.rules import ACTIONS
from parsl_diaspora.recovery.language.words import rule_words
from parsl_diaspora.recovery.situation import EVIDENCE
from parsl_diaspora.settings import Settings
from parsl_diaspora.testing.campaign.sites import new_mark
from parsl_diaspora.testing.processes import MARK_VARIABLE, sweep
from parsl_diaspora.trigger_settings import Trigger

ROOT = Path(__file__).parents[1]
POLICY_KEYS = (
    *("class", "layer", "exception", "exit_code", "log", "func", "attempt", "count", "is", "if"),
    *("try", "to", "resize", "priority", "delay", "wait", "quarantine", "hold", "substitute"),
    *("times", "else", "reason", "do"),
)


def test_every_module_that_the_concepts_name_is_there():
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", (ROOT / "docs" / "concepts.md").read_text())
    assert len(named) > 10
    assert [name for name in named if not (ROOT / "parsl_diaspora" / name).is_file()] == []


def test_every_test_that_the_guarantees_name_is_there():
    named = re.findall(r"`(test_[a-z0-9_]+)`", (ROOT / "docs/guarantees.md").read_text())
    written = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert named
    assert [name for name in named if f"def {name}(" not in written] == []


def test_every_thread_is_in_the_concepts():
    """By its name; those of services by the service's."""
    told = (ROOT / "docs" / "concepts.md").read_text()
    names = set()
    for path in (ROOT / "parsl_diaspora").rglob("*.py"):
        names.update(re.findall(r'"(diaspora-[a-z-]+)', path.read_text(encoding="utf-8")))
    assert {"diaspora-listener", "diaspora-parked"} <= names
    names -= {"diaspora-node", "diaspora-event-sdk"}  # a manager's block, and a package
    assert [name for name in sorted(names) if f"`{name}" not in told and not _of_service(name, told)] == []


def _of_service(name, told):
    return f"`{'-'.join(name.split('-')[:2])}-…`" in told


@pytest.mark.parametrize("name", CLASSES)
def test_every_failure_class_is_documented(name):
    assert f"| `{name}` |" in (ROOT / "docs" / "failures.md").read_text()


@pytest.mark.parametrize("name", CLASSES)
def test_what_to_do_about_every_class_is_documented_as_it_is(name):
    assert f"| `{name}` | {REMEDIES[name]} |" in (ROOT / "docs" / "failures.md").read_text()


@pytest.mark.parametrize("rule", failure_rules().rules, ids=lambda rule: rule.name)
def test_every_rule_of_failures_is_documented_as_it_is(rule):
    row = f"| `{rule.name}` | `{rule.failure_class}` | {rule.confidence:.2f} | {rule.because} |"
    assert row in (ROOT / "docs" / "failures.md").read_text()


@pytest.mark.parametrize("name", CONDITIONS_OF_FAILURES)
def test_every_condition_of_a_rule_of_failures_is_documented(name):
    conditions = (ROOT / "docs" / "failures.md").read_text().partition("| condition |")[2]
    assert f"`{name}`" in conditions


def test_the_rule_of_failures_in_the_documents_is_one(tmp_path):
    text = (ROOT / "docs" / "failures.md").read_text()
    (tmp_path / "rules.yaml").write_text(text.partition("```yaml\n")[2].partition("```")[0])
    full = Failure(
        chain=("parsl.app.errors.BashExitFailure",), exit_code=53, stderr="x: no license left for solve"
    )
    found = load_rules(tmp_path / "rules.yaml").find(full, Context(memory_peak=1, memory_limit=8))
    assert found is not None
    assert found.evidence == "the licence server had none left: no license left (exit code 53)"


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


@pytest.mark.parametrize("rule", built_in().rules, ids=lambda rule: rule.name)
def test_every_rule_is_documented_as_it_is(rule):
    words = rule_words(rule)
    row = f"| `{words.name}` | {words.classes} | {words.when} | {words.does} | {words.reason} |"
    assert row in (ROOT / "docs" / "failures.md").read_text()


@pytest.mark.parametrize("name", CONDITIONS)
def test_every_condition_of_a_policy_is_documented_as_it_is(name):
    assert f"| `{name}` | {MEANINGS[name]} |" in (ROOT / "docs" / "policy.md").read_text()


@pytest.mark.parametrize("name", [*EVIDENCE, *FUNCTIONS, *ACTIONS, *POLICY_KEYS])
def test_every_word_of_policies_is_documented(name):
    assert re.search(rf"`{re.escape(name)}[`(:]", (ROOT / "docs" / "policy.md").read_text())


DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CALL = re.compile(r"^ *(?:\$ )?parsl-diaspora (\S+)(.*)$", re.MULTILINE)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_command_in_a_document_exists_with_its_options(document):
    text = document.read_text().partition("# Errors, and what")[0]  # that page is of wrong ones
    for command, rest in CALL.findall(text):
        assert command in COMMANDS
        parser = _parser(command)
        known = set(_options(parser))
        assert set(re.findall(r"(?<=\s)--[a-z-]+", rest)) <= known, f"{command}{rest}"


def _options(parser):
    for action in parser._actions:
        yield from action.option_strings
        for inner in action.choices.values() if isinstance(action.choices, dict) else ():
            yield from _options(inner)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_python_in_a_document_is_python(document):
    for code in re.findall(r"```python\n(.*?)```", document.read_text(), re.DOTALL):
        compile(code, str(document), "exec")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_of_a_document_leads_somewhere(document):
    for link in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text()):
        assert (document.parent / link).exists(), link


def test_the_first_run_prints_what_its_page_shows_and_its_commands_tell_of_it(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "start.md").read_text()
    (tmp_path / "first.py").write_text(page.partition("```python\n")[2].partition("```")[0])
    mark = new_mark()
    env = {**os.environ, MARK_VARIABLE: mark, "PYTHONPATH": str(ROOT)}
    try:
        program = [sys.executable, "first.py"]
        done = subprocess.run(
            program, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=100, check=False
        )
    finally:
        sweep(mark)
    assert (done.stdout, done.stderr) == (page.partition("```text\n")[2].partition("```")[0], "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARSL_DIASPORA_FABRIC", raising=False)
    commands = re.findall("^    parsl-diaspora (.*)$", page, re.MULTILINE)
    assert len(commands) == 5
    for command in commands:
        assert main(command.split()) == 0, capsys.readouterr()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", (ROOT / "docs" / "policy.md").read_text(), re.DOTALL)


def test_the_policy_in_the_documents_is_one(tmp_path):
    (text,) = blocks("yaml")
    policy = Policy.parse(text, "docs/policy.md")
    assert len(policy.rules) == 8
    assert policy.rules[-1].do.action == "substitute"


def test_the_policy_in_python_in_the_documents_is_one():
    (code,) = blocks("python")
    names: dict[str, Any] = {}
    exec(code, names)
    assert options_of(names["simulate"]).rules == names["policy"].rules
    assert names["simulate"](3) == 3


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
