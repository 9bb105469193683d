"""Policies, rules of failures and models that cannot be used, and options of an app that make no sense."""

from __future__ import annotations

from tests.user_errors.case import Case

USE = 'resilient(config, policy="policy.yaml")'
RULE = "rules:\n  - name: disk\n    when: {{class: {when}}}\n    do: {do}\n    reason: the disk is full\n"


def policy(title: str, text: str) -> Case:
    """A policy file that cannot be used."""
    return Case(title, code=USE, files={"policy.yaml": text})


def rule(title: str, *, when: str = "disk_full", do: str = "other executor") -> Case:
    """One whose rule cannot."""
    return policy(title, RULE.format(when=when, do=do))


POLICY = (
    Case("A file that is not there", code=USE),
    policy("A file that is empty", ""),
    policy("A file that is no YAML", "rules: [name: disk\n"),
    policy("A key that does not exist", "rulez: []\n"),
    policy("Rules that are no list", "rules: {name: disk}\n"),
    policy("A budget of a class that does not exist", "budgets: {memroy: 3}\n"),
    policy("A total that is too large", "max_tries: 100000\n"),
    policy("A rule without a name", "rules:\n  - do: fail\n    reason: why not\n"),
    policy("A rule that does nothing", "rules:\n  - name: disk\n    reason: why not\n"),
    policy("A rule without a reason", "rules:\n  - name: disk\n    do: fail\n"),
    policy(
        "Two rules of one name",
        "rules:\n"
        "  - {name: disk, when: {class: disk_full}, do: fail, reason: it is full}\n"
        "  - {name: disk, when: {class: memory}, do: fail, reason: it is full}\n",
    ),
    policy(
        "A rule that can never decide",
        "rules:\n"
        "  - {name: all, do: fail, reason: nothing helps}\n"
        "  - {name: disk, when: {class: disk_full}, do: fail, reason: it is full}\n",
    ),
    policy(
        "A rule for an attempt that there is not",
        "max_tries: 3\n"
        "rules:\n"
        '  - {name: late, when: {attempt: "> 4"}, do: fail, reason: it was tried often}\n',
    ),
    policy(
        "A rule for more times than there are tries",
        "max_tries: 3\nrules:\n  - {name: disk, do: here, times: 5, reason: it may pass}\n",
    ),
    rule("A class that does not exist", when="disk_fill"),
    policy(
        "A layer that does not exist",
        "rules:\n  - {name: app, when: {layer: aplication}, do: fail, reason: a bug}\n",
    ),
    policy(
        "A condition that does not exist",
        "rules:\n  - {name: disk, when: {is: first_los}, do: fail, reason: a bug}\n",
    ),
    policy(
        "An exit code that is none",
        "rules:\n  - {name: code, when: {exit_code: many}, do: fail, reason: a bug}\n",
    ),
    policy(
        "A regular expression that is none",
        "rules:\n  - {name: log, when: {log: 'no license (left'}, do: fail, reason: a bug}\n",
    ),
    policy(
        "An expression with a name that there is not",
        "rules:\n  - {name: big, when: {if: memry_peak > 4 * GB}, do: fail, reason: a bug}\n",
    ),
    policy(
        "An expression that does more than compare",
        "rules:\n  - {name: big, when: {if: 'open(\"/etc/passwd\")'}, do: fail, reason: a bug}\n",
    ),
    rule("Something that cannot be done", do="somewhere else"),
    rule("Two things at once", do="{fail: true, hold: true}"),
    rule("Too much delay", do="{try: here, delay: 1000000}"),
    rule("A delay and a wait", do="{try: here, delay: 3, wait: {for: 'executor:gpu', at_most: 60}}"),
    rule("A wait without an end", do="{try: here, wait: {for: 'executor:gpu'}}"),
    rule("A wait for what cannot be waited for", do="{try: here, wait: {for: full moon, at_most: 60}}"),
    rule("Memory that is no size", do="{try: here, resize: {memory: much}}"),
    rule("A substitute without a value", do="substitute"),
    rule("An executor that does not exist", do="{try: other executor, to: [gpuu]}"),
    policy(
        "A reason with a name that there is not",
        "rules:\n  - {name: disk, do: fail, reason: 'the disk of {plaice} is full'}\n",
    ),
)

RULES = (
    Case("A file that is not there", code='resilient(config, failure_rules="failures.yaml")'),
    Case(
        "A class that does not exist",
        code='resilient(config, failure_rules="failures.yaml")',
        files={
            "failures.yaml": (
                "- name: no-license\n  class: licence\n  confidence: 0.9\n"
                "  when: {text: no license left}\n  because: the licence server had none left\n"
            )
        },
    ),
    Case(
        "A condition that does not exist",
        code='resilient(config, failure_rules="failures.yaml")',
        files={
            "failures.yaml": (
                "- name: no-license\n  class: network\n  confidence: 0.9\n"
                "  when: {texte: no license left}\n  because: the licence server had none left\n"
            )
        },
    ),
    Case(
        "A confidence that is none",
        code='resilient(config, failure_rules="failures.yaml")',
        files={
            "failures.yaml": (
                "- name: no-license\n  class: network\n  confidence: 90\n"
                "  when: {text: no license left}\n  because: the licence server had none left\n"
            )
        },
    ),
    Case(
        "An exit code, signal or error number that does not exist",
        code='resilient(config, failure_rules="failures.yaml")',
        files={
            "failures.yaml": (
                "- name: full\n  class: disk_full\n  confidence: 0.9\n"
                "  when: {errno: ENOSPACE}\n  because: the disk is full\n"
            )
        },
    ),
)

MODEL = (
    Case("A file that is not there", code='resilient(config, failure_model="model.json")'),
    Case(
        "A file that is no model",
        code='resilient(config, failure_model="model.json")',
        files={"model.json": '{"format": 1}'},
    ),
)

APPS = (
    Case(
        "Without parentheses",
        code="@python_app\n@resilience\ndef simulate(seed):\n    return seed",
    ),
    Case("A class that does not exist", code='@resilience(retries={"memroy": 3})\ndef simulate(seed): ...'),
    Case("A budget below zero", code='@resilience(retries={"memory": -1})\ndef simulate(seed): ...'),
    Case("A budget that is no number", code='@resilience(retries={"memory": "3"})\ndef simulate(seed): ...'),
    Case("A total below one", code="@resilience(max_tries=0)\ndef simulate(seed): ..."),
    Case("Memory that is no size", code='@resilience(memory="much")\ndef simulate(seed): ...'),
    Case("No memory at all", code="@resilience(memory=0)\ndef simulate(seed): ..."),
    Case("What is no exception", code='@resilience(non_retryable=("ValueError",))\ndef simulate(seed): ...'),
    Case(
        "A rule that cannot be used",
        code=(
            '@resilience(rules=[Rule(name="again", do=Do(action="other plaice"), reason="it is bad")])\n'
            "def simulate(seed): ..."
        ),
    ),
    Case("A policy that is not there", code='@resilience(policy="own.yaml")\ndef simulate(seed): ...'),
    Case("Outside of a task", code="current_task().attempt"),
    Case(
        "What no Parsl app has returned",
        code="from concurrent.futures import Future\ncancel(Future())",
    ),
    Case("Before a configuration is loaded", code='hold(node="n17")'),
)
