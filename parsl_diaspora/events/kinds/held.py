"""Tasks that somebody must look at before they go on, and what people ask of a running program's tasks."""

from __future__ import annotations

from typing import ClassVar

from parsl_diaspora.events.envelope import Event, Topic


class TaskHeld(Event, tag="task.held"):
    """A task is kept back, with its inputs and its place in the graph, until somebody releases it.

    Attributes:
        number: of the reason, see `parsl_diaspora.recovery.held_reasons`.
        reason: in words.
        suggestion: what may be done about it.
        owner: who holds it: a person, ``the program``, or a rule of the policy.
        failure_class: of its last failure; empty if it has not failed.
        func: name of the app.
    """

    topic: ClassVar[Topic] = "control"

    number: int = 0
    reason: str = ""
    suggestion: str = ""
    owner: str = ""
    failure_class: str = ""
    func: str = ""


class TaskReleased(Event, tag="task.released"):
    """A task is no longer kept back. The executor is the one that it goes to.

    Attributes:
        how: ``release`` as it stands, ``retry`` with fresh budgets, ``fail``, or ``substitute``.
        reason: in words.
        owner: who released it.
    """

    topic: ClassVar[Topic] = "control"

    how: str = "release"
    reason: str = ""
    owner: str = ""


class TaskActionAsked(Event, tag="task.action_asked"):
    """Somebody asked that tasks be held, released, retried or failed, or that a running one moves.

    Attributes:
        action: ``hold``, ``release``, ``retry``, ``fail`` or, for a running task, ``migrate``.
        func: name of the app, in place of a task.
        failure_class: of the last failure, in place of a task.
        to: label of the executor for the next try, or to move to; empty for the one that it has.
        reason: in words.
        owner: who asked.
        order: number of the order, which is used only once.
        mac: proves that who asked has the run's key.
    """

    topic: ClassVar[Topic] = "control"

    action: str = ""
    func: str = ""
    failure_class: str = ""
    to: str = ""
    reason: str = ""
    owner: str = ""
    order: str = ""
    mac: str = ""


class OrderAnswered(Event, tag="order.answered"):
    """The program tells what became of an order from outside.

    Attributes:
        order: its number.
        accepted: something was done; False if it was refused or there was nothing to do.
        tasks: that it was done to, the first of them.
        count: how many there are.
        why: in words.
    """

    topic: ClassVar[Topic] = "control"

    order: str = ""
    accepted: bool = False
    tasks: tuple[int, ...] = ()
    count: int = 0
    why: str = ""
