"""One run: its state, its fabric, and what is planned for its tasks.

Everything here is called from Parsl's own threads, so nothing waits and nothing does I/O.
"""

from __future__ import annotations

import logging
import os
import platform
import sys
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import parsl

from parsl_diaspora.clock import Clock, SystemClock
from parsl_diaspora.events import RunEnded, RunStarted
from parsl_diaspora.executors.launch import Launch, Report
from parsl_diaspora.fabric import Fabric, open_fabric
from parsl_diaspora.fabric.protocols import only_takes
from parsl_diaspora.fabric.stamp import default_source
from parsl_diaspora.failures.diagnosis import diagnoser_for
from parsl_diaspora.failures.evidence import named_redactor
from parsl_diaspora.failures.model import model_for
from parsl_diaspora.masking import without_secrets
from parsl_diaspora.monitoring.cancelling.cancels import Cancels
from parsl_diaspora.monitoring.checkpointing.checkpoints import Checkpoints
from parsl_diaspora.monitoring.deciding.second_opinion import second_opinion_for
from parsl_diaspora.monitoring.keeping import behind_spool, hand_on
from parsl_diaspora.monitoring.order_gate import OrderGate
from parsl_diaspora.monitoring.orphans import Orphans, orphans_of
from parsl_diaspora.monitoring.parking.parked import Parked
from parsl_diaspora.monitoring.parking.task_orders import TaskOrders
from parsl_diaspora.monitoring.parking.unexplained import Unexplained
from parsl_diaspora.monitoring.placing.memory import OFF, PlaceMemory, default_url
from parsl_diaspora.monitoring.placing.pools import RunAdvice
from parsl_diaspora.monitoring.placing.quarantines import Quarantines
from parsl_diaspora.monitoring.placing.routing import Routing
from parsl_diaspora.monitoring.reach import Reach
from parsl_diaspora.monitoring.run_key import RunKey
from parsl_diaspora.monitoring.tries import Tries
from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.recovery import Budgets, Policy, built_in
from parsl_diaspora.recovery.policies import Policies
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import Live
from parsl_diaspora.state.run_record import RunRecord

if TYPE_CHECKING:
    from parsl_diaspora.executors.pool.executor import PoolExecutor
    from parsl_diaspora.monitoring.relay import RunRelay
    from parsl_diaspora.monitoring.scaler import Scaler
    from parsl_diaspora.monitoring.triggers import RunTriggers

logger = logging.getLogger(__name__)


class Session:
    """What the hooks of one program share.

    Args:
        settings: the program's settings.
        retries: ``Config.retries``.
        labels: the executors' labels.
        clock: time.

    Attributes:
        live: the run's state, from its first executor or task on.
        budgets: the program's retry budgets.
        policies: what each app's failures are met with.
        diagnoser: tells why tries fail.
        cancels: tasks that somebody asked to be stopped.
        routing: where tasks may go.
        quarantines: places that get no work for a while.
        parked: tasks that are kept back.
        second_opinion: the site's own diagnoser, if it has one.
        orders: carries out what people ask of tasks.
        unexplained: losses that may yet be explained.
        checkpoints: the states of running tasks.
        tries: the tries of its tasks, as they are launched and as they end.
    """

    def __init__(
        self, settings: Settings, retries: int, labels: tuple[str, ...], clock: Clock | None = None
    ) -> None:
        self.settings = settings
        self.retries = retries
        self.clock = clock or SystemClock()
        policy = Policy.of(settings.policy) if settings.policy else built_in()
        self.policies = Policies(policy)
        self.budgets = Budgets(settings, retries, policy)
        self.diagnoser = diagnoser_for(settings)
        self.redact = named_redactor(settings.redact) if settings.redact else None
        self.live: Live | None = None
        self.cancels = Cancels(self)
        self.routing = Routing(settings, self.clock)
        self.quarantines = Quarantines(self)
        self.parked = Parked(self)
        self.second_opinion = second_opinion_for(self)
        self.orders = TaskOrders(self, self.parked)
        self.unexplained = Unexplained(self)
        self._by_label: dict[str, Any] = {}
        self.checkpoints = Checkpoints(self)
        self.tries = Tries(self)
        self._reach: Reach | None = None
        self._triggers: RunTriggers | None = None
        self._labels = labels
        self._run_dir = Path()
        self._begin = threading.Lock()
        self._said: set[str] = set()
        self._watched: list[Any] = []
        self._shared: PlaceMemory | None = None
        self._advice: list[RunAdvice] = []
        self._scaler: Scaler | None = None
        self._orphans: Orphans | None = None
        self._record: RunRecord | None = None

    @property
    def executors(self) -> dict[str, Any]:
        """The hardened executors, by label, those in pools included."""
        return self._by_label

    # --- the run ---

    def open(self, run_dir: str) -> None:
        """Take note of Parsl's run directory."""
        self._run_dir = Path(run_dir).absolute()
        self.checkpoints.open(self._run_dir)

    @property
    def relay(self) -> RunRelay | None:
        """What carries orders to workers, as ``relay.order({"node": "n17"}, {"kind": "drain"})``, if any."""
        return self._reach.relay if self._reach is not None else None

    def watch(self, executor: Any) -> None:
        """Remember an executor whose watching ends with the run."""
        self._watched.append(executor)
        self._by_label[executor.label] = executor  # a fresh one in a pool's seat takes the place of the old

    def look_after(self, pool: PoolExecutor) -> None:
        """Let a pool of executors take part in the run."""
        advice = RunAdvice(self, pool)
        pool.advice = advice
        self.routing.pools.add(pool)
        self._advice.append(advice)

    def begin(self, run_id: str) -> Live:
        """The run's state; the first caller makes it and says that the run has started."""
        if self.live is not None:
            return self.live
        with self._begin:
            if self.live is None:
                live = self._make_live(run_id)
                live.say(self._run_started())
                self._reach = Reach(live, str(self.settings.relay), self._run_dir, self._watched)
                self.live = live
                self._leave_record(live)
                self.diagnoser.model = model_for(self.settings.failure_model, self.absorb)
                self._guard(live)
                live.listen(self.cancels.hear)
                self.routing.begin(live)
                live.listen(self.orders.hear)
                live.listen(self.unexplained.hear)
                live.listen(self.quarantines.hear)
                live.listen(self.checkpoints.hear)
                for advice in self._advice:
                    live.listen(advice.hear)
                live.start()
                self._share_places(live)
                if self.settings.pool is not None:
                    self._hold_pool(live, self.settings.pool)
                self._look_for_orphans(live)
                if self.settings.triggers:
                    self._start_triggers(live)
        return self.live

    def node_url(self, executor: str) -> str:
        """The fabric that processes on an executor's nodes publish to; empty for none, or before `begin`."""
        if self._reach is not None:
            return self._reach.url(executor)
        return (self.live.node_url if self.live is not None else None) or ""

    def end(self) -> None:
        """Say how the run went and bring its events to safety. A part that fails keeps none from its end."""
        if self._scaler is not None:
            self._attempt("pool controller", self._scaler.close)
        if self._orphans is not None:
            self._attempt("orphans", self._orphans.close)
        for executor in self._watched:
            self._attempt("watching", executor.stop_watching)
        self._attempt("orders of tasks", self.orders.close)
        self._attempt("late evidence", self.unexplained.close)
        self._attempt("parked tasks", self.parked.close)
        self._attempt("cancel", self.cancels.close)
        self._attempt("checkpoints", self.checkpoints.close)
        if self.second_opinion is not None:
            self._attempt("the site's diagnoser", self.second_opinion.close)
        if self.live is None:
            return
        if self._reach is not None:
            self._attempt("relay", self._reach.close)
        if self._shared is not None:
            self._attempt("memory of places", self._shared.close)
        self._attempt("end of run", partial(self._say_ended, self.live))
        if self._triggers is not None:
            self._attempt("triggers", self._triggers.end)
        self.live.stop()
        self._attempt("record of the run", self._end_record)
        self._attempt("key for orders from outside", partial(RunKey.remove, self._run_dir))
        hand_on(self.live.fabric)
        if isinstance(self.clock, SystemClock):
            self.clock.close()

    def _attempt(self, part: str, close: Callable[[], object]) -> None:
        try:
            close()
        except Exception as error:  # noqa: BLE001 - promise 1: the rest of the run's end must not suffer
            self.absorb(part, error)

    def _say_ended(self, live: Live) -> None:
        live.catch_up()
        counts = live.picture.counts
        done = sum(counts.get(outcome, 0) for outcome in ("done", "memoized", "substituted"))
        failed = counts.get("failed", 0) + counts.get("dependency_failed", 0)
        cancelled = counts.get("cancelled", 0)
        live.say(RunEnded(done=done, failed=failed, cancelled=cancelled, faults=dict(live.faults)))

    def _guard(self, live: Live) -> None:
        """Let only those give orders to this run who can read its key."""
        try:
            key = RunKey.make(self._run_dir)
        except OSError as error:
            live.absorb("key for orders from outside", error)
            key = None
        live.heed(OrderGate(live.picture.run, key, live.say, self.clock).passes)

    def _leave_record(self, live: Live) -> None:
        """Let later runs tell whether this one lives, wherever its events go."""
        if self._run_dir == Path():
            return  # Parsl has told of none
        self._record = RunRecord.of_this_program(live.picture.run, _program())
        try:
            self._record.write(self._run_dir)
        except OSError as error:
            live.absorb("record of the run", error)

    def _end_record(self) -> None:
        if self._record is not None:
            self._record.ended = self.clock.time()
            self._record.write(self._run_dir)

    def _look_for_orphans(self, live: Live) -> None:
        self._orphans = orphans_of(
            live.picture.run,
            self._run_dir,
            self._by_label,
            self.settings.pool,
            say=live.say,
            absorb=live.absorb,
            clock=self.clock,
        )
        if self._orphans is not None:
            self._orphans.start()

    def _share_places(self, live: Live) -> None:
        url = self.settings.places or default_url(self._run_dir.parent)
        if url != OFF:
            run, choice = live.picture.run, len(self._labels) > 1
            self._shared = PlaceMemory(url, self.routing, run, choice=choice, absorb=live.absorb)
            self._shared.start()

    def _hold_pool(self, live: Live, spec: PoolSpec) -> None:
        from parsl_diaspora.monitoring.checkpointing.interrupting import TasksWithCheckpoints
        from parsl_diaspora.monitoring.scaler import Scaler

        checkpoints = self.checkpoints
        tasks = TasksWithCheckpoints(live.picture, checkpoints.running, checkpoints.leaving)
        self._scaler = Scaler(spec, self._by_label, live, self.clock, interruptible=tasks)
        self._scaler.start()

    def _start_triggers(self, live: Live) -> None:
        from parsl_diaspora.monitoring.triggers import RunTriggers

        try:
            self._triggers = RunTriggers(live, self.settings.triggers)
        except Exception as error:  # noqa: BLE001 - promise 1: the run goes on without them
            live.absorb("triggers", error)

    def absorb(self, part: str, error: BaseException) -> None:
        """Count a fault of our own and say it once."""
        if self.live is not None:
            self.live.absorb(part, error)
        elif part not in self._said:
            self._said.add(part)
            logger.warning(
                "parsl_diaspora: %s met a fault before the run began: %s", part, error, exc_info=error
            )

    def _make_live(self, run_id: str) -> Live:
        url = self.settings.fabric or f"file:{self._run_dir / 'events'}"
        source, buffer = default_source("submit"), self.settings.events_buffer
        try:
            fabric = behind_spool(open_fabric(url), self._run_dir.parent)
            return Live(fabric, run_id, source, buffer=buffer, node_fabric=self._node_fabric(fabric))
        except Exception as error:  # noqa: BLE001 - a backend may lack its library: the run goes on without a log
            live = Live(open_fabric("memory:"), run_id, source, buffer=buffer)
            live.absorb(f"fabric {without_secrets(url)}", error)
            return live

    def _node_fabric(self, fabric: Fabric) -> Fabric | None:
        """Where workers cannot reach the fabric, or are not heard there, we pass on what they say."""
        if fabric.node_url and not only_takes(fabric):
            return None
        return open_fabric(f"file:{self._run_dir / 'worker_events'}")

    def _run_started(self) -> RunStarted:
        return RunStarted(
            program=_program(),
            pid=os.getpid(),
            node=os.uname().nodename,
            run_dir=str(self._run_dir),
            executors=self._labels,
            parsl_version=parsl.__version__,
            python_version=platform.python_version(),
            retries=self.retries,
            settings=self.settings.shown(),
        )

    def returned(self, launch: Launch, report: Report) -> None:
        """Take note of what a worker told of a try, before its future ends."""
        self.tries.returned(launch, report)


def _program() -> str:
    return Path(sys.argv[0]).name or "interactive"
