"""What a pool was given to do: one piece of work for each try of Parsl's, and the copies of it at members."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from typing import Any

import msgspec
from parsl.app.errors import RemoteExceptionWrapper

from parsl_diaspora.executors.launch import Launch
from parsl_diaspora.executors.pool.wants import NO_WANTS, Wants
from parsl_diaspora.recovery.options import NO_OPTIONS, Options


class Attempt:
    """One copy of a piece of work at one member.

    Attributes:
        label: of the member.
        executor: that has it; the member may have another one by now.
        why: it went there, in words.
        submitted: monotonic seconds.
        future: the executor's.
        started: when a worker was heard to begin it, monotonic seconds; None if that was not heard.
        presumed: it was given to a free worker where starts are not heard of, so it will have begun at once.
        manager: where it was heard to begin.
        ended: nothing more comes of it.
        abandoned: whatever comes of it no longer counts.
    """

    __slots__ = (
        "abandoned",
        "ended",
        "executor",
        "future",
        "label",
        "manager",
        "presumed",
        "started",
        "submitted",
        "why",
    )

    def __init__(self, label: str, executor: Any, why: str, submitted: float) -> None:
        self.label = label
        self.executor = executor
        self.why = why
        self.submitted = submitted
        self.future: Future[Any] | None = None
        self.started: float | None = None
        self.presumed = False
        self.manager: str | None = None
        self.ended = False
        self.abandoned = False

    @property
    def has_begun(self) -> bool:
        """Whether a worker is known to have begun it."""
        return self.started is not None or (self.future is not None and self.future.running())

    @property
    def since(self) -> float | None:
        """When it began, as far as that is known; monotonic seconds."""
        return self.submitted if self.presumed and self.started is None else self.started


class Work:
    """One try of a task, as Parsl has given it to the pool.

    Args:
        number: of the pool's own.
        func: what is to be called.
        specification: Parsl's resource specification.
        args: of the call.
        kwargs: of the call.

    Attributes:
        launch: what a resilient program tells workers of the try; None in a stock one.
        task: Parsl's record of the task; None in a stock program.
        options: what the app's author said.
        wants: what it asks for in words of pools.
        key: what tells the function from others.
        future: the one that Parsl waits for.
        attempts: copies at members, the oldest first.
        over: its end has been settled.
        withdrawn: nobody waits for it any more: it is not tried elsewhere.
        moving: it is being taken from a member.
        failovers: members that it was lost with.
        hedged: a second copy was started.
        waits_since: since when it has waited for a member, monotonic seconds; None while one has it.
        lock: guards the copies and the end; never held while anything is called.
    """

    def __init__(
        self,
        number: int,
        func: Callable[..., Any],
        specification: dict[str, Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> None:
        self.number = number
        self.func = func
        self.specification = specification
        self.args = args
        self.kwargs = kwargs
        self.launch: Launch | None = None
        self.task: dict[str, Any] | None = None
        self.options: Options = NO_OPTIONS
        self.wants: Wants = NO_WANTS
        self.key = ""
        self.future = PoolFuture(self)
        self.attempts: list[Attempt] = []
        self.over = False
        self.withdrawn = False
        self.moving = False
        self.failovers = 0
        self.hedged = False
        self.waits_since: float | None = None
        self.lock = threading.Lock()

    @property
    def live(self) -> list[Attempt]:
        """Copies whose end would count."""
        return [each for each in self.attempts if not (each.ended or each.abandoned)]

    def drop_arguments(self) -> None:
        """It has ended: its future may be kept for long, and what it was given need not be."""
        with self.lock:
            self.args, self.kwargs = (), {}

    @property
    def task_id(self) -> int | None:
        """Parsl's, where it is known."""
        return self.launch.task if self.launch is not None else None

    @property
    def name(self) -> str:
        """Of the app."""
        named = self.task["func_name"] if self.task is not None else getattr(self.func, "__name__", "")
        return str(named or type(self.func).__name__)


class PoolFuture(Future[Any]):
    """The future of a piece of work, wherever its copies are.

    Attributes:
        work: that it is of.
        take_back: set by the pool; takes the work off its members, if none has begun it.
    """

    def __init__(self, work: Work) -> None:
        super().__init__()
        self.work = work
        self.parsl_executor_task_id = work.number
        self.take_back: Callable[[Work], bool] = lambda _: False

    def copies(self) -> list[Attempt]:
        """Copies whose end would count."""
        return self.work.live

    def cancel(self) -> bool:
        """Take the work off its members, if none has begun it and all of them allow that."""
        return self.take_back(self.work) and super().cancel()


class Outcome(msgspec.Struct, frozen=True):
    """How a copy has ended.

    Attributes:
        result: as the executor gave it; it may be an exception that Parsl has wrapped.
        error: that the executor gave.
        good: it is a result that counts.
    """

    result: Any = None
    error: BaseException | None = None
    good: bool = True

    @property
    def failure(self) -> BaseException | None:
        """What went wrong, wherever it stands."""
        return self.result.e_value if isinstance(self.result, RemoteExceptionWrapper) else self.error


def outcome_of(future: Future[Any]) -> Outcome:
    """How a copy has ended."""
    if future.cancelled():
        return Outcome(error=CancelledError(), good=False)
    if (error := future.exception()) is not None:
        return Outcome(error=error, good=False)
    result = future.result()
    return Outcome(result=result, good=not isinstance(result, RemoteExceptionWrapper))


class Outstanding(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of work that has not ended, for people.

    Attributes:
        number: the pool's own.
        task: Parsl's task id, where the program is resilient.
        app: name.
        at: labels of the members that have it; empty while it waits for one.
        started: a worker is known to have begun it.
        seconds: since the newest copy was given to its member.
        why: it is there, in words.
    """

    number: int
    task: int | None
    app: str
    at: tuple[str, ...]
    started: bool
    seconds: float
    why: str
