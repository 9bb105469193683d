"""A task that a manager holds but never starts, although tasks that it got later have started.

A worker that is killed between taking a task and noting so takes it along: stock Parsl waits for ever.
"""

from __future__ import annotations

from parsl_diaspora.clock import Clock
from parsl_diaspora.executors.agent.control import ManagerSighting, Sightings
from parsl_diaspora.executors.errors import NeverStarted
from parsl_diaspora.executors.gate import complete
from parsl_diaspora.executors.watch.managers import Managers
from parsl_diaspora.executors.watch.watched import ManagerRecord, Watched
from parsl_diaspora.state import Live

ASK_AFTER = 2.0  # seconds in which a manager holds more than it runs while workers are free
PATIENCE = 3.0  # seconds from when a task was first seen to wait: its start may be heard late


class Unstarted:
    """Watches the tasks of managers that seem to have lost one.

    Managers hand tasks out in the order in which they got them. So when more tasks have started at a manager
    than were before this one, this one was taken by a worker that is dead.

    Args:
        executor: whose tasks they are.
        live: of the run.
        clock: time.
        managers: of the executor.

    Attributes:
        asked: managers whose tasks are to be listed.
    """

    def __init__(self, executor: Watched, live: Live, clock: Clock, managers: Managers) -> None:
        self.asked: set[str] = set()
        self._executor = executor
        self._live = live
        self._clock = clock
        self._managers = managers
        self._suspicious: dict[str, float] = {}
        self._waiting: dict[int, tuple[float, int]] = {}  # by number: since when, and starts that prove it

    def look(self, sightings: Sightings) -> None:
        """Look at each manager, and at the tasks of those that were asked about."""
        now = self._clock.monotonic()
        self._suspicious = {
            name: self._suspicious.get(name, now)
            for name, manager in self._managers.present.items()
            if self._is_suspicious(name, manager)
        }
        self.asked = {name for name, since in self._suspicious.items() if now - since >= ASK_AFTER}
        asked = [each for each in sightings.managers if each.manager in self.asked]
        waiting = {number for each in asked for number in self._look_at(each, now)}
        self._waiting = {number: seen for number, seen in self._waiting.items() if number in waiting}

    def _is_suspicious(self, name: str, manager: ManagerRecord) -> bool:
        known = self._live.picture.managers.get(name)
        if known is None or not known.started or self._executor.unsaid or not self._live.hears:
            return False
        running = len(known.running)
        return running < int(manager["tasks"]) and running < int(manager["worker_count"])

    def _look_at(self, sighting: ManagerSighting, now: float) -> list[int]:
        """Numbers of the tasks there that wait; those that were passed over are completed as lost."""
        known = self._live.picture.managers[sighting.manager]
        waiting = [number for number in sighting.tasks or () if self._waits(number)]
        slack = int(self._managers.present[sighting.manager]["worker_count"])
        for place, number in enumerate(waiting):
            since, proof = self._waiting.setdefault(number, (now, known.started + place + slack + 1))
            if known.started >= proof and now - since >= PATIENCE:
                self._lose(number, sighting.manager)
        return waiting

    def _waits(self, number: int) -> bool:
        future = self._executor.tasks.get(number)
        launch = getattr(future, "launch", None)
        if future is None or launch is None or future.done():
            return False
        task = self._live.picture.tasks.get(launch.task)
        if task is None or len(task.tries) <= launch.try_id:
            return False
        return bool(task.tries[launch.try_id].status == "launched")

    def _lose(self, number: int, manager: str) -> None:
        message = f"Manager {manager} holds the task but never started it, though later ones have run there."
        complete(
            self._executor.tasks[number],
            None,
            NeverStarted(message, manager=manager, hint="Call the app again."),
        )
