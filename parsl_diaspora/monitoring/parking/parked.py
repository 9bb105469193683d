"""Tasks that are kept back: for a while, until a condition holds, or until somebody releases them.

A parked task keeps its inputs and its place in the graph: a gate stands among its dependencies, so Parsl's
kernel sees a pending task. Whoever takes an entry out of the table decides what becomes of its task, so that
the end of a delay, an order from outside, late evidence and the end of the run never do it twice.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Literal

from parsl_diaspora.events import DecisionMade, TaskHeld
from parsl_diaspora.executors.gate import complete
from parsl_diaspora.monitoring import kernel
from parsl_diaspora.monitoring.errands import Errands
from parsl_diaspora.monitoring.kernel import Gate, Record
from parsl_diaspora.monitoring.parking.held_events import HeldEvents, Why, by_person, by_rule, in_vain
from parsl_diaspora.monitoring.parking.parked_ends import ParkedEnds
from parsl_diaspora.monitoring.parking.waits import Waits

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.session import Session

logger = logging.getLogger(__name__)

State = Literal["delayed", "waiting", "held"]
#: What becomes of a task whose condition does not come to hold in time.
Otherwise = Literal["retry", "hold", "fail"]


class Entry:
    """One parked task.

    Attributes:
        task: Parsl's record.
        gate: opens to let it go on.
        state: why it is parked.
        held: what was said of it, if it is held.
        failure_class: of its last failure; empty if there was none.
    """

    __slots__ = ("failure_class", "gate", "held", "state", "task")

    def __init__(self, task: Record, gate: Gate, state: State) -> None:
        self.task = task
        self.gate = gate
        self.state = state
        self.held: TaskHeld | None = None
        self.failure_class = ""


class Parked:
    """The parked tasks of one run. What Parsl's hooks call neither waits nor raises.

    Args:
        session: of the run.

    Attributes:
        is_closed: the run has ended, and nothing that is parked would ever go on.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._entries: dict[int, Entry] = {}
        self._values: dict[int, Any] = {}
        self._sent: set[int] = set()
        self._errands = Errands("diaspora-parked", lambda error: session.absorb("parked tasks", error))
        self._waits = Waits(session, self._errands)
        self._ends = ParkedEnds(session, self._errands)
        self._events = HeldEvents(session)
        self.is_closed = False

    def __iter__(self) -> Iterator[Entry]:
        with self._lock:
            return iter(list(self._entries.values()))

    # --- what the retry handler and the memoizer call ---

    def note(self, task: Record, error: BaseException) -> None:
        """Remember how a task failed last: with that it ends if it is never released."""
        self._ends.note(task, error)

    def delay(self, task: Record, seconds: float) -> None:
        """Let a task go on after so many seconds."""
        if (entry := self._park(task, "delayed")) is not None:
            self._session.clock.call_later(seconds, lambda: self._open(entry))

    def delay_at_least(self, task: Record, seconds: float) -> None:
        """Let a task that would go on sooner do so after so many seconds."""
        entry = self._entries.get(task["id"])
        if entry is None or entry.state == "delayed":
            self.delay(task, seconds)

    def revise(self, task: Record, carry_out: Callable[[], bool]) -> None:
        """Let late evidence change what becomes of a task whose next try is delayed.

        Args:
            task: Parsl's record.
            carry_out: does what was decided anew, unless the next try has begun or somebody holds the task;
                whether there is a further try.
        """
        entry = self._entries.get(task["id"])
        if entry is None or entry.state != "delayed" or not self._claim(entry):
            return
        goes_on = True
        try:
            goes_on = carry_out()
        finally:
            if goes_on:
                complete(entry.gate, None, None)  # where it was parked anew, it waits for another gate
            else:
                self._ends.end_soon(task, "")

    def wait(self, task: Record, condition: str, timeout: float, otherwise: Otherwise = "retry") -> None:
        """Let a task go on when a condition holds.

        Args:
            task: Parsl's record.
            condition: ``file:/path`` (is there), ``executor:LABEL`` (takes tasks and has managers),
                ``manager:LABEL`` (a manager is there), or ``fabric`` (events are heard).
            timeout: seconds to wait at most.
            otherwise: what then: ``retry`` all the same, ``hold``, or ``fail``.
        """
        if (entry := self._park(task, "waiting")) is None:
            return
        self._waits.add(condition, task["dfk"], lambda: self._is_current(entry), lambda: self._open(entry))
        self._session.clock.call_later(timeout, lambda: self._waited(entry, condition, timeout, otherwise))

    def hold(self, task: Record, decision: DecisionMade) -> None:
        """Hold a failed task, as a rule of the policy says, until somebody releases it."""
        self._hold_parked(task, by_rule(decision), decision.diagnosis.failure_class)

    def substitute(self, task: Record, value: Any) -> None:
        """Let a task end with this value when it would be launched next."""
        self._values[task["id"]] = value

    def answer(self, task: Record) -> Future[Any] | None:
        """What stands in for the launch of a task: a future that is done; None for a task to be launched."""
        if task["id"] not in self._values:
            return None
        future: Future[Any] = Future()
        future.set_result(self._values[task["id"]])
        return future

    def is_substituted(self, task: Record) -> bool:
        """Whether a task's result is a value that stands in for its own."""
        return task["id"] in self._values

    def is_sent(self, task: Record) -> bool:
        """Whether somebody has said where a task goes."""
        return task["id"] in self._sent

    def forget(self, task: Record) -> None:
        """A task has ended."""
        self._ends.forget(task)
        self._session.unexplained.forget(task)
        self._session.orders.forget(task)
        self._values.pop(task["id"], None)
        self._sent.discard(task["id"])
        if self._entries:
            with self._lock:
                self._entries.pop(task["id"], None)

    # --- what people ask ---

    def entry_of(self, number: int) -> Entry | None:
        """A task that is parked."""
        return self._entries.get(number)

    def hold_back(self, task: Record, reason: str, owner: str, cause: tuple[str, ...] = ()) -> bool:
        """Hold a task that has not been launched, or waits for its next try; False if it is beyond that."""
        known = self._entries.get(task["id"])
        gate = known.gate if known is not None and not known.gate.done() else kernel.park_waiting(task)
        if gate is None:
            return False
        with self._lock:
            held = self._entries[task["id"]] = Entry(task, gate, "held")
        self._say_held(held, by_person(reason, owner, cause), self._last_class(task))
        return True

    def hold_in_handler(self, task: Record, reason: str, owner: str, cause: tuple[str, ...] = ()) -> None:
        """Hold a task whose try has just failed, from within the retry handler."""
        self._hold_parked(task, by_person(reason, owner, cause), self._last_class(task))

    def release(
        self,
        entry: Entry,
        how: str,
        owner: str,
        *,
        to: str = "",
        reason: str = "",
        cause: tuple[str, ...] = (),
    ) -> bool:
        """Let a parked task go on; False if somebody else was first.

        Args:
            entry: of the task.
            how: ``release``, or ``retry`` for fresh budgets.
            owner: who asks.
            to: label of the executor; empty for the one that the task has.
            reason: in words.
            cause: ids of events that led to it.
        """
        if not self._claim(entry):
            return False
        task = entry.task
        if to:
            task["executor"] = to
            self._sent.add(task["id"])
        if how == "retry":
            task["fail_cost"] = 0
        self._events.released(task, entry.held, how, owner=owner, reason=reason, cause=cause)
        self._errands.run(lambda: complete(entry.gate, None, None))
        return True

    def fail(self, entry: Entry, owner: str, *, reason: str = "", cause: tuple[str, ...] = ()) -> bool:
        """End a parked task with its last error; False if somebody else was first."""
        if not self._claim(entry):
            return False
        self._events.released(entry.task, entry.held, "fail", owner=owner, reason=reason, cause=cause)
        words = f"{owner} failed it while it was {entry.state}{f': {reason}' if reason else ''}."
        self._ends.end_soon(entry.task, words)
        return True

    # --- the table ---

    def _park(self, task: Record, state: State) -> Entry | None:
        """A new entry, from within the retry handler; None if the task is held, which goes over all else."""
        with self._lock:
            known = self._entries.get(task["id"])
            if known is not None and known.state == "held":
                return None
            open_gate = known.gate if known is not None and not known.gate.done() else None
            entry = self._entries[task["id"]] = Entry(task, open_gate or kernel.park(task), state)
        return entry

    def _is_current(self, entry: Entry) -> bool:
        return self._entries.get(entry.task["id"]) is entry

    def _claim(self, entry: Entry) -> bool:
        """Take an entry out of the table; only one succeeds."""
        with self._lock:
            if self._entries.get(entry.task["id"]) is not entry:
                return False
            del self._entries[entry.task["id"]]
        return True

    def _open(self, entry: Entry) -> None:
        if self._claim(entry):
            complete(entry.gate, None, None)

    # --- ends of waits and holds ---

    def _waited(self, entry: Entry, condition: str, timeout: float, otherwise: Otherwise) -> None:
        if not self._is_current(entry):
            return
        if otherwise == "hold":
            self._hold_in_vain(entry, condition, timeout)
        elif otherwise == "fail":
            self.fail(entry, "the policy", reason=f"{condition!r} did not come within {timeout:g} s")
        else:
            self._open(entry)

    def _hold_in_vain(self, entry: Entry, condition: str, timeout: float) -> None:
        with self._lock:
            if self._entries.get(entry.task["id"]) is not entry:
                return
            held = self._entries[entry.task["id"]] = Entry(entry.task, entry.gate, "held")
        self._say_held(held, in_vain(condition, timeout), self._last_class(entry.task))

    def _give_up(self, entry: Entry, seconds: float) -> None:
        """Nobody has released a held task in time."""
        self.fail(entry, "the setting hold_timeout", reason=f"nobody released it within {seconds:g} s")

    def close(self) -> None:
        """The run ends: tasks that are still parked end with their last error, as nothing will run them."""
        self.is_closed = True
        left = [entry for entry in self if self._claim(entry)]
        self._ends.end_all((each.task, f"it was {_state(each)} when the program ended.") for each in left)
        if left:
            logger.warning(
                "parsl_diaspora: tasks held, or waiting for their next try, when the program ended: %d. "
                "They have failed with their last errors; run the program again to try them again.",
                len(left),
            )
        self._errands.close()

    # --- holding ---

    def _hold_parked(self, task: Record, why: Why, failure_class: str) -> None:
        """From within the retry handler."""
        if (entry := self._park(task, "held")) is not None:
            self._say_held(entry, why, failure_class)

    def _say_held(self, entry: Entry, why: Why, failure_class: str) -> None:
        entry.failure_class = failure_class
        entry.held = self._events.held(entry.task, why, failure_class)
        if (seconds := self._session.settings.hold_timeout) is not None:
            self._session.clock.call_later(seconds, lambda: self._give_up(entry, seconds))

    def _last_class(self, task: Record) -> str:
        live = self._session.live
        last = live.picture.last_try(task["id"]) if live is not None else None
        return last.failure_class if last is not None else ""


def _state(entry: Entry) -> str:
    return f"held ({entry.held.reason})" if entry.held is not None else entry.state
