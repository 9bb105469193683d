"""Tries that must stop where they run: orders to their supervisors, and the news of their end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal

from parsl_diaspora.events import Event, TryStarted, TryStopped
from parsl_diaspora.executors.mixin import Hardening
from parsl_diaspora.executors.pool.work import PoolFuture
from parsl_diaspora.monitoring.kernel import executor_of
from parsl_diaspora.monitoring.supervisor_orders import give_order, orders_of

if TYPE_CHECKING:
    from parsl_diaspora.executors.launch import Launch, Report
    from parsl_diaspora.executors.pool.work import Attempt
    from parsl_diaspora.monitoring.errands import Errands
    from parsl_diaspora.monitoring.kernel import Record
    from parsl_diaspora.monitoring.relay import RunRelay
    from parsl_diaspora.monitoring.session import Session

GRACE = 0.5  # seconds that a task has to give way before its worker is ended
PATIENCE = 1.0  # seconds in which a supervisor may tell of an end itself, before it is told here

#: Task, number of the try, and label: copies of one try are at different executors.
Key = tuple[int, int, str]
Outlook = Literal["queued", "stopping", "left_running"]


class Stop:
    """One try that must stop.

    Args:
        stops: of the run.
        executor: that has the try.
        label: of that executor.
        task: Parsl's task id.
        try_id: number of the try.
        manager: where it runs; None if it is not known to have begun.
        reason: in words.

    Attributes:
        outlook: what can be hoped for, as in `parsl_diaspora.monitoring.cancelling.cancels.Cancelled`.
    """

    def __init__(
        self,
        stops: Stops,
        executor: Any,
        *,
        label: str,
        task: int,
        try_id: int,
        manager: str | None,
        reason: str,
    ) -> None:
        self._stops = stops
        self._executor = executor
        self.key: Key = (task, try_id, label)
        self.task, self.try_id, self.manager, self.reason = task, try_id, manager, reason

    @property
    def outlook(self) -> Outlook:
        """What can be hoped for."""
        if not isinstance(self._executor, Hardening):
            return "left_running"
        if self.manager is None:  # where starts are not heard of, it may as well have begun
            return "left_running" if self._executor.unsaid else "queued"
        return "stopping" if self._stops.can_stop(self._executor, self.manager) else "left_running"

    def begin(self) -> None:
        """Have the try stopped now, or as soon as it begins."""
        if self.manager is None:
            self._stops.wait_for(self)
        else:
            self.order()

    def order(self) -> None:
        """Tell the supervisor of the manager, if any: by file and, on other hosts, through the relay, too."""
        message = {"kind": "stop", "task": self.task, "try": self.try_id}
        message |= {"reason": self.reason, "grace": GRACE}
        give_order(self._executor, self.manager, message, self._stops.errands, self._stops.relay)


class Stops:
    """What is to be stopped in one run, and who can do it.

    Args:
        session: of the run.
        errands: does what takes files.
    """

    def __init__(self, session: Session, errands: Errands) -> None:
        self._session = session
        self.errands = errands
        self._lock = threading.Lock()
        self._supervised: set[str] = set()
        self._waiting: dict[Key, Stop] = {}
        self._told: set[Key] = set()

    @property
    def relay(self) -> RunRelay | None:
        """What carries orders to other hosts, if this run has it."""
        return self._session.relay

    def of(self, task: Record, reason: str) -> Stop:
        """What there is to stop of a task's newest try."""
        number, try_id = task["id"], task["try_id"]
        executor = executor_of(task["dfk"], task["executor"])
        _send_no_more(task["exec_fu"])
        live = self._session.begin(task["dfk"].run_id)
        last = live.picture.last_try(number)
        manager = last.manager if last is not None and last.status == "running" else None
        return Stop(
            self,
            executor,
            label=task["executor"],
            task=number,
            try_id=try_id,
            manager=manager,
            reason=reason,
        )

    def of_copy(self, launch: Launch, attempt: Attempt, reason: str) -> Stop:
        """What there is to stop of one copy of a try at a member of a pool."""
        _send_no_more(attempt.future)
        return Stop(
            self,
            attempt.executor,
            label=attempt.label,
            task=launch.task,
            try_id=launch.try_id,
            manager=attempt.manager,
            reason=reason,
        )

    def can_stop(self, executor: Any, manager: str) -> bool:
        """Whether the manager has a supervisor that takes orders."""
        return self.is_supervised(manager) and orders_of(executor) is not None

    def is_supervised(self, manager: str | None) -> bool:
        """Whether a supervisor of that manager has been heard of."""
        return manager in self._supervised

    def wait_for(self, stop: Stop) -> None:
        """Stop a try as soon as it begins."""
        with self._lock:
            self._waiting[stop.key] = stop
        last = self._session.live.picture.last_try(stop.task) if self._session.live is not None else None
        if last is not None and last.pid and last.executor == stop.key[2]:  # it began meanwhile
            self._begun(stop.key, last.manager)

    # --- what is heard ---

    def supervised(self, manager: str | None) -> None:
        """A supervisor has told of its manager."""
        if manager:
            self._supervised.add(manager)

    def started(self, event: TryStarted | Any) -> None:
        """A try has begun."""
        if self._waiting:
            self._begun(_key_of(event), event.manager)

    def _begun(self, key: Key, manager: str | None) -> None:
        with self._lock:
            stop = self._waiting.pop(key, None)
        if stop is not None:
            stop.manager = manager
            stop.order()

    def stopped(self, event: TryStopped | Any) -> None:
        """A supervisor has told of the end of a try."""
        self._told.add(_key_of(event))

    def ended(self, task: Record, try_id: int, how: str) -> None:
        """A try that was to be stopped has ended: told here, unless its supervisor does."""
        key = task["id"], try_id, task["executor"]
        self.copy_ended(key, self._session.tries.report_of(*key), how)

    def copy_ended(self, key: Key, report: Report | None, how: str) -> None:
        """As `ended`, for a try or for one copy of it."""
        with self._lock:
            self._waiting.pop(key, None)
        number, try_id, label = key
        event = TryStopped(task=number, try_id=try_id, executor=label, how=how)
        if report is not None:
            report.put_place_on(event)
            event.pid = report.pid

        def tell() -> None:
            live = self._session.live
            if self._told.isdisjoint((key, (number, try_id, ""))) and live is not None:
                live.say(event)

        self._session.clock.call_later(PATIENCE, tell)


def _key_of(event: Event) -> Key:
    return event.task or 0, event.try_id or 0, event.executor or ""


def _send_no_more(future: Any) -> None:
    """A try that a worker has handed back is not sent again."""
    if isinstance(future, PoolFuture):
        for attempt in future.copies():
            _send_no_more(attempt.future)
        return
    if getattr(future, "payload", None) is not None:
        future.payload = None
