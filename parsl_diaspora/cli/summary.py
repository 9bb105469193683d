"""One run in one line: what `runs` lists and a report begins with."""

from __future__ import annotations

import time

import msgspec

from parsl_diaspora.errors import NotFound
from parsl_diaspora.state import Picture
from parsl_diaspora.state.run_state import run_state


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
