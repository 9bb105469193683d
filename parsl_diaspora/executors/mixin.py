"""What hardens Parsl's executors of the High Throughput kind: one mixin, put before the stock class."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Protocol

from parsl.executors.errors import BadStateException
from parsl.executors.high_throughput.executor import (
    DEFAULT_LAUNCH_CMD,
    HighThroughputExecutor,
    HTEXFuture,
)
from parsl.jobs.states import TERMINAL_STATES
from parsl.providers import LocalProvider

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import TryDeclined
from parsl_diaspora.executors.blocks import keeper_for
from parsl_diaspora.executors.errors import InterchangeLost
from parsl_diaspora.executors.gate import ResultGate, complete
from parsl_diaspora.executors.launch import MAX_DECLINES, RUNNER, Launch, Report, launching, pack
from parsl_diaspora.executors.plain import pack_call, say_pushed
from parsl_diaspora.executors.selector import QuarantineSelector
from parsl_diaspora.executors.sweep import MARK, sweep
from parsl_diaspora.executors.watch import Watch
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import Live

DECLINE_PAUSE = 0.05
INTERCHANGE_PERIOD = 1.0
STALL_HERE, STALL_ELSEWHERE = 5.0, 60.0


class Link(Protocol):
    """What the executor needs of the run that it is part of."""

    settings: Settings
    clock: Clock

    def begin(self, run_id: str) -> Live:
        """The run's state; the first caller makes it."""
        ...

    def returned(self, launch: Launch, report: Report) -> None:
        """Take note of what a worker told of a try, before its future ends."""
        ...


class TryFuture(HTEXFuture):
    """The future of one try, which knows what travelled with it.

    Attributes:
        launch: what the worker was told.
        payload: context and packed function, kept only while the try may be handed back.
    """

    launch: Launch | None = None
    payload: tuple[dict[str, Any], bytes] | None = None


class Hardening(HighThroughputExecutor):
    """Put before a stock class of the High Throughput kind, keeps it alive and lets it tell what goes on.

    Attributes:
        link: the run that it is part of; None when it is used on its own.
        unsaid: why not all starts of tasks are heard of; empty while they are.
    """

    link: Link | None = None
    unsaid: str = ""
    gate: ResultGate | None = None
    _live: Live | None = None
    _watch: Watch | None = None
    _plain = False
    _interchange_checked = 0.0

    # No __init__ of its own: Parsl's repr, which goes to its log, reads the arguments from the stock one.

    # --- Parsl assigns its queues in start(); these two seams put ours in front of them ---

    @property
    def incoming_q(self) -> Any:
        """Parsl's queue of results, behind the gate."""
        return self.gate

    @incoming_q.setter
    def incoming_q(self, queue: Any) -> None:
        self.gate = ResultGate(_Checked(queue, self._check_interchange), self.tasks, self._on_report)

    # --- life ---

    def start(self) -> None:
        """Start as stock does, with our parts in place."""
        self._sending = threading.Lock()
        if self.link is not None:
            self._live = self.link.begin(self._run)
            settings, clock = self.link.settings, self.link.clock
            if settings.replace_blocks:
                self.block_error_handler = keeper_for(
                    self.block_error_handler, clock, settings.block_start_failures
                )
            shared = Path(self.logdir).absolute()
            self.manager_selector = QuarantineSelector(str(shared), self.manager_selector)
            stall_after = settings.stall_after or (STALL_HERE if self.is_local else STALL_ELSEWHERE)
            self._watch = Watch(self, self._live, stall_after, clock, shared)
        if self.launch_cmd == DEFAULT_LAUNCH_CMD:
            self.launch_cmd = f"env {MARK}={self._run} {self.launch_cmd}"
        super().start()
        if self._watch is not None:
            self._watch.start()

    def shutdown(self, timeout: float = 10.0) -> None:
        """Shut down as stock does, end blocks that stock would leave, and sweep this host."""
        self.stop_watching()
        if self.bad_state_is_set:
            self._end_all_blocks()
        super().shutdown(timeout)
        if self.is_local:
            sweep(self._run)

    def stop_watching(self) -> None:
        """Say nothing more of managers and blocks."""
        if self._watch is not None:
            self._watch.stop()

    # --- tasks ---

    def submit(
        self, func: Callable[..., Any], resource_specification: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HTEXFuture:
        """As stock; plain arguments are packed in a tenth of the time."""
        launch = launching.launch
        if launch is None or self._plain or (packed := _packed(func, args, kwargs)) is None:
            return super().submit(func, resource_specification, *args, **kwargs)
        self.validate_resource_spec(resource_specification)
        say_pushed(func, args)
        launch.plain = True
        context = {"resource_spec": resource_specification} if resource_specification else {}
        return self.submit_payload(context, packed)

    def submit_payload(self, context: dict[str, Any], buffer: bytes) -> HTEXFuture:
        """Send a task to the interchange; a try that our memoizer has announced goes to our runner."""
        launch, launching.launch = launching.launch, None
        if launch is None or self._plain or "task_executor" in context:
            self.unsaid = (
                self.unsaid or "some tasks were sent as stock does, so their starts are not heard of"
            )
            with self._sending:
                return super().submit_payload(context, buffer)
        if self.bad_state_is_set:
            raise self.executor_exception
        future = TryFuture(self._task_counter + 1)
        future.launch = launch
        future.payload = (context, buffer) if launch.avoid else None
        self._send(launch, context, buffer, future)
        return future

    def _send(self, launch: Launch, context: dict[str, Any], buffer: bytes, future: TryFuture) -> None:
        context["task_executor"] = {"f": RUNNER, "a": (pack(launch),)}
        with self._sending:
            self._task_counter += 1
            number = future.parsl_executor_task_id = self._task_counter
            self.tasks[number] = future
            self.outgoing_q.put({"task_id": number, "context": context, "buffer": buffer})
        if self.bad_state_is_set:  # it came about meanwhile, and has failed all tasks but this one
            complete(future, None, BadStateException(self, self.executor_exception))

    def _on_report(self, future: Any, report: Report) -> bool:
        if not isinstance(future, TryFuture) or future.launch is None or self.link is None:
            return False
        launch = future.launch
        if report.unsaid and not self.unsaid:
            self.unsaid = report.unsaid
        if report.declined:
            self._take_back(future, launch, report, self.link.clock)
            return True
        self.link.returned(launch, report)
        return False

    def _take_back(self, future: TryFuture, launch: Launch, report: Report, clock: Clock) -> None:
        launch.declined += 1
        if self._live is not None:
            self._live.say(_declined(launch, report))
        pause = DECLINE_PAUSE * 2.0 ** min(launch.declined, MAX_DECLINES)
        clock.call_later(pause, lambda: self._send_again(future, launch))

    def _send_again(self, future: TryFuture, launch: Launch) -> None:
        if self.bad_state_is_set:
            complete(future, None, self.executor_exception)
        elif not future.done() and future.payload is not None:
            self._send(launch, *future.payload, future)

    def use_plain_workers(self) -> None:
        """Send tasks as stock does from now on: the workers' environment lacks this package."""
        self._plain = True

    # --- losses ---

    def set_bad_state_and_fail_all(self, exception: Exception) -> None:
        """As stock, but a future that has ended already does not keep the others from ending."""
        waiting: list[Future[Any]] = list(self.tasks.values())  # other threads add and remove
        self.tasks.clear()
        super().set_bad_state_and_fail_all(exception)
        lost = self.executor_exception
        for future in waiting:
            complete(future, None, BadStateException(self, lost))

    @property
    def is_local(self) -> bool:
        """Its workers run on this host."""
        return isinstance(self.provider, LocalProvider)

    @property
    def _run(self) -> str:
        return str(self.run_id)

    @property
    def reachable(self) -> bool:
        """The interchange's process is there."""
        return self.interchange_proc is not None and self.interchange_proc.poll() is None

    def connected_managers(self) -> list[dict[str, Any]]:
        """As stock; none when the interchange is dead, where stock would wait for ever."""
        return list(super().connected_managers()) if self.reachable else []

    def connected_blocks(self) -> list[str]:
        """As stock; none when the interchange is dead, where stock would wait for ever."""
        return list(super().connected_blocks()) if self.reachable else []

    def end_block(self, block: str) -> None:
        """End one block's job; the block error handler sees it as lost and replaces it."""
        job = self.blocks_to_job_id.get(block)
        if job is not None and self.provider is not None:
            self.provider.cancel([job])

    def _end_all_blocks(self) -> None:
        for block, status in list(self.status_facade.items()):
            if status.state not in TERMINAL_STATES:
                self.end_block(block)

    def _check_interchange(self) -> None:
        now = time.monotonic()
        if now - self._interchange_checked < INTERCHANGE_PERIOD or self._result_queue_thread_exit.is_set():
            return
        self._interchange_checked = now
        if self.interchange_proc is None or self.reachable or self.bad_state_is_set:
            return
        code = self.interchange_proc.returncode
        message = f"The interchange of executor {self.label!r} ended by itself with exit code {code}."
        self.set_bad_state_and_fail_all(InterchangeLost(message, executor=self.label, exit_code=code))


class _Checked:
    """Parsl's queue, with a look at the interchange in between: the result thread never sleeps for long."""

    def __init__(self, queue: Any, check: Any) -> None:
        self._queue = queue
        self._check = check

    def __getattr__(self, name: str) -> Any:
        return getattr(self._queue, name)

    def get(self, timeout_ms: int | None = None) -> bytes | list[bytes] | None:
        """The next message (or messages, in older releases of Parsl), or None after the time-out."""
        raw: bytes | list[bytes] | None = self._queue.get(timeout_ms=timeout_ms)
        if raw is None:
            self._check()
        return raw


def _packed(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> bytes | None:
    try:
        return pack_call(func, args, kwargs)
    except Exception:  # noqa: BLE001 - stock meets the same, and says it in its own way
        return None


def _declined(launch: Launch, report: Report) -> TryDeclined:
    event = TryDeclined(
        task=launch.task, try_id=launch.try_id, executor=launch.executor, count=launch.declined
    )
    report.put_place_on(event)
    return event
