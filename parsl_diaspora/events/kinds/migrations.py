"""Running tasks that move to another place while they run."""

from __future__ import annotations

from parsl_diaspora.events.envelope import Event


class MigrationStarted(Event, tag="migration.started"):
    """A running try is to go on elsewhere: a successor of it was sent there.

    Attributes:
        to: label of the executor that its successor is sent to.
        reason: in words.
        owner: who asked, or which rule.
    """

    to: str = ""
    reason: str = ""
    owner: str = ""


class MigrationReady(Event, tag="migration.ready"):
    """A worker has begun the successor of a running try: it follows its states and waits.

    Attributes:
        pid: of the worker.
        manager_pid: of its manager.
    """

    pid: int = 0
    manager_pid: int = 0


class MigrationRound(Event, tag="migration.round"):
    """A successor has read what has changed of the running try's state.

    Attributes:
        number: of the round, from 1.
        save: number of the save that it holds now.
        size: bytes of the state.
        read: bytes that had to be read.
        seconds: that it took.
        behind: seconds from the save to the end of the round.
    """

    number: int = 0
    save: int = 0
    size: int = 0
    read: int = 0
    seconds: float = 0.0
    behind: float = 0.0


class MigrationDone(Event, tag="migration.done"):
    """The successor goes on from the last state of the try, which has left or was lost.

    Attributes:
        rounds: in which the state was brought.
        read: bytes read in the last one, while nobody worked.
        downtime: seconds from the last save to this, by the clocks of both hosts.
        final: the try had left with that state; otherwise it was lost, and the state is the newest there was.
    """

    rounds: int = 0
    read: int = 0
    downtime: float = 0.0
    final: bool = False


class MigrationFailed(Event, tag="migration.failed"):
    """A running try does not move after all: it goes on where it is, or ends in some other way.

    Attributes:
        to: where it was to go.
        step: that failed: ``begin``, ``copy``, ``switch``.
        reason: in words.
    """

    to: str = ""
    step: str = ""
    reason: str = ""
