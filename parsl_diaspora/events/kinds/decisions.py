"""Faults on purpose, decisions, and places that get no work; what this package has to say of itself."""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from parsl_diaspora.events.envelope import Event, Topic
from parsl_diaspora.events.kinds.values import Diagnosis


class FaultInjected(Event, tag="fault.injected"):
    """A test or the demo broke something on purpose.

    Attributes:
        fault: what was done, as ``kill_busy_worker``.
        pid: the process that it was done to.
        note: further words.
    """

    topic: ClassVar[Topic] = "failures"

    fault: str = ""
    pid: int = 0
    note: str = ""


class DecisionMade(Event, tag="decision.made"):
    """What is to be done about a failed try, with all that led to it.

    Attributes:
        diagnosis: why the try failed.
        rule: name of the rule that matched.
        reason: the rule's reason, in words.
        action: ``retry``, ``move``, ``avoid``, ``fail``, ``hold`` or ``substitute``; ``cancel`` without any
            failure.
        target: label of the executor for the next try.
        delay: seconds before the next try.
        wait: what is waited for before the next try, as ``file:/path``, ``executor:LABEL``,
            ``manager:LABEL`` or ``fabric``.
        wait_timeout: seconds for which that is waited for at most.
        wait_else: what happens then: ``retry`` all the same, ``hold`` or ``fail``.
        avoid: places that the next try declines: ids of managers, or ``worker:MANAGER/RANK``, ``node:HOST``,
            ``block:ID``.
        memory: bytes that the next try needs; None if that is not known.
        priority: of the next try; None to leave it.
        rest: ``manager``, ``node`` or ``site`` where it failed, if that gets no new work for a while.
        rest_for: seconds that this lasts.
        held_number: number of the reason why the task is held.
        suggestion: what a person may do about a task that is held.
        budget: name of the budget that was charged.
        used: what that budget has spent, this failure included.
        limit: what that budget allows.
        tries: tries so far, of ``max_tries``.
        max_tries: the hard total.
        alternatives: rules that were looked at first and why each did not decide.
        revises: id of the decision that this one replaces.
        known: what else was known when it was decided, so that it can be decided again from the log.
    """

    topic: ClassVar[Topic] = "control"

    diagnosis: Diagnosis = Diagnosis()
    rule: str = ""
    reason: str = ""
    action: str = "retry"
    target: str | None = None
    delay: float = 0.0
    wait: str = ""
    wait_timeout: float = 0.0
    wait_else: str = ""
    avoid: tuple[str, ...] = ()
    memory: int | None = None
    priority: int | None = None
    rest: str = ""
    rest_for: float = 0.0
    held_number: int = 0
    suggestion: str = ""
    budget: str = ""
    used: int = 0
    limit: int = 0
    tries: int = 0
    max_tries: int = 0
    alternatives: tuple[str, ...] = ()
    revises: str = ""
    known: dict[str, Any] = msgspec.field(default_factory=dict)


class DiagnosisRevised(Event, tag="diagnosis.revised"):
    """A failure that was told by no rule, or told otherwise, got a diagnosis after it had been decided upon.

    Attributes:
        diagnosis: the later one.
    """

    topic: ClassVar[Topic] = "failures"

    diagnosis: Diagnosis = Diagnosis()


class PlaceQuarantined(Event, tag="place.quarantined"):
    """A place gets no new work for a while.

    Attributes:
        reason: in words.
        seconds: how long.
    """

    topic: ClassVar[Topic] = "control"

    reason: str = ""
    seconds: float = 0.0


class PlaceHeld(Event, tag="place.held"):
    """Somebody asked that a manager, block or node gets no new work until it is released.

    Attributes:
        reason: in words.
        owner: who asked.
        drain: what runs there may end, and then the place is given up.
        order: number of the order, which is used only once; empty if the program itself says it.
        mac: proves that who asked has the run's key.
    """

    topic: ClassVar[Topic] = "control"

    reason: str = ""
    owner: str = ""
    drain: bool = False
    order: str = ""
    mac: str = ""


class PlaceReleased(Event, tag="place.released"):
    """A place may get work again.

    Attributes:
        reason: in words.
        owner: who asked; empty for the end of a quarantine.
        order: number of the order, which is used only once; empty if the program itself says it.
        mac: proves that who asked has the run's key.
        trial: one task may try it, and its end decides.
    """

    topic: ClassVar[Topic] = "control"

    reason: str = ""
    owner: str = ""
    order: str = ""
    mac: str = ""
    trial: bool = False


class ServiceDegraded(Event, tag="service.degraded"):
    """A part of this package met a fault of its own and fell back to stock behaviour. Said once a part.

    Attributes:
        part: which part.
        why: in words.
    """

    topic: ClassVar[Topic] = "control"

    part: str = ""
    why: str = ""
