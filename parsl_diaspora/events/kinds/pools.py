"""Pools: what becomes of tasks at an executor that stands for several, and of its members."""

from __future__ import annotations

from typing import ClassVar

from parsl_diaspora.events.envelope import Event, Topic

# --- several executors as one ---


class TaskHedged(Event, tag="task.hedged"):
    """A try takes so long that a second copy of it was started elsewhere. The first result counts.

    Attributes:
        to: label of the executor that got the copy; that of the first one is in the envelope.
        after: seconds that the first copy had been running.
        usual: seconds within which most tries of the app have ended.
        reason: in words, with the place that was chosen.
    """

    to: str = ""
    after: float = 0.0
    usual: float = 0.0
    reason: str = ""


class TaskMoved(Event, tag="task.moved"):
    """A try was taken from the executor that the envelope names and given to another one.

    Attributes:
        to: label of the executor that has it now.
        started: it had begun: what it did is done anew.
        reason: in words.
    """

    to: str = ""
    started: bool = False
    reason: str = ""


class MemberReplaced(Event, tag="member.replaced"):
    """An executor that had turned bad was replaced by a fresh one under the same label.

    Attributes:
        pool: label of the executor that it is a member of.
        number: how many executors have borne the label, this one included.
        reason: why the old one had to go, in words.
        seconds: from when that was noticed until the fresh one had started.
    """

    topic: ClassVar[Topic] = "resources"

    pool: str = ""
    number: int = 2
    reason: str = ""
    seconds: float = 0.0
