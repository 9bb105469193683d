"""One run in one line: what `runs` lists and a report begins with."""

from __future__ import annotations

import os
import time

import msgspec
import psutil

from parsl_diaspora.errors import NotFound
from parsl_diaspora.events import RunStarted
from parsl_diaspora.state import Picture

#: Seconds without an event after which a run on another host that has not ended counts as interrupted.
QUIET = 600.0
_SLACK = 2.0


class RunSummary(msgspec.Struct, kw_only=True):
    """One run. Times are seconds since the epoch, UTC.

    Attributes:
        run: Parsl's run id.
        program: the script's file name.
        started: time of its first event.
        seconds: from the first event to the last; to now while it is running.
        state: ``ended``, ``running``, ``interrupted``; with a question mark where only silence, or the lack
            of it, speaks for that.
        done: tasks that succeeded, or whose result was known.
        failed: tasks that failed, or were never run because a dependency did.
        cancelled: tasks that somebody asked to be stopped.
        outstanding: tasks that began and have not ended.
        tries: tries launched.
        failed_tries: tries that failed or were lost.
        decisions: decisions made.
        executors: labels.
        fabric: URL of the log.
    """

    run: str
    program: str = ""
    started: float = 0.0
    seconds: float = 0.0
    state: str = ""
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    outstanding: int = 0
    tries: int = 0
    failed_tries: int = 0
    decisions: int = 0
    executors: tuple[str, ...] = ()
    fabric: str = ""


def check_running(picture: Picture, where: str, so: str) -> None:
    """Find out whether anybody is there to ask something of a run.

    Args:
        picture: of the run.
        where: its log.
        so: what cannot be done if nobody is, as a clause.

    Raises:
        NotFound: the run is over.
    """
    state = run_state(picture.started, picture.ended is not None, picture.last_time, time.time())
    if not state.startswith("running"):
        what = f"Run {picture.run} {_OVER[state]}"
        hint = "parsl-diaspora runs lists all runs, and which of them are running."
        raise NotFound(f"{what}: {so}.", what=picture.run, where=where, hint=hint)


_OVER = {
    "ended": "has ended",
    "interrupted": "was interrupted",
    "interrupted?": "seems to have been interrupted",
}


def summarize(picture: Picture, fabric: str, now: float | None = None) -> RunSummary:
    """The summary of a picture.

    Args:
        picture: of the run.
        fabric: URL of its log.
        now: seconds UTC; by default the system's time.
    """
    now = time.time() if now is None else now
    counts = picture.counts
    state = run_state(picture.started, picture.ended is not None, picture.last_time, now)
    until = now if state == "running" else picture.last_time
    return RunSummary(
        run=picture.run,
        program=picture.started.program if picture.started else "",
        started=picture.first_time,
        seconds=max(0.0, until - picture.first_time),
        state=state,
        done=sum(counts.get(outcome, 0) for outcome in ("done", "memoized", "substituted")),
        failed=counts.get("failed", 0) + counts.get("dependency_failed", 0),
        cancelled=counts.get("cancelled", 0),
        outstanding=sum(not task.outcome for number, task in picture.tasks.items() if number >= 0),
        tries=counts.get("tries", 0),
        failed_tries=counts.get("failed_tries", 0),
        decisions=counts.get("decisions", 0),
        executors=picture.started.executors if picture.started else tuple(sorted(picture.outstanding)),
        fabric=fabric,
    )


def run_state(started: RunStarted | None, ended: bool, last_time: float, now: float) -> str:
    """Whether a run has ended, is running, or was interrupted before it could say so.

    Args:
        started: its first event, if the log has it.
        ended: the log has its last event.
        last_time: time of the newest event, seconds UTC.
        now: seconds UTC.
    """
    if ended:
        return "ended"
    if started is not None and started.node == os.uname().nodename:
        return "running" if _is_alive(started) else "interrupted"
    return "running?" if now - last_time < QUIET else "interrupted?"


def _is_alive(started: RunStarted) -> bool:
    """A process with that id that is older than the event: a younger one has only inherited the number."""
    try:
        return bool(psutil.Process(started.pid).create_time() <= started.time + _SLACK)
    except (psutil.Error, ValueError):
        return False
