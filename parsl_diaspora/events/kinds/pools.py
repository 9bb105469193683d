"""Pools: what one lacks, asks for and lets go, how its providers do, and several executors as one."""

from __future__ import annotations

from typing import ClassVar

from parsl_diaspora.events.envelope import Event, Topic


class MemberFailed(Event, tag="member.failed"):
    """A member of a pool provider gets no blocks for a while: it rejected them, or its blocks failed.

    Attributes:
        member: name of the queue, partition or site within the pool.
        failures: in a row.
        rest: seconds until one trial submission is made.
        message: the scheduler's own words, or how the last block ended.
    """

    topic: ClassVar[Topic] = "resources"

    member: str = ""
    failures: int = 0
    rest: float = 0.0
    message: str = ""


class MemberRecovered(Event, tag="member.recovered"):
    """A trial ended well: the member gets blocks as before.

    Attributes:
        member: name of the queue, partition or site within the pool.
        seconds: that it had been out.
        message: what the trial showed.
    """

    topic: ClassVar[Topic] = "resources"

    member: str = ""
    seconds: float = 0.0
    message: str = ""


class SubmissionRefused(Event, tag="submission.refused"):
    """A member did not take a block. What is held back by our own limits is said once, until one is taken.

    Attributes:
        member: name of the queue, partition or site within the pool.
        message: the scheduler's own words, or which of our limits holds it back.
        held_for: seconds until it may be asked again; 0 if it may be at once.
        by_scheduler: the scheduler was asked and rejected it.
    """

    topic: ClassVar[Topic] = "resources"

    member: str = ""
    message: str = ""
    held_for: float = 0.0
    by_scheduler: bool = False


class StatusUnknown(Event, tag="status.unknown"):
    """A scheduler says nothing of jobs, or what is not believed: they stay as they were last known.

    Said when it begins, and once more when it is over.

    Attributes:
        member: name of the queue, partition or site within the pool.
        jobs: ids of the jobs, as in events of blocks.
        since: when it began, seconds UTC.
        message: what the scheduler said instead.
        over: all is known again.
    """

    topic: ClassVar[Topic] = "resources"

    member: str = ""
    jobs: tuple[str, ...] = ()
    since: float = 0.0
    message: str = ""
    over: bool = False


class PoolDeficitSeen(Event, tag="pool.deficit_seen"):
    """A pool holds less than it should. The site is that of the envelope, where it is about one.

    Attributes:
        what: that is lacking, as ``nodes in all``, ``nodes at the site``, ``locations``, ``nodes with gpu``
            or ``nodes for the work``.
        wanted: how many there should be.
        held: how many there are.
        coming: how many have been asked for.
        because: ``demand rose``, ``supply fell``, ``queue waits`` or ``refused``.
        expected: seconds until it should be healed, as forecast; None if nobody knows.
        message: the cause in words, and what to do where somebody must do something.
    """

    topic: ClassVar[Topic] = "control"

    what: str = ""
    wanted: int = 0
    held: int = 0
    coming: int = 0
    because: str = ""
    expected: float | None = None
    message: str = ""


class PoolDeficitHealed(Event, tag="pool.deficit_healed"):
    """A pool holds again what it lacked, or it is not wanted any more.

    Attributes:
        what: that was lacking.
        seconds: for which it was.
    """

    topic: ClassVar[Topic] = "control"

    what: str = ""
    seconds: float = 0.0


class BlockRequested(Event, tag="block.requested"):
    """The pool controller asked for a block.

    Attributes:
        nodes: of the block.
        walltime: seconds that it may run; None for what its provider is set to.
        reason: in words, with the alternatives.
        expected: seconds until it should run, as forecast; None if nobody knows.
    """

    topic: ClassVar[Topic] = "control"

    nodes: int = 1
    walltime: float | None = None
    reason: str = ""
    expected: float | None = None


class BlockRefused(Event, tag="block.refused"):
    """A block was asked for, and there was none to be had at that site.

    Attributes:
        message: the scheduler's own words, where it has said any.
        again: seconds after which the site may be asked again.
    """

    topic: ClassVar[Topic] = "control"

    message: str = ""
    again: float = 0.0


class BlockDraining(Event, tag="block.draining"):
    """A block gets no new work, so that it can be let go when its tasks have ended.

    Attributes:
        reason: in words.
        running: tries that run on it.
        left: seconds until they should have ended, as forecast; None if nobody knows.
    """

    topic: ClassVar[Topic] = "control"

    reason: str = ""
    running: int = 0
    left: float | None = None


class BlockReleased(Event, tag="block.released"):
    """A block was given back.

    Attributes:
        reason: in words.
        node_hours: that it has used.
        running: tries that ran on it when it was given back: 0, or the pool controller is at fault.
    """

    topic: ClassVar[Topic] = "control"

    reason: str = ""
    node_hours: float = 0.0
    running: int = 0


class OrphansFound(Event, tag="orphans.found"):
    """At the start of a run: blocks of a dead run of the same directory were still in the queue.

    Attributes:
        dead_run: Parsl's id of that run; empty if it is not known.
        program: its script's file name.
        jobs: ids of the blocks' jobs, as the scheduler has them.
        left: those of them that were still there a while after they had been cancelled.
        cancelled: they were cancelled; else they are only told of.
        message: why they serve nobody.
    """

    topic: ClassVar[Topic] = "resources"

    dead_run: str = ""
    program: str = ""
    jobs: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    cancelled: bool = False
    message: str = ""


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
