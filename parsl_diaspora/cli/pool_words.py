"""What events of pools say, in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parsl_diaspora.cli.words import count, duration, first_line, joined
from parsl_diaspora.events import (
    BlockDraining,
    BlockRefused,
    BlockReleased,
    BlockRequested,
    Event,
    MemberFailed,
    MemberRecovered,
    MemberReplaced,
    OrphansFound,
    PoolDeficitHealed,
    PoolDeficitSeen,
    StatusUnknown,
    SubmissionRefused,
    TaskHedged,
    TaskMoved,
)


def _deficit(event: PoolDeficitSeen) -> str:
    """What is lacking, why, and for how long yet."""
    expected = "" if event.expected is None else f"expected in {duration(event.expected)}"
    held = f"{event.what}: {event.held} of {event.wanted}"
    return joined((held, event.because, expected, event.message))


def _requested(event: BlockRequested) -> str:
    walltime = "" if event.walltime is None else f"for {duration(event.walltime)}"
    expected = "" if event.expected is None else f"expected in {duration(event.expected)}"
    return joined((walltime, expected, event.reason))


def _refused(event: BlockRefused) -> str:
    return joined((event.message, f"asked again after {duration(event.again)}"))


def _draining(event: BlockDraining) -> str:
    return joined((f"{event.running} tries run there" if event.running else "", event.reason))


def _released(event: BlockReleased) -> str:
    lost = f"{event.running} tries ran there" if event.running else ""
    return joined((f"{event.node_hours:.2f} node-hours", lost, event.reason))


def _hedged(event: TaskHedged) -> str:
    after = f"a second copy to {event.to} after {duration(event.after)}"
    return joined((after, event.reason))


def _moved(event: TaskMoved) -> str:
    return joined((f"to {event.to}", "it had begun" if event.started else "", event.reason))


def _replaced(event: MemberReplaced) -> str:
    number = f"number {event.number} in pool {event.pool}"
    return joined((number, f"after {duration(event.seconds)}", event.reason))


def _orphans(event: OrphansFound) -> str:
    """Which blocks, what was done about them, and why."""
    of = f"of {event.program or 'a program'} ({event.dead_run[:8]})"
    done = "cancelled" if event.cancelled else "left alone"
    still = f"still there: {', '.join(event.left)}" if event.left else ""
    return joined((f"{', '.join(event.jobs)} {of}", done, still, event.message))


def _member_failed(event: MemberFailed) -> str:
    rests = f"rests for {duration(event.rest)} after {count(event.failures, 'failure')} in a row"
    return joined((event.member, rests, first_line(event.message)))


def _submission_refused(event: SubmissionRefused) -> str:
    again = f"again in {duration(event.held_for)}" if event.held_for else ""
    return joined((event.member, first_line(event.message), again))


def _status_unknown(event: StatusUnknown) -> str:
    jobs = "" if event.over else f"{count(len(event.jobs), 'job')} as last known"
    return joined((event.member, jobs, first_line(event.message)))


POOL_DETAILS: dict[type[Event], Callable[[Any], str]] = {
    PoolDeficitSeen: _deficit,
    PoolDeficitHealed: lambda event: f"{event.what}, after {duration(event.seconds)}",
    BlockRequested: _requested,
    BlockRefused: _refused,
    BlockDraining: _draining,
    BlockReleased: _released,
    TaskHedged: _hedged,
    TaskMoved: _moved,
    MemberReplaced: _replaced,
    OrphansFound: _orphans,
    MemberFailed: _member_failed,
    MemberRecovered: lambda event: joined((event.member, first_line(event.message))),
    SubmissionRefused: _submission_refused,
    StatusUnknown: _status_unknown,
}
