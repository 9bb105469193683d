"""The rules as plain data: the same in Python, in YAML, and on the way to a log.

A rule says *when* it is for a failure and what to *do* then. The first rule that is for a failure, and can
be carried out, decides; its reason is what people read.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Level = Literal["manager", "node", "site"]
CountBy = Literal["manager", "node", "executor", "site", "func"]
Action = Literal[
    "here",
    "other worker",
    "other manager",
    "other node",
    "other block",
    "other executor",
    "other site",
    "fail",
    "hold",
    "substitute",
]

#: Actions after which there is a further try.
TRIES: tuple[Action, ...] = (
    "here",
    "other worker",
    "other manager",
    "other node",
    "other block",
    "other executor",
    "other site",
)
ENDS: tuple[Action, ...] = ("fail", "hold", "substitute")
ACTIONS = (*TRIES, *ENDS)


class Count(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Failures of different tasks at one place, or of one app, lately.

    Attributes:
        by: ``manager``, ``node``, ``executor``, ``site`` or ``func``.
        at_least: so many of them, this one included.
        within: seconds.
    """

    by: CountBy
    at_least: int
    within: float = 60.0


class When(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which failures a rule is for: all that is named must hold; nothing named is any failure.

    Attributes:
        classes: of failures, see `parsl_diaspora.failures`.
        layers: application, framework, runtime, environment.
        exceptions: class that was raised or one of its bases: with its module, or its last name alone.
        exit_codes: of a program or worker; numbers, or ranges as ``1-99``.
        log: a pattern that is found in message, traceback or stderr.
        funcs: names of apps, with ``*`` for any letters.
        attempt: tries so far, as ``1``, ``2-4``, ``> 2``.
        count: failures lately.
        conditions: names in `parsl_diaspora.recovery.language.conditions`; ``not NAME`` for its contrary.
        expression: over the evidence, see `parsl_diaspora.recovery.language.expressions`.
    """

    classes: tuple[str, ...] = ()
    layers: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    exit_codes: tuple[str, ...] = ()
    log: str = ""
    funcs: tuple[str, ...] = ()
    attempt: str = ""
    count: Count | None = None
    conditions: tuple[str, ...] = ()
    expression: str = ""


class Delay(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Seconds before the next try.

    Attributes:
        seconds: before the first one; None for the setting ``retry_delay``.
        factor: by which each further one is longer.
        most: longest delay, seconds; None for the setting ``retry_delay_max``.
        jitter: the part of it that is left to chance, so that a crowd spreads out.
        at_once_if_lost: none before the first retry after a mere loss of the place.
    """

    seconds: float | None = None
    factor: float = 2.0
    most: float | None = None
    jitter: float = 0.25
    at_once_if_lost: bool = False


class Wait(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A condition that is waited for before the next try.

    Attributes:
        condition: ``file:/path``, ``executor:LABEL``, ``manager:ID`` or ``fabric``; may name ``{file}``,
            ``{place}`` and ``{manager}``.
        at_most: seconds.
        then: what happens when they are over: ``retry`` all the same, ``hold`` or ``fail``.
    """

    condition: str
    at_most: float
    then: Literal["retry", "hold", "fail"] = "retry"


class Resize(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much memory the next try needs.

    Attributes:
        memory: ``x2`` for twice what the task asks for, or else had at its peak; ``peak x1.5``; ``16 GB``.
        most: not more than this, as ``64 GB``.
    """

    memory: str
    most: str = ""


class Rest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A place that gets no new work for a while.

    Attributes:
        level: ``manager``, ``node`` or ``site``.
        seconds: for which it gets none; None for the setting ``quarantine_for``.
    """

    level: Level
    seconds: float | None = None


class Do(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is done.

    Attributes:
        action: where the next try goes, or how the task ends.
        to: labels of executors that ``other executor`` may choose from; empty for all that the app allows.
        resize: what the next try needs.
        priority: of the next try, at executors that know one; None to leave it.
        delay: before the next try.
        wait: for a condition before the next try.
        rest: a place that gets no new work meanwhile.
        number: of the reason why the task is held.
        suggestion: what a person may do about a task that is held.
        value: that stands in for the task's result.
    """

    action: Action = "here"
    to: tuple[str, ...] = ()
    resize: Resize | None = None
    priority: int | None = None
    delay: Delay | None = None
    wait: Wait | None = None
    rest: Rest | None = None
    number: int = 0
    suggestion: str = ""
    value: Any = None

    @property
    def tries(self) -> bool:
        """There is a further try."""
        return self.action in TRIES


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One rule.

    Attributes:
        name: as it stands in decisions.
        when: which failures it is for.
        do: what is done.
        otherwise: what is done where that is impossible; None to go on to the next rule.
        times: how often it may decide for one task. Without it, it obeys the budget of the class.
        reason: for people; may name ``{missing}``, ``{place}``, ``{target}``, ``{limit}``, ``{budget}``,
            ``{file}``, ``{manager}``, ``{node}``, ``{memory}``, ``{func}``, ``{proof}``.

    Example:
        >>> Rule(name="again", when=When(exceptions=("KeyError",)), do=Do(action="other node")).do.tries
        True
    """

    name: str
    when: When = When()
    do: Do = Do()
    otherwise: Do | None = None
    times: int | None = None
    reason: str = ""
