"""Rules of failures from a file: what they may say, and what is wrong with those that cannot be."""

from __future__ import annotations

import textwrap
import time

import pytest

from parsl_diaspora.errors import SettingsError
from parsl_diaspora.events import Failure
from parsl_diaspora.failures import CLASSES, Context, Diagnoser
from parsl_diaspora.failures.diagnosis import diagnoser_for
from parsl_diaspora.failures.rules import built_in, load_rules
from parsl_diaspora.settings import Settings

ODD = Failure(chain=("study.Odd", "builtins.Exception"), message="the licence server is away", exit_code=7)


@pytest.fixture
def rules(tmp_path):
    def load(text):
        path = tmp_path / "rules.yaml"
        path.write_text(textwrap.dedent(text))
        return load_rules(path)

    return load


def rule(when, more=""):
    return f"- {{name: own, class: network, because: it is so, when: {{{when}}}{more}}}\n"


@pytest.mark.parametrize(
    "when",
    [
        "exception: Odd",
        "exception: study.Odd",
        "exception: [KeyError, builtins.Exception]",
        "message: licence",
        "text: '(?i)LICENCE'",
        "exit_code: 7",
        "exit_code: [1, 5-9]",
        "phase: run",
        "phase: [lost, run]",
        "facts: {walltime_left: '> 5'}",
        "facts: {block_state: RUNNING, node_gone: false}",
        "exception: Odd, exit_code: 5-9, message: server, facts: {walltime_left: '<= 10'}",
    ],
)
def test_a_rule_matches_when_all_its_conditions_hold(rules, when):
    found = rules(rule(when)).find(ODD, Context(walltime_left=10.0, block_state="RUNNING"))
    assert found is not None
    assert (found.rule, found.failure_class, found.evidence) == ("own", "network", "it is so")


@pytest.mark.parametrize(
    "when",
    [
        "exception: Od",
        "message: '^server'",
        "exit_code: 8-9",
        "stderr: licence",
        "phase: pack",
        "errno: ENOSPC",
        "signal: any",
        "out_of_memory: true",
        "facts: {walltime_left: '> 10'}",
        "facts: {memory_part: '> 0.1'}",
        "facts: {node_gone: true}",
        "exception: Odd, exit_code: 8",
    ],
)
def test_a_rule_does_not_match_when_one_of_them_does_not(rules, when):
    assert rules(rule(when)).find(ODD, Context(walltime_left=10.0)) is None


def test_the_words_of_a_rule_are_filled_in_with_what_was_found(rules):
    words = "'{type}: {found}; {memory_part:.0%}'"
    text = f"- {{name: own, class: memory, when: {{message: 'lic\\w+ \\w+'}}, because: {words}}}"
    found = rules(text).find(ODD, Context(memory_peak=9, memory_limit=10))
    assert found.evidence == "Odd: licence server; 90%"


def test_words_about_facts_that_nobody_knows_stay_as_they_are(rules):
    text = "- {name: own, class: memory, when: {message: licence}, because: 'it had {memory_part:.0%}'}"
    assert "memory_part" in rules(text).find(ODD, Context()).evidence


def test_the_sites_own_rules_come_before_the_built_in_ones(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(rule("exception: MemoryError"))
    diagnoser = diagnoser_for(Settings(failure_rules=str(path)))
    found = diagnoser.diagnose(Failure(chain=("builtins.MemoryError",)))
    assert (found.failure_class, found.rule) == ("network", "own")
    assert diagnoser.diagnose(Failure(chain=("builtins.ZeroDivisionError",), phase="run")).rule != "own"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("- {name: a, class: memroy, because: b, when: {phase: run}}", 1, "Did you mean 'memory'?"),
        ("- name: a\n  class: bug\n  becuase: b\n", 3, "Did you mean 'because'?"),
        ("- name: a\n  class: bug\n  because: b\n  when:\n    exeption: x\n", 5, "Did you mean 'exception'?"),
        ("- name: a\n  class: bug\n  because: b\n  when:\n    message: '('\n", 5, "is no pattern"),
        ("- name: a\n  class: bug\n  because: b\n  when: {phase: runn}\n", 4, "Did you mean 'run'?"),
        ("- {name: a, class: bug, because: b, when: {errno: ENOSPACE}}", 1, "Did you mean 'ENOSPC'?"),
        ("- {name: a, class: bug, because: b, when: {signal: SIGKIL}}", 1, "Did you mean 'SIGKILL'?"),
        ("- {name: a, class: bug, because: b, when: {exit_code: many}}", 1, "is no exit code"),
        ("- {name: a, class: bug, because: b, when: {facts: {memory: 1}}}", 1, "has no 'memory'"),
        ("- {name: a, class: bug, because: b, when: {facts: {memory_peak: '> x'}}}", 1, "is no comparison"),
        ("- {name: a, class: bug, because: '{oops}', when: {phase: run}}", 1, "which there is not"),
        ("- {name: a, class: bug, because: '{', when: {phase: run}}", 1, "cannot be filled in"),
        ("- {name: a, class: bug, because: b, confidence: 2, when: {phase: run}}", 1, "up to 1"),
        ("- {name: a, class: bug, because: b}", 1, "must have 'when'"),
        ("- {name: a, class: bug, because: b, when: {phase: run}}\n" * 2, 2, "two rules called 'a'"),
        ("- {name: a, name: b}", 1, "stands here twice"),
        ("rules: 1", 0, "must be a list"),
        ("- [", 1, "no YAML"),
        ("- 7", 0, "must be a mapping"),
    ],
)
def test_a_file_that_cannot_be_is_refused_with_its_line_and_what_to_do(rules, text, line, words):
    with pytest.raises(SettingsError) as caught:
        rules(text)
    assert words in str(caught.value)
    assert "rules.yaml" in str(caught.value)
    assert f"line {line}" in str(caught.value) or not line or "no YAML" in words


def test_a_file_that_is_not_there_is_named():
    with pytest.raises(SettingsError, match=r"/nowhere/rules\.yaml cannot be read"):
        load_rules("/nowhere/rules.yaml")


def test_every_built_in_rule_gives_a_class_that_exists_under_a_name_of_its_own():
    rules = built_in().rules
    assert {rule.failure_class for rule in rules} <= set(CLASSES)
    assert len({rule.name for rule in rules}) == len(rules)


def test_a_diagnosis_takes_well_under_a_millisecond():
    diagnoser = Diagnoser()
    failure = Failure(chain=ODD.chain, message="x " * 900, stderr="y " * 900, frame="a.py:f:1")
    diagnoser.diagnose(failure)
    began = time.perf_counter()
    for _ in range(50):
        diagnoser.diagnose(failure)
    assert (time.perf_counter() - began) / 50 < 0.005  # a few hundred microseconds on an idle machine
