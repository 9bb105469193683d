"""Work on its way: given to members, taken elsewhere when a member is lost, and ended exactly once.

Called from Parsl's launch thread, from the members' own threads as copies end, and from the pool's keeper.
Nothing here waits, and no lock is held while anything else is called.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection
from concurrent.futures import Future, InvalidStateError
from functools import partial
from typing import Any, Protocol

from parsl.executors import ThreadPoolExecutor
from parsl.executors.errors import BadStateException, ScalingFailed

from parsl_diaspora.executors.errors import InterchangeLost, NoBlocks
from parsl_diaspora.executors.gate import complete
from parsl_diaspora.executors.launch import launching
from parsl_diaspora.executors.pool.advice import Advice
from parsl_diaspora.executors.pool.homeless import Homeless
from parsl_diaspora.executors.pool.member import Member
from parsl_diaspora.executors.pool.placer import Placer
from parsl_diaspora.executors.pool.wants import wants_of
from parsl_diaspora.executors.pool.work import Attempt, Outcome, Work, outcome_of
from parsl_diaspora.recovery.options import options_of
from parsl_diaspora.recovery.placement import Choice
from parsl_diaspora.scaling.durations import Durations

MOST_FAILOVERS = 8  # members that one piece of work may be lost with

#: What befalls all of an executor's tasks at once.
_OF_MEMBERS = (BadStateException, InterchangeLost, NoBlocks, ScalingFailed)


class PoolParts(Protocol):
    """What dispatching needs of its pool."""

    label: str
    advice: Advice
    seats: dict[str, Member]
    placer: Placer
    durations: Durations


class Dispatch:
    """Hands work to members, and gives each piece its one end.

    Args:
        pool: whose work it is.

    Attributes:
        works: that have not ended, by number.
        idempotent: those of them that may run twice.
        of_task: the same by Parsl's task id and number of the try, where a program is resilient.
        homeless: work that waits for a member.
    """

    def __init__(self, pool: PoolParts) -> None:
        self._pool = pool
        self._numbers = itertools.count(1)
        self.works: dict[int, Work] = {}
        self.idempotent: dict[int, Work] = {}
        self.of_task: dict[tuple[int, int], Work] = {}
        self.homeless = Homeless()

    # --- on its way ---

    def take(
        self,
        func: Callable[..., Any],
        specification: dict[str, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Work:
        """A new piece of work, with what this thread has to say of it.

        Raises:
            ConfigurationError: the resource specification uses words of pools in a wrong way.
        """
        work = Work(next(self._numbers), func, specification, args, kwargs)
        work.launch, launching.launch = launching.launch, None
        work.task, launching.task = launching.task, None
        work.wants = wants_of(specification)
        told = work.task["func"] if work.task is not None else func
        work.options, work.key = options_of(told), self._pool.advice.key(told)
        work.future.take_back = self.take_back
        return work

    def first(self, work: Work) -> None:
        """Give a new piece of work to a member.

        Raises:
            Exception: it cannot be sent, as when its arguments cannot be serialized.
        """
        self._know(work)
        try:
            if work.launch is not None and work.launch.executor in self._pool.seats:
                self.send(work, Choice(work.launch.executor, "", launching.placed))
            else:
                self._send_anywhere(work, without=())
        except BaseException:
            self._forget(work)
            raise

    def _know(self, work: Work) -> None:
        self.works[work.number] = work
        if work.options.idempotent:
            self.idempotent[work.number] = work
        if work.launch is not None:
            self.of_task[work.launch.task, work.launch.try_id] = work

    def _forget(self, work: Work) -> None:
        self.works.pop(work.number, None)
        self.idempotent.pop(work.number, None)
        if work.launch is not None:
            self.of_task.pop((work.launch.task, work.launch.try_id), None)

    def choose(self, work: Work, without: Collection[str] = ()) -> Choice:
        """The member for a piece of work, others than these if there are any."""
        labels = [label for label in self._pool.seats if label not in without] or list(self._pool.seats)
        believed = self._pool.advice.candidates(work, labels)
        return self._pool.placer.choose(work, believed, self._pool.advice)

    def send(self, work: Work, choice: Choice) -> Attempt:
        """Give a copy of a piece of work to a member.

        Raises:
            InvalidStateError: it has ended meanwhile.
            BadStateException: the member could not be started.
            Exception: the member does not take it.
        """
        member, advice = self._pool.seats[choice.label], self._pool.advice
        with work.lock:
            over, args, kwargs = work.over, work.args, work.kwargs
        if over:
            raise InvalidStateError(f"Work {work.number} has ended.")
        if member.failed:
            raise BadStateException(member.executor, RuntimeError(member.failed))
        attempt = Attempt(choice.label, member.executor, choice.why, advice.clock.monotonic())
        attempt.presumed = choice.rule == "free-slots" and not advice.has_retries
        launching.launch = advice.launch_for(work, choice.label)
        try:
            specification = member.specification(work.specification)
            inner = member.executor.submit(work.func, specification, *args, **kwargs)
        finally:
            launching.launch = None
        attempt.future, work.waits_since = inner, None
        member.count(1)
        with work.lock:
            work.attempts.append(attempt)
            attempt.abandoned = work.over
        inner.add_done_callback(partial(self._on_end, work, attempt))
        if attempt.abandoned and not attempt.ended:
            self.stop(work, attempt, "another copy of it has ended first")
        return attempt

    def _send_anywhere(self, work: Work, without: Collection[str]) -> None:
        """To the best member that takes it; it waits if there is none now, but may be one later."""
        tried = set(without)
        while (choice := self.choose(work, tried)).label:
            try:
                self.send(work, choice)
                return
            except Exception as error:
                if not self._is_of_member(error, self._pool.seats[choice.label].executor):
                    raise
                if choice.label in tried:
                    break
                tried.add(choice.label)
        self.homeless.keep(work, self._pool.advice.clock.monotonic())

    # --- ends ---

    def _on_end(self, work: Work, attempt: Attempt, inner: Future[Any]) -> None:
        try:
            if self._close(work, attempt):
                self._ended(work, attempt, outcome_of(inner))
        except Exception as error:  # noqa: BLE001 - promise 2: it is a fault of ours, and the future still ends
            self._pool.advice.absorb(f"pool {self._pool.label}", error)
            self._finish(work, attempt, outcome_of(inner))

    def _close(self, work: Work, attempt: Attempt) -> bool:
        """Nothing more comes of a copy; whether that is news."""
        with work.lock:
            if attempt.ended:
                return False
            attempt.ended = True
        self._pool.seats[attempt.label].count(-1)
        return True

    def _ended(self, work: Work, attempt: Attempt, outcome: Outcome) -> None:
        advice = self._pool.advice
        with work.lock:
            late = work.over or attempt.abandoned
            waits = not late and not outcome.good and bool(work.live)
            again = not late and not waits and self._fails_over(work, attempt, outcome)
            work.over = work.over or not (late or waits or again)
            work.failovers += again
        if late or waits:
            advice.stopped(work, attempt)
        elif again:
            self._go_elsewhere(work, attempt, outcome)
        else:
            self._finish(work, attempt, outcome)

    def _fails_over(self, work: Work, attempt: Attempt, outcome: Outcome) -> bool:
        """Whether it was lost with its member, and nobody else decides what follows."""
        if self._pool.advice.has_retries or work.withdrawn or work.failovers >= MOST_FAILOVERS:
            return False
        return outcome.error is not None and self._is_of_member(outcome.error, attempt.executor)

    @staticmethod
    def _is_of_member(error: BaseException, executor: Any) -> bool:
        if isinstance(error, _OF_MEMBERS):
            return True
        return bool(getattr(executor, "bad_state_is_set", False)) and error is executor.executor_exception

    def _go_elsewhere(self, work: Work, attempt: Attempt, outcome: Outcome) -> None:
        try:
            self._send_anywhere(work, without={attempt.label})
        except Exception as error:  # noqa: BLE001 - whatever keeps it from its new place is its end
            self.end(work, attempt, Outcome(error=error, good=False))

    def end(self, work: Work, attempt: Attempt, outcome: Outcome) -> None:
        """The end of a piece of work that has no copy any more."""
        with work.lock:
            over, work.over = work.over, True
        if not over:
            self._finish(work, attempt, outcome)

    def given_back(self, work: Work, attempt: Attempt) -> None:
        """A member has given a copy back: nothing comes of it."""
        with work.lock:
            attempt.abandoned = True
        self._close(work, attempt)

    def _finish(self, work: Work, attempt: Attempt, outcome: Outcome) -> None:
        """The end of a piece of work: losers are stopped, and the one that waits is told."""
        advice = self._pool.advice
        self._forget(work)
        with work.lock:
            losers = [each for each in work.attempts if each is not attempt and not each.ended]
            for each in losers:
                each.abandoned = True
        if outcome.good and (seconds := self._seconds(work, attempt)) is not None:
            self._pool.durations.learn(work.key, seconds)
        try:
            advice.settled(work, attempt, outcome.failure)
        finally:
            work.drop_arguments()
            complete(work.future, outcome.result, outcome.error)
        for each in losers:
            self.stop(work, each, "another copy of it has ended first")

    def _seconds(self, work: Work, attempt: Attempt) -> float | None:
        """How long a copy took, as its worker has told, or as it looked from here."""
        told = self._pool.advice.seconds(work, attempt)
        if told is None and attempt.since is not None:
            return self._pool.advice.clock.monotonic() - attempt.since
        return told

    def stop(self, work: Work, attempt: Attempt, reason: str) -> None:
        """Stop a copy that nobody waits for, as far as anything can."""
        if isinstance(attempt.executor, ThreadPoolExecutor):
            if attempt.future is not None:
                attempt.future.cancel()
        else:
            self._pool.advice.stop(work, attempt, reason)

    # --- taken back ---

    def take_back(self, work: Work) -> bool:
        """Take a piece of work that nobody waits for off its members; False if one may have begun it."""
        with work.lock:
            work.withdrawn = True
            live = work.live
        if not all(self.unsend(work, each) for each in live):
            return False
        with work.lock:
            work.over = True
        self._forget(work)
        self.homeless.forget(work)
        return True

    def unsend(self, work: Work, attempt: Attempt) -> bool:
        """Take a copy off a pool of threads; False if it has begun, or is with another kind of executor."""
        if attempt.future is None or not isinstance(attempt.executor, ThreadPoolExecutor):
            return False
        with work.lock:
            attempt.abandoned = True
        if attempt.future.cancel():
            return True
        with work.lock:
            attempt.abandoned = False
        if attempt.future.done():  # its end came while it did not count
            self._ended(work, attempt, outcome_of(attempt.future))
        return False

    def lose(self, executor: Any, error: Exception) -> None:
        """Everything that an executor still holds is lost with it."""
        for work in list(self.works.values()):
            for attempt in list(work.attempts):
                if attempt.executor is executor and attempt.future is not None and not attempt.ended:
                    complete(attempt.future, None, error)

    def look_at_homeless(self) -> None:
        """Work that waits for a member goes to one, or ends when it has waited too long."""
        now = self._pool.advice.clock.monotonic()
        usable = any(member.is_usable for member in self._pool.seats.values())
        for work in self.homeless.due(now, usable=usable):
            if usable:
                self._go_elsewhere(work, Attempt("", None, "", now), Outcome())
            else:
                self.end_homeless(work)

    def end_homeless(self, work: Work) -> None:
        """No member was to be had in time."""
        with work.lock:
            over, work.over = work.over, True
        if not over:
            self._forget(work)
            complete(work.future, None, self.homeless.error(self._pool.label, self._pool.seats))
