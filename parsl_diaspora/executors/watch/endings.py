"""A worker or manager whose end was told by the supervisor of its node: nobody waits for stock to see it."""

from __future__ import annotations

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import ManagerEnded, WorkerEnded
from parsl_diaspora.executors.errors import WorkerDied
from parsl_diaspora.executors.gate import complete
from parsl_diaspora.executors.watch.managers import Managers
from parsl_diaspora.executors.watch.watched import Watched, future_of

#: Seconds in which a manager has a new worker at work where one has died, on a slow node.
START_OF_WORKER = 30.0


class Endings:
    """Completes the tries of dead workers, and gives up dead managers.

    What stock says of them later is late, and absorbed.

    Args:
        executor: whose they are.
        managers: theirs.
        clock: time.

    Attributes:
        killed_idle: managers of which a worker was killed while it was idle; it may have held the lock of
            the task queue.
    """

    def __init__(self, executor: Watched, managers: Managers, clock: Clock) -> None:
        self.killed_idle: set[str] = set()
        self._clock = clock
        self._busy_ends: dict[str, list[float]] = {}
        self._executor = executor
        self._managers = managers

    def worker_ended(self, event: WorkerEnded) -> None:
        """A try that ran on it is over; its retry handler sees why."""
        if event.task is None:
            if (event.exit_code or 0) < 0 and event.manager:
                self.killed_idle.add(event.manager)
            return
        self._busy_ends.setdefault(event.manager or "", []).append(self._clock.monotonic())
        future = future_of(self._executor, event.task, event.try_id)
        if future is not None:
            complete(future, None, worker_died(event))

    def replaced(self, manager: str) -> int:
        """Workers of a manager that died under a task a short while ago: others are started for them."""
        since = self._clock.monotonic() - START_OF_WORKER
        return sum(when > since for when in self._busy_ends.get(manager, ()))

    def manager_ended(self, event: ManagerEnded) -> None:
        """All that it held is lost."""
        name = event.manager or ""
        self.killed_idle.discard(name)
        self._busy_ends.pop(name, None)
        self._managers.give_up(name, f"it ended: {event.reason or _code(event.exit_code)}")


_MORE_MEMORY = "Let fewer tasks run on a node at once, or ask for more memory."
_EXPLAIN = "`parsl-diaspora explain last TASK` tells what happened around it."


def worker_died(event: WorkerEnded) -> WorkerDied:
    """What the retry handler is told of a worker's end."""
    place = f"worker {event.worker} of manager {event.manager} on {event.node or 'its node'}"
    how = f"stopped ({event.stopped})" if event.stopped else _code(event.exit_code)
    memory = "; the node or its control group was out of memory" if event.out_of_memory else ""
    return WorkerDied(
        f"The worker process died under the task: {place}, {how}{memory}.",
        worker_id=event.worker if event.worker is not None else -1,
        hostname=event.node or "",
        manager=event.manager or "",
        exit_code=event.exit_code,
        out_of_memory=event.out_of_memory,
        memory=event.memory,
        hint=_MORE_MEMORY if event.out_of_memory else _EXPLAIN,
    )


def _code(code: int | None) -> str:
    if code is None:
        return "nobody could tell its exit code"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
