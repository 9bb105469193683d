"""`docs/errors.md`: what was said to each wrong thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.user_errors import (
    checkpoint_cases,
    command_cases,
    fabric_cases,
    policy_cases,
    pool_cases,
    running_cases,
    settings_cases,
)
from tests.user_errors.case import Case, Said

HEAD = """\
# Errors, and what to do about them

Every message that a wrong word in a program, a file, a variable or a command can bring, with its remedy.
The tests do each of these things and compare what is said with this page; `make errors` writes it anew.

Errors of this package derive from `parsl_diaspora.DiasporaError`: `.message` says what, where and why,
`.hint` what to do (after the arrow below); `str(error)` is both. The command prints the same on one line and
ends with a status: 1 for what is not there or not done, 2 for what it cannot work with. What tasks fail of by
themselves, and what is done about it, is in [failures](failures.md). In each example `config` has two
executors, `cpu` and `gpu`.
"""

#: Headings, what stands below them, and the cases.
GROUPS: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("`resilient(config)`", "", settings_cases.CONFIGURATION),
    (
        "Settings",
        "From Python, YAML and the environment; [all settings](settings.md).",
        settings_cases.SETTINGS,
    ),
    ("Pools", "[What a pool can ask for](pools.md).", pool_cases.POOLS),
    (
        "Triggers",
        "`ENDED` is the pattern `{'kind': ['run.ended']}`; [triggers](settings.md#triggers).",
        settings_cases.TRIGGERS,
    ),
    (
        "Policies",
        "[The language](policy.md). `parsl-diaspora policy check FILE` says the same.",
        policy_cases.POLICY,
    ),
    ("Rules of failures", "[Rules](failures.md).", policy_cases.RULES),
    ("The model of failures", "[Diagnosis](diagnosis.md).", policy_cases.MODEL),
    ("Apps: `@resilience`, `current_task()`, `cancel()`, `hold()`", "", policy_cases.APPS),
    (
        "Checkpoints",
        "[States of running tasks](checkpoints.md). Inside a task they end its try, or are told as events.",
        checkpoint_cases.CHECKPOINTS,
    ),
    ("Fabrics", "[All fabrics](fabrics.md).", fabric_cases.ANY),
    ("Fabric `file:`", "", fabric_cases.FILE),
    ("Fabric `spool:`", "", fabric_cases.SPOOL),
    ("Fabric `relay:`", "", fabric_cases.RELAY),
    ("Fabric `kafka:`", "", fabric_cases.KAFKA_CASES),
    ("Fabric `octopus:`", "", fabric_cases.OCTOPUS),
    ("Fabrics `mofka:` and `files+diaspora:`", "", fabric_cases.STREAM),
    (
        "How tasks end",
        "What the future of a task raises when no further try is to help, here after the only one.",
        running_cases.TASKS,
    ),
    ("Orders to the running program", "", running_cases.ORDERS + running_cases.STOCK),
    ("Reading events in Python", "", command_cases.READING),
    ("Commands: runs and tasks", "", command_cases.RUNS),
    ("Commands: events", "", command_cases.EVENTS),
    ("Commands: orders to a running program", "", command_cases.ORDERS),
    ("Commands: places, policies, models, triggers, bridges", "", command_cases.OTHERS),
)

#: Classes that nothing above can bring, and why.
ELSEWHERE = {
    "NoMember": "no member of a `PoolExecutor` takes a task, and none comes back in time: the message says "
    "why of each. With `resilient()` the task is tried again like after any loss of infrastructure.",
    "NeverStarted": "a manager took the task and never started it, though later ones have run there: a "
    "worker was killed while it held the lock of its queue, say. The task is tried again by itself.",
    "SeamMissing": "this release of Parsl lacks what a part of this package rests on. The part stays out of "
    "the way; it is said once, in Parsl's log and as an event.",
    "Refusal": "the web service of Octopus did not do what it was asked to; its words stand in the message.",
    "TaskStopped": "what a worker says of a task that was cancelled; the future ends with `TaskCancelled`.",
    "TaskLeft": "what a worker says of a task that has saved its state and leaves its place; it goes on from "
    "there elsewhere by itself.",
    "CheckpointTooLarge": "a save would need more room than the quota leaves: it is given up, which the "
    "event `checkpoint.lost` tells, and the task goes on.",
    "RunAgain": "what a worker says of a bash app that has saved its files and asks to be run again; the "
    "task goes on from there by itself.",
}


def page() -> str:
    """All of it."""
    parts = [HEAD]
    for title, words, cases in GROUPS:
        parts += [f"## {title}\n", *([f"{words}\n"] if words else [])]
        parts += [entry(case, case.provoke()) for case in cases]
    rows = "\n".join(f"| `{name}` | {why} |" for name, why in ELSEWHERE.items())
    return "\n".join([*parts, f"## Not provoked here\n\n| class | when |\n|---|---|\n{rows}\n"])


def all_cases() -> Iterator[tuple[str, Any]]:
    """Each case, and its group."""
    for title, _, cases in GROUPS:
        yield from ((title, case) for case in cases)


def entry(case: Any, said: Said) -> str:
    """What was done, and what was said to it."""
    kind = f"{said.kind}: " if said.kind else ""
    hint = f"\n→ {said.hint}" if said.hint else ""
    status = f"\nexit status {said.status}" if said.status is not None else ""
    return f"**{case.title}**\n\n```text\n{_done(case)}\n\n{kind}{said.message}{hint}{status}\n```\n"


def _done(case: Any) -> str:
    lines = [f"# {case.given}"] if case.given else []
    if isinstance(case, Case):
        lines += [f"# without the package {' and '.join(case.missing)}"] if case.missing else []
        lines += [f"export {name}='{text}'" for name, text in case.env.items()]
        for name, text in case.files.items():
            lines += [f"# {name}:", *(f"#   {line}" for line in _short(text))]
    return "\n".join([*lines, f"$ parsl-diaspora {case.command}" if case.command else case.code])


def _short(text: str) -> list[str]:
    lines = text.splitlines() or ["(empty)"]
    return [*lines[:8], "…"] if len(lines) > 9 else lines
