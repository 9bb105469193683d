"""Tasks that are kept back: for a while, until a condition holds, or until somebody releases them.

A parked task keeps its inputs and its place in the graph: a gate stands among its dependencies, so Parsl's
kernel sees a pending task. Whoever takes an entry out of the table decides what becomes of its task, so that
the end of a delay, an order from outside, late evidence and the end of the run never do it twice.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future, InvalidStateError
from typing import TYPE_CHECKING, Any, Literal

from parsl_diaspora.errors import TaskHeldTooLong
from parsl_diaspora.events import DecisionMade, Event, TaskHeld, TaskReleased
from parsl_diaspora.executors.gate import complete
from parsl_diaspora.monitoring import kernel
from parsl_diaspora.monitoring.errands import Errands
from parsl_diaspora.monitoring.kernel import Gate, Record
from parsl_diaspora.monitoring.waits import Waits
from parsl_diaspora.recovery.held_reasons import BY_PERSON, IN_VAIN, REASONS, HeldReason, reason_for

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.session import Session

logger = logging.getLogger(__name__)

State = Literal["delayed", "waiting", "held"]
#: What becomes of a task whose condition does not come to hold in time.
Otherwise = Literal["retry", "hold", "fail"]

SOON = 0.05  # seconds until another look at a task that the kernel is just moving
MOST_LOOKS = 100


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
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._entries: dict[int, Entry] = {}
        self._values: dict[int, Any] = {}
        self._errors: dict[int, BaseException] = {}
        self._errands = Errands("diaspora-parked", lambda error: session.absorb("parked tasks", error))
        self._waits = Waits(session, self._errands)
        self._said = False

    def __iter__(self) -> Iterator[Entry]:
        with self._lock:
            return iter(list(self._entries.values()))

    # --- what the retry handler and the memoizer call ---

    def note(self, task: Record, error: BaseException) -> None:
        """Remember how a task failed last: with that it ends if it is never released."""
        self._errors[task["id"]] = error

    def delay(self, task: Record, seconds: float) -> None:
        """Let a task go on after so many seconds."""
        if (entry := self._park(task, "delayed")) is not None:
            self._session.clock.call_later(seconds, lambda: self._open(entry))

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
        self._waits.add(condition, entry, lambda: self._open(entry))
        self._session.clock.call_later(timeout, lambda: self._waited(entry, condition, timeout, otherwise))

    def hold(self, task: Record, decision: DecisionMade) -> None:
        """Hold a failed task, as a rule of the policy says, until somebody releases it."""
        if (entry := self._park(task, "held")) is None:
            return
        number = getattr(decision, "held_number", 0)
        reason = reason_for(decision.diagnosis, number)
        text = f"{reason.text}: {decision.reason}" if decision.reason else reason.text
        entry.failure_class = decision.diagnosis.failure_class
        self._say_held(entry, reason, text, owner=f"rule {decision.rule}", cause=(decision.id,), at=decision)

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

    def forget(self, task: Record) -> None:
        """A task has ended."""
        number = task["id"]
        self._errors.pop(number, None)
        self._values.pop(number, None)
        if self._entries:
            with self._lock:
                self._entries.pop(number, None)

    # --- what people ask ---

    def entry_of(self, number: int) -> Entry | None:
        """A task that is parked."""
        return self._entries.get(number)

    def hold_back(self, task: Record, reason: str, owner: str, cause: tuple[str, ...] = ()) -> bool:
        """Hold a task that has not been launched, or waits for its next try; False if it is beyond that."""
        with self._lock:
            entry = self._entries.get(task["id"])
            if entry is None:
                gate = kernel.park_waiting(task)
            else:
                gate = entry.gate if not entry.gate.done() else None
            if gate is None:
                return False
            held = self._entries[task["id"]] = Entry(task, gate, "held")
            held.failure_class = self._last_class(task)
        text = REASONS[BY_PERSON]
        self._say_held(held, text, f"{text.text}{f': {reason}' if reason else ''}", owner=owner, cause=cause)
        return True

    def hold_in_handler(self, task: Record, reason: str, owner: str, cause: tuple[str, ...] = ()) -> None:
        """Hold a task whose try has just failed, from within the retry handler."""
        if (entry := self._park(task, "held")) is None:
            return
        entry.failure_class = self._last_class(task)
        text = REASONS[BY_PERSON]
        self._say_held(entry, text, f"{text.text}{f': {reason}' if reason else ''}", owner=owner, cause=cause)

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
        if how == "retry":
            task["fail_cost"] = 0
        self._say_released(entry, how, owner, reason, cause)
        self._errands.run(lambda: complete(entry.gate, None, None))
        return True

    def fail(self, entry: Entry, owner: str, *, reason: str = "", cause: tuple[str, ...] = ()) -> bool:
        """End a parked task with its last error; False if somebody else was first."""
        if not self._claim(entry):
            return False
        self._say_released(entry, "fail", owner, reason, cause)
        words = f"{owner} failed it while it was {entry.state}{f': {reason}' if reason else ''}."
        self._finish_soon(entry, words)
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
        if self._entries.get(entry.task["id"]) is not entry:
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
            held.failure_class = self._last_class(entry.task)
        reason = REASONS[IN_VAIN]
        self._say_held(held, reason, f"{reason.text}: {condition!r} within {timeout:g} s", owner="the policy")

    def _give_up(self, entry: Entry, seconds: float) -> None:
        """Nobody has released a held task in time."""
        self.fail(entry, "the setting hold_timeout", reason=f"nobody released it within {seconds:g} s")

    def _finish(self, entry: Entry, words: str, looks: int = MOST_LOOKS) -> None:
        """End a task that nobody else will end."""
        stage = kernel.stage_of(entry.task)
        if stage == "ended" or self._session.cancels.is_asked(entry.task):
            return
        if stage == "waiting":
            _end(entry.task, self._last_error(entry, words))
        elif looks:  # the retry handler has parked it, and the kernel is not done with that
            self._session.clock.call_later(SOON, lambda: self._finish_soon(entry, words, looks - 1))

    def _finish_soon(self, entry: Entry, words: str, looks: int = MOST_LOOKS) -> None:
        """In a thread that may run callbacks of the program."""
        self._errands.run(lambda: self._finish(entry, words, looks))

    def _last_error(self, entry: Entry, words: str) -> Exception:
        number = entry.task["id"]
        error = self._errors.get(number)
        if not isinstance(error, Exception):
            message = f"Task {number} ({entry.task['func_name']}) was never run: {words}"
            return TaskHeldTooLong(message, task=number, hint="Run the program again to run it.")
        note = f"Task {number}: {words} Run the program again to try it again."
        if hasattr(error, "add_note") and note not in getattr(error, "__notes__", ()):
            error.add_note(note)
        return error

    def close(self) -> None:
        """The run ends: tasks that are still parked end with their last error, as nothing will run them."""
        left = [entry for entry in self if self._claim(entry)]
        for entry in left:
            words = f"it was {entry.state} when the program ended{_reason(entry)}."
            self._finish_quietly(entry, words)
        if left:
            logger.warning(
                "parsl_diaspora: %d tasks were held or waited for their next try when the program ended; "
                "they have failed with their last errors. Run the program again to try them again.",
                len(left),
            )
        self._errands.close()

    def _finish_quietly(self, entry: Entry, words: str) -> None:
        try:
            self._finish(entry, words, looks=0)
        except Exception as error:  # noqa: BLE001 - one that fails must not keep the others from their end
            self._session.absorb("parked tasks", error)

    # --- what is said ---

    def _say_held(
        self,
        entry: Entry,
        reason: HeldReason,
        text: str,
        *,
        owner: str,
        cause: tuple[str, ...] = (),
        at: Event | None = None,
    ) -> None:
        task, live = entry.task, self._session.begin(entry.task["dfk"].run_id)
        entry.held = TaskHeld(
            task=task["id"],
            try_id=at.try_id if at is not None else None,
            executor=task["executor"],
            number=reason.number,
            reason=text,
            suggestion=reason.suggestion,
            owner=owner,
            failure_class=entry.failure_class,
            cause=cause,
        )
        live.say(entry.held)
        self._warn_once(task, text)
        if (seconds := self._session.settings.hold_timeout) is not None:
            self._session.clock.call_later(seconds, lambda: self._give_up(entry, seconds))

    def _warn_once(self, task: Record, text: str) -> None:
        if self._said:
            return
        self._said = True
        logger.warning(
            "parsl_diaspora: task %d (%s) is held: %s. 'parsl-diaspora held last' lists all that are held.",
            task["id"],
            task["func_name"],
            text,
        )

    def _say_released(self, entry: Entry, how: str, owner: str, reason: str, cause: tuple[str, ...]) -> None:
        live = self._session.begin(entry.task["dfk"].run_id)
        if entry.held is not None:
            cause = (*cause, entry.held.id)
        task = entry.task
        live.say(
            TaskReleased(
                task=task["id"], executor=task["executor"], how=how, owner=owner, reason=reason, cause=cause
            )
        )

    def _last_class(self, task: Record) -> str:
        live = self._session.live
        last = live.picture.last_try(task["id"]) if live is not None else None
        return last.failure_class if last is not None else ""


def _end(task: Record, error: Exception) -> None:
    try:
        kernel.end_task(task, error)
    except (InvalidStateError, KeyError):  # somebody else, as a cancel, was first
        logger.debug("Task %s had ended when it was to be failed; the first end holds.", task["id"])


def _reason(entry: Entry) -> str:
    return f" ({entry.held.reason})" if entry.held is not None else ""
