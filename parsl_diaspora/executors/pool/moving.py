"""Work is moved from one member to another because somebody asks for it."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from functools import partial
from typing import Any

from parsl.executors import ThreadPoolExecutor

from parsl_diaspora.errors import ConfigurationError
from parsl_diaspora.events import TaskMoved
from parsl_diaspora.executors.gate import complete
from parsl_diaspora.executors.pool.dispatch import Dispatch, PoolParts
from parsl_diaspora.executors.pool.work import Attempt, Outcome, PoolFuture, Work
from parsl_diaspora.hints import nearest
from parsl_diaspora.recovery.placement import Choice


class Moving:
    """Moves work between members.

    Args:
        pool: whose members they are.
        dispatch: of the pool.
    """

    def __init__(self, pool: PoolParts, dispatch: Dispatch) -> None:
        self._pool = pool
        self._dispatch = dispatch

    def move(self, what: Any, to: str, reason: str) -> Future[bool]:
        """See `parsl_diaspora.executors.pool.executor.PoolExecutor.move`."""
        work = self._find(what)
        attempt = self._movable(work, to)
        choice = Choice(to, "moved", reason or "it was moved there")
        moved: Future[bool] = Future()
        done = partial(self._taken, work, attempt, choice, moved)
        if attempt.has_begun or self._can_copy_only(work, attempt):
            self._copy(work, attempt, choice, moved)
        elif isinstance(attempt.executor, ThreadPoolExecutor):
            done(self._dispatch.unsend(work, attempt))
        else:
            attempt.executor.withdraw(attempt.future, done)
        return moved

    def _find(self, what: Any) -> Work:
        future = what
        if (record := getattr(what, "task_record", None)) is not None:
            future = record.get("exec_fu")
        if isinstance(future, PoolFuture):
            return future.work
        found = self._dispatch.works.get(what) if isinstance(what, int) else None
        if found is None:
            message = (
                f"Pool {self._pool.label!r} has no work of {what!r}: it has ended, or is not launched yet."
            )
            raise ConfigurationError(message, hint="outstanding() lists what there is.")
        return found

    def _movable(self, work: Work, to: str) -> Attempt:
        """The only copy of a piece of work, which may be moved; else it is said why not."""
        with work.lock:
            live = work.live
            busy = work.moving or len(live) != 1 or work.over
        why = self._why_not(work, live[0] if live else None, to, busy=busy)
        if why:
            message = f"Work {work.number} of pool {self._pool.label!r} is not moved: {why[0]}."
            raise ConfigurationError(message, hint=why[1])
        with work.lock:
            work.moving = True
        return live[0]

    def _why_not(self, work: Work, attempt: Attempt | None, to: str, *, busy: bool) -> tuple[str, str] | None:
        if to not in self._pool.seats:
            return f"no member is called {to!r}", nearest(to, self._pool.seats)
        if wrong := self._pool.seats[to].wrong:
            return f"{to} takes no tasks, as {wrong}", "Choose another member."
        if attempt is None or busy:
            return "it has ended, waits for a member, is being moved, or runs twice", "Wait for its end."
        if attempt.label == to:
            return f"it is at {to} already", "Choose another member."
        return self._why_bound(work, attempt)

    def _why_bound(self, work: Work, attempt: Attempt) -> tuple[str, str] | None:
        idempotent = "Apps that may run twice are marked: @resilience(idempotent=True)."
        if attempt.has_begun and not work.options.idempotent:
            return "it has begun, and its app is not marked idempotent", idempotent
        if self._can_copy_only(work, attempt) and not work.options.idempotent:
            return f"nothing can take it back from {attempt.label}", idempotent
        return None

    @staticmethod
    def _can_copy_only(work: Work, attempt: Attempt) -> bool:
        """Whether the member gives nothing back."""
        if isinstance(attempt.executor, ThreadPoolExecutor):
            return False
        return not getattr(attempt.executor, "can_withdraw", False)

    def _copy(self, work: Work, attempt: Attempt, choice: Choice, moved: Future[bool]) -> None:
        """For apps that may run twice: the new copy counts, the old one is stopped."""
        sent = self._send(work, attempt, choice)
        with work.lock:
            work.moving = False
            attempt.abandoned = attempt.abandoned or (sent and not work.over)
        if attempt.abandoned and not attempt.ended:
            self._dispatch.stop(work, attempt, f"it was moved to {choice.label}")
        complete(moved, sent and attempt.abandoned, None)

    def _taken(self, work: Work, attempt: Attempt, choice: Choice, moved: Future[bool], taken: bool) -> None:
        """A member has given the work back, or has not as a worker has it already."""
        if taken:
            self._dispatch.given_back(work, attempt)
            if work.withdrawn:  # somebody has cancelled it meanwhile
                self._dispatch.end(work, attempt, Outcome(error=CancelledError(), good=False))
            taken = not work.over and self._send(work, attempt, choice)
        work.moving = False
        complete(moved, taken, None)

    def _send(self, work: Work, attempt: Attempt, choice: Choice) -> bool:
        """Said first: the new copy may end before this thread goes on."""
        self._say(work, attempt, choice)
        if work.task is not None:
            work.task["executor"] = choice.label
        try:
            self._dispatch.send(work, choice)
        except Exception as error:  # noqa: BLE001 - if it is nowhere else, this is its end
            if attempt.abandoned:
                self._dispatch.end(work, attempt, Outcome(error=error, good=False))
            return False
        return True

    def _say(self, work: Work, attempt: Attempt, choice: Choice) -> None:
        launch = work.launch
        self._pool.advice.say(
            TaskMoved(
                task=launch.task if launch is not None else None,
                try_id=launch.try_id if launch is not None else None,
                executor=attempt.label,
                to=choice.label,
                started=attempt.has_begun,
                reason=choice.why,
            )
        )
