"""Wrong settings, and configurations that cannot be made resilient."""

from __future__ import annotations

from tests.user_errors.case import Case

CONFIGURATION = (
    Case("No Parsl configuration", code="resilient('config.py')"),
    Case("Made resilient twice", code="resilient(resilient(config))"),
    Case("Settings of a wrong type", code="resilient(config, 12)"),
)

SETTINGS = (
    Case("A keyword that is no setting", code="resilient(config, max_tires=3)"),
    Case("A keyword that is like no setting", code="Settings(zzz=1)"),
    Case("A value of a wrong type", code='resilient(config, max_tries="many")'),
    Case("A number that is too small", code="resilient(config, max_tries=0)"),
    Case("A word that the setting does not know", code='resilient(config, move="everywhere")'),
    Case("A relay that is neither a word nor a host", code='resilient(config, relay="atuo")'),
    Case("A relay without a host", code='resilient(config, relay=":9000")'),
    Case("A budget below zero", code='resilient(config, retries={"memory": -1})'),
    Case("A budget of a class that does not exist", code='resilient(config, retries={"memroy": 3})'),
    Case("A site of an executor that does not exist", code='resilient(config, sites={"gpuu": "north"})'),
    Case("A redactor that cannot be imported", code='resilient(config, redact="mymodule:clean")'),
    Case("A diagnoser that cannot be imported", code='resilient(config, diagnoser="mymodule:ask")'),
    Case("A file of settings that is not there", code='resilient(config, "diaspora.yaml")'),
    Case(
        "A file of settings with a key that is none",
        code='resilient(config, "diaspora.yaml")',
        files={"diaspora.yaml": "max_tries: 8\nretrys: {memory: 3}\n"},
    ),
    Case(
        "A file of settings with a value of a wrong type",
        code='resilient(config, "diaspora.yaml")',
        files={"diaspora.yaml": "grace: soon\n"},
    ),
    Case(
        "A file of settings that is a list",
        code='resilient(config, "diaspora.yaml")',
        files={"diaspora.yaml": "- max_tries\n- 8\n"},
    ),
    Case(
        "A file of settings that is no YAML",
        code='resilient(config, "diaspora.yaml")',
        files={"diaspora.yaml": "retries: {memory: 3\n"},
    ),
    Case(
        "A variable that is no setting",
        code="resilient(config)",
        env={"PARSL_DIASPORA_MAX_TRYS": "6"},
    ),
    Case(
        "A variable with a value of a wrong type",
        code="resilient(config)",
        env={"PARSL_DIASPORA_MAX_TRIES": "many"},
    ),
    Case(
        "A variable that is no YAML",
        code="resilient(config)",
        env={"PARSL_DIASPORA_RETRIES": "{memory: 3"},
    ),
    Case(
        "A variable that names a file that is not there",
        code="resilient(config)",
        env={"PARSL_DIASPORA_SETTINGS": "diaspora.yaml"},
    ),
)

TRIGGERS = (
    Case(
        "Without an action",
        code='Trigger(name="tell", pattern=ENDED, action=Action())',
    ),
    Case(
        "With two actions in one",
        code='Action(call="builtins:print", webhook="https://example.org/x")',
    ),
    Case("Headers, and no webhook", code='Action(call="builtins:print", headers={"X-Run": "1"})'),
    Case("A function that is none", code='Action(call="print it")'),
    Case(
        "A name that cannot be one",
        code='Trigger(name="tell me!", pattern=ENDED, action=Action(call="builtins:print"))',
    ),
    Case(
        "An option out of its range",
        code=(
            'Trigger(name="tell", pattern=ENDED, at_most=0,\n        action=Action(call="builtins:print"))'
        ),
    ),
    Case(
        "Two of the same name",
        code=(
            'tell = Trigger(name="tell", pattern=ENDED, action=Action(call="builtins:print"))\n'
            "resilient(config, triggers=(tell, tell))"
        ),
    ),
    Case(
        "A function that cannot be imported",
        code=(
            'tell = Trigger(name="tell", pattern=ENDED, action=Action(call="mymodule:tell"))\n'
            "resilient(config, triggers=[tell])"
        ),
    ),
    Case(
        "A name that is no function",
        code=(
            'tell = Trigger(name="tell", pattern=ENDED, action=Action(call="sys:path"))\n'
            "resilient(config, triggers=[tell])"
        ),
    ),
    Case(
        "A pattern with a rule that does not exist",
        code=(
            'tell = Trigger(name="tell", pattern={"kind": [{"prefx": "run."}]},\n'
            '               action=Action(call="builtins:print"))\n'
            "resilient(config, triggers=[tell])"
        ),
    ),
    Case(
        "A pattern without a list",
        code=(
            'tell = Trigger(name="tell", pattern={"kind": "run.ended"},\n'
            '               action=Action(call="builtins:print"))\n'
            "resilient(config, triggers=[tell])"
        ),
    ),
    Case(
        "A webhook that is no URL",
        code=(
            'tell = Trigger(name="tell", pattern=ENDED, action=Action(webhook="example.org"))\n'
            "resilient(config, triggers=[tell])"
        ),
    ),
    Case(
        "A webhook with a password in it",
        code=(
            'tell = Trigger(name="tell", pattern=ENDED,\n'
            '               action=Action(webhook="https://me:secret@example.org/x"))\n'
            "resilient(config, triggers=[tell])"
        ),
    ),
    Case(
        "A secret that would go unencrypted",
        code=(
            'tell = Trigger(name="tell", pattern=ENDED,\n'
            '               action=Action(webhook="http://example.org/x",\n'
            '                             headers={"Authorization": "env:TOKEN"}))\n'
            "resilient(config, triggers=[tell])"
        ),
        env={"TOKEN": "t0ken"},
    ),
    Case(
        "A secret that is not there",
        code=(
            'tell = Trigger(name="tell", pattern=ENDED, action=Action(webhook="env:OPS_WEBHOOK"))\n'
            "resilient(config, triggers=[tell])"
        ),
    ),
    Case(
        "In YAML, an option that does not exist",
        code='resilient(config, "diaspora.yaml")',
        files={
            "diaspora.yaml": (
                "triggers:\n  - name: tell\n    pattern: {kind: [run.ended]}\n"
                "    action: {cal: builtins:print}\n"
            )
        },
    ),
)
