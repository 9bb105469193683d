"""What hardens Parsl's executors of the High Throughput kind: one mixin, put before the stock class."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from parsl.executors.errors import BadStateException
from parsl.executors.high_throughput.executor import DEFAULT_LAUNCH_CMD, HTEXFuture

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import TryDeclined
from parsl_diaspora.executors.agent.selector import QuarantineSelector
from parsl_diaspora.executors.gate import complete
from parsl_diaspora.executors.keeping.blocks import keeper_for, leave_to_pool
from parsl_diaspora.executors.keeping.kept import KeptInterchange
from parsl_diaspora.executors.launch import MAX_DECLINES, RUNNER, Launch, Report, launching, pack
from parsl_diaspora.executors.link import Link
from parsl_diaspora.executors.plain import pack_call, say_pushed
from parsl_diaspora.executors.pool_provider import connect, is_local
from parsl_diaspora.executors.seams import missing_parts
from parsl_diaspora.executors.supervision.launch_command import marked, supervise
from parsl_diaspora.executors.supervision.orders import OrdersBox
from parsl_diaspora.executors.sweep import mark_of, of_executor, sweep
from parsl_diaspora.executors.watch import Watch
from parsl_diaspora.executors.withdrawing import Answer, Withdrawals
from parsl_diaspora.state import Live

DECLINE_PAUSE = 0.05
STALL_HERE, STALL_ELSEWHERE = 5.0, 60.0


class TryFuture(HTEXFuture):
    """The future of one try, which knows what travelled with it.

    Attributes:
        launch: what the worker was told.
        payload: context and packed function, kept only while the try may be handed back.
    """

    launch: Launch | None = None
    payload: tuple[dict[str, Any], bytes] | None = None


class Hardening(KeptInterchange):
    """Put before a stock class of the High Throughput kind, keeps it alive and lets it tell what goes on.

    Attributes:
        link: the run that it is part of; None when it is used on its own.
        unsaid: why not all starts of tasks are heard of; empty while they are.
        orders: where the supervisors of its nodes take orders; None if it has none.
        has_started: blocks of it can be started.
    """

    unsaid: str = ""
    orders: OrdersBox | None = None
    has_started = False
    _watch: Watch | None = None
    _plain = False

    # No __init__ of its own: Parsl's repr, which goes to its log, reads the arguments from the stock one.

    # --- life ---

    def start(self) -> None:
        """Start as stock does, with our parts in place."""
        if self.link is not None:
            self._live = self.link.begin(self._run)
        self._lacking = missing_parts(self.absorb, self.label)
        self._plain = self._plain or "runner" in self._lacking
        if self.link is not None and self._live is not None:
            self._put_parts_in(self.link, self._live)
        self._supervise()
        self.launch_cmd = of_executor(self.logdir, self.launch_cmd)
        super().start()
        self.has_started = True
        if self._watch is not None:
            self._watch.start()

    def _put_parts_in(self, link: Link, live: Live) -> None:
        settings, clock = link.settings, link.clock
        connect(self, self._run, live)
        if settings.pool is not None and self.label in settings.pool.executors:
            self.block_error_handler = leave_to_pool(self.block_error_handler)
        elif settings.replace_blocks and "block replacement" not in self._lacking:
            self.block_error_handler = keeper_for(
                self.block_error_handler, clock, settings.block_start_failures
            )
        shared = Path(self.logdir).absolute()
        if "quarantine" not in self._lacking:
            agent = "agent" not in self._lacking
            self.manager_selector = QuarantineSelector(str(shared), self.manager_selector, agent=agent)
        stall_after = settings.stall_after or (STALL_HERE if self.is_local else STALL_ELSEWHERE)
        self._watch = Watch(self, live, stall_after, clock, shared)

    def _supervise(self) -> None:
        """Let pools start under supervision; where that cannot be, or nobody hears of it, as stock does."""
        if self.link is None or self._live is None or "supervisors" in self._lacking:
            if self.launch_cmd == DEFAULT_LAUNCH_CMD:
                self.launch_cmd = marked(self._run)
            return
        try:
            self.orders = supervise(self, self._run, self.link.node_url(self.label))
        except Exception as error:  # noqa: BLE001 - promise 1: pools start without supervisors
            self._live.absorb(f"supervisors of {self.label}", error)

    def shutdown(self, timeout: float = 10.0) -> None:
        """Shut down as stock does, end blocks that stock would leave, and sweep this host."""
        self.stop_watching()
        if self.bad_state_is_set:
            self._end_all_blocks()
        super().shutdown(timeout)
        if self.is_local:
            sweep(self._run, executor=mark_of(self.logdir))

    def stop_watching(self) -> None:
        """Say nothing more of managers and blocks, and replace nothing any more."""
        self.stop_keeping()
        if self._watch is not None:
            self._watch.stop()

    # --- tasks ---

    def submit(
        self, func: Callable[..., Any], resource_specification: dict[str, Any], *args: Any, **kwargs: Any
    ) -> HTEXFuture:
        """As stock; plain arguments are packed in a tenth of the time."""
        if (adopted := launching.adopted) is not None:
            launching.adopted = launching.launch = None
            return cast("HTEXFuture", adopted)
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

    @property
    def can_withdraw(self) -> bool:
        """Whether tasks that wait at the interchange can be taken back."""
        lacking = {"withdrawing", "agent", "quarantine"} & self._lacking
        return self._watch is not None and not lacking

    def withdraw(self, future: TryFuture, answer: Answer) -> None:
        """Take a task back before any manager has it; whether that came about is told in another thread."""
        if self._watch is None:
            answer(False)
            return
        self.withdrawals.ask(future, answer)
        self._watch.wake()

    @cached_property
    def withdrawals(self) -> Withdrawals:
        """Tasks that are being taken back."""
        return Withdrawals(self.tasks)

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
        return is_local(self.provider)

    @property
    def _run(self) -> str:
        return str(self.run_id)

    def _end_all_blocks(self) -> None:
        for block in self.active_blocks:
            self.end_block(block)


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
