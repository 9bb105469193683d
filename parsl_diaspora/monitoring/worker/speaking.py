"""What a worker says while a try runs: its start and its progress, each written before the call returns."""

from __future__ import annotations

import os
import threading
import time
from functools import lru_cache
from typing import Any

from parsl_diaspora.events import Event, MigrationReady, TaskProgressed, TryStarted
from parsl_diaspora.executors.launch import Launch, Report
from parsl_diaspora.fabric import Publisher, open_fabric
from parsl_diaspora.fabric.stamp import default_source
from parsl_diaspora.monitoring import orders
from parsl_diaspora.monitoring.worker.place import here

PROGRESS_PERIOD = 1.0

_unsaid = ""


def unsaid() -> str:
    """Why this worker could not say all that it had to; empty if it could."""
    return _unsaid


def say_started(launch: Launch, report: Report) -> None:
    """A try begins; the successor of one that still runs does not yet."""
    if launch.checkpoint is not None and launch.checkpoint.follows:
        say(launch, report, MigrationReady(pid=report.pid, manager_pid=os.getppid()))
        return
    say(launch, report, TryStarted(pid=report.pid, manager_pid=os.getppid()))


def say(launch: Launch, report: Report, event: Event) -> None:
    """Something about a try. Never raises: a fabric in trouble is no trouble of the task."""
    publisher = publisher_of(launch.url, launch.run, launch.executor)
    if publisher is None:
        return
    event.run, event.task, event.try_id = launch.run, launch.task, launch.try_id
    event.executor = launch.executor
    report.put_place_on(event)
    _say(publisher, event, report)


def _say(publisher: Publisher, event: Event, report: Report) -> None:
    global _unsaid  # noqa: PLW0603 - told with each report of this worker
    publisher.publish(event)
    if publisher.flush(0.0).lost:
        _unsaid = f"a worker on {report.node} could not write its events"


class Progress:
    """Says how far a try is, at most once a second: what is told in between is kept until then.

    Args:
        launch: of the try.
        report: tells where it runs.
    """

    def __init__(self, launch: Launch, report: Report) -> None:
        self._launch = launch
        self._report = report
        self._lock = threading.Lock()
        self._next = 0.0
        self._waiting: tuple[float | None, str] | None = None
        self._timer: threading.Timer | None = None

    def tell(self, part: float | None, note: str) -> None:
        """So far it is. Never raises: a fabric in trouble is no trouble of the task."""
        with self._lock:
            now = time.monotonic()
            if now >= self._next:
                self._say(part, note, now)
                return
            self._waiting = part, note
            if self._timer is None:
                self._timer = threading.Timer(self._next - now, self._say_waiting)
                self._timer.name, self._timer.daemon = "diaspora-progress", True
                self._timer.start()

    def close(self) -> None:
        """The try has ended, which says more than how far it was."""
        with self._lock:
            self._waiting, self._next = None, float("inf")
            if self._timer is not None:
                self._timer.cancel()

    def _say_waiting(self) -> None:
        with self._lock:
            self._timer = None
            if self._waiting is not None:
                self._say(*self._waiting, time.monotonic())

    def _say(self, part: float | None, note: str, now: float) -> None:
        launch, report = self._launch, self._report
        self._waiting, self._next = None, now + PROGRESS_PERIOD
        say(launch, report, TaskProgressed(part=part, note=note))


@lru_cache(maxsize=4)
def publisher_of(url: str, run: str, executor: str) -> Publisher | None:
    """This worker's publisher for a run; None, with the reason told, if it cannot be had."""
    global _unsaid  # noqa: PLW0603 - told with each report of this worker
    if not url:
        _unsaid = "the run's fabric cannot be reached from workers"
        return None
    try:
        return _open(url, run, executor)
    except Exception as error:  # noqa: BLE001 - a backend may lack its library here: the try runs all the same
        _unsaid = str(error) or type(error).__name__
        return None


def _open(url: str, run: str, executor: str) -> Publisher:
    """A publisher that writes at once; one that goes through a relay also takes orders."""
    source = default_source("worker")
    if not url.startswith("relay:"):
        return open_fabric(url).publisher(source, immediate=True)
    from parsl_diaspora.fabric.relay import RelayFabric

    place = here()
    told: dict[str, Any] = {"run": run, "executor": executor, "block": place.block, "manager": place.manager}
    told |= {"node": place.node, "worker": place.worker, "pid": place.pid}
    return RelayFabric(url).publisher(source, immediate=True, on_order=orders.take, place=told)
