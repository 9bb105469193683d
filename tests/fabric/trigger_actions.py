"""Actions that triggers name in tests."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def note(event):
    """Write the event's task down, durably."""
    write(f"{event['task']}\n")


def note_and_die(event):
    """The same, and end this very process before anything can be committed."""
    note(event)
    if event["task"] in map(int, os.environ["DIE_AT"].split(",")):
        os.kill(os.getpid(), signal.SIGKILL)


def write(line):
    with Path(os.environ["NOTES"]).open("a") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
