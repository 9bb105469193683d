"""``parsl-diaspora cancel``: stop a task of a running program from outside."""

from __future__ import annotations

import argparse
import getpass
import os
import sys
import time
from contextlib import suppress

from parsl_diaspora.cli.find import Found, add_where, find_run, open_logs
from parsl_diaspora.cli.signing import add_key, key_of, signed
from parsl_diaspora.cli.summary import check_running
from parsl_diaspora.cli.words import first_line
from parsl_diaspora.events import DecisionMade, Event, RunStarted, TaskCancelAsked, TaskEnded
from parsl_diaspora.fabric.stamp import default_source
from parsl_diaspora.monitoring.run_key import RunKey
from parsl_diaspora.state import Dedupe, Picture
from parsl_diaspora.state.reading import drain

CONSUMER = "cancel"
AGAIN = 1.0  # seconds after which the program is asked once more: it may not have listened yet
NOT_DONE = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("run_id", metavar="RUN", help="which run: its id, the beginning of it, or last")
    parser.add_argument("task", metavar="TASK", type=int, help="which task: the number in Parsl's log")
    parser.add_argument("--reason", default="", help="why; it stands in the exception and in the log")
    parser.add_argument(
        "--wait",
        type=float,
        default=10.0,
        metavar="SECONDS",
        help="for the task's end (default: %(default)g)",
    )
    add_key(parser)
    add_where(parser)


def run(args: argparse.Namespace) -> int:
    """Ask the program to stop a task, and tell what became of it."""
    asking = Asking(find_run(open_logs(args), args.run_id), args.task)
    try:
        asking.look()
        if not asking.ended:
            asking.check()
            asking.ask(key_of(args, asking.found, asking.started), args.reason, args.wait)
    finally:
        asking.close()
    sys.stdout.write(f"{asking.words()}\n")
    return 0 if asking.is_cancelled else NOT_DONE


class Asking:
    """Says on a run's fabric that a task is to be stopped, and follows what comes of it.

    Args:
        found: the run.
        task: Parsl's task id.
    """

    def __init__(self, found: Found, task: int) -> None:
        self.found, self._task = found, task
        self._picture = Picture(found.run)
        self._dedupe = Dedupe()
        self._consumer = found.fabric.consumer(CONSUMER, start="earliest")
        self._done = ""
        self.ended: TaskEnded | None = None

    @property
    def is_cancelled(self) -> bool:
        """Whether the task ended as it was asked to."""
        return self.ended is not None and self.ended.outcome == "cancelled"

    def look(self, timeout: float = 0.0) -> None:
        """Hear what there is to be heard."""
        for event in self._consumer.poll(timeout) if timeout else drain(self._consumer):
            if event.run == self.found.run and self._dedupe.is_new(event):
                self._hear(event)

    def _hear(self, event: Event) -> None:
        if event.task is None:
            self._picture.fold(event)
        elif event.task == self._task and isinstance(event, TaskEnded):
            self.ended = event
        elif event.task == self._task and isinstance(event, DecisionMade) and event.action == "cancel":
            self._done = event.reason
        self._picture.last_time = max(self._picture.last_time, event.time)

    def check(self) -> None:
        """Find out whether anybody is there to ask.

        Raises:
            NotFound: the run is over.
        """
        check_running(self._picture, self.found.fabric.url, "no task of it can be cancelled any more")

    @property
    def started(self) -> RunStarted | None:
        """The run's first event."""
        return self._picture.started

    def ask(self, key: RunKey, reason: str, patience: float) -> None:
        """Ask, and once more each second, until the task has ended or ``patience`` seconds have passed."""
        publisher = self.found.fabric.publisher(default_source("cancel"), immediate=True)
        try:
            deadline = time.monotonic() + patience
            while self.ended is None:
                publisher.publish(signed(self._event(reason), key, self.found.run))
                publisher.flush(AGAIN)
                self._follow(min(deadline, time.monotonic() + AGAIN))
                if time.monotonic() >= deadline:
                    break
        finally:
            publisher.close()

    def _follow(self, until: float) -> None:
        while self.ended is None and (left := until - time.monotonic()) > 0:
            self.look(left)

    def _event(self, reason: str) -> TaskCancelAsked:
        return TaskCancelAsked(task=self._task, reason=reason, owner=who())

    def words(self) -> str:
        """What became of it."""
        if self.ended is None:
            return f"Task {self._task} has not ended: no program answered, or it has no such task."
        if self.is_cancelled:
            return f"Task {self._task} was cancelled: {self._done or first_line(self.ended.error)}"
        error = f": {first_line(self.ended.error)}" if self.ended.error else ""
        return f"Task {self._task} had ended already ({self.ended.outcome}){error}"

    def close(self) -> None:
        """Read no more."""
        self._consumer.close()


def who() -> str:
    """This user at this host, as it stands in events."""
    name = ""
    with suppress(KeyError, OSError):  # a container may know no name for the user
        name = getpass.getuser()
    return f"{name or os.getuid()}@{os.uname().nodename}"
