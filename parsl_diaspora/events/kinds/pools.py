"""What a pool lacks, what is asked for to hold it, and what is let go; how its providers are doing."""

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
