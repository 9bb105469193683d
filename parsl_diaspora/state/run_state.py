"""Whether a run goes on: from what its log tells, and from its process where that was here."""

from __future__ import annotations

import os

import psutil

from parsl_diaspora.events import RunStarted

#: Seconds without an event after which a run on another host that has not ended counts as interrupted.
QUIET = 600.0
_SLACK = 2.0


def run_state(started: RunStarted | None, ended: bool, last_time: float, now: float) -> str:
    """Whether a run has ended, is running, or was interrupted before it could say so.

    Args:
        started: its first event, if the log has it.
        ended: the log has its last event.
        last_time: time of the newest event, seconds UTC.
        now: seconds UTC.

    Returns:
        ``ended``, ``running`` or ``interrupted``; with a question mark where only silence, or the lack of it,
        speaks for that.
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
    except (psutil.NoSuchProcess, ValueError):
        return False
    except psutil.Error:
        return True  # it is there, and does not let itself be looked at
