"""A pool that holds tasks and starts none.

It comes about when an idle worker is killed while it holds the lock of the task queue: the manager goes on
taking tasks and sending heartbeats. Nothing in Parsl notices.
"""

from __future__ import annotations

from parsl_diaspora.clock import Clock
from parsl_diaspora.executors.supervision.orders import OrdersBox
from parsl_diaspora.executors.watch.blocks import Blocks
from parsl_diaspora.executors.watch.endings import Endings
from parsl_diaspora.executors.watch.managers import Managers
from parsl_diaspora.executors.watch.watched import ManagerRecord, Watched
from parsl_diaspora.state import Live, ManagerState

PATIENCE_WITH_NEIGHBOURS = 60.0
PATIENCE_AFTER_A_KILL = 1.5  # seconds, where an idle worker was killed: that is how stalls come about
PATIENCE_WITH_SUPERVISOR = 10.0  # seconds from the order to restart a pool to the end of its block


class Stalls:
    """Finds pools that serve nothing; their tasks come back as lost, and they are started anew.

    Args:
        executor: whose they are.
        live: of the run.
        clock: time.
        managers: of the executor.
        blocks: of the executor.
        endings: of workers.
        after: seconds that a manager may hold tasks without starting any.
    """

    def __init__(
        self,
        executor: Watched,
        live: Live,
        clock: Clock,
        managers: Managers,
        *,
        blocks: Blocks,
        endings: Endings,
        after: float,
    ) -> None:
        self._executor = executor
        self._live = live
        self._clock = clock
        self._after = after
        self._managers = managers
        self._blocks = blocks
        self._endings = endings
        self._idle_since: dict[str, tuple[float, int]] = {}
        self._started_by_kill: dict[str, int] = {}
        self._ordered: dict[str, tuple[float, str, str]] = {}  # by manager: until when, its block, and why

    def look(self, supervised: set[str]) -> None:
        """Look at each manager.

        Args:
            supervised: managers whose pool somebody can start anew.
        """
        for manager in list(self._managers.present.values()):
            self._look_at(manager, supervised)
        self._insist()

    def manager_ended(self, name: str) -> None:
        """A pool has ended, so an order for it was obeyed."""
        self._ordered.pop(name, None)
        self._started_by_kill.pop(name, None)

    def _look_at(self, manager: ManagerRecord, supervised: set[str]) -> None:
        name, now = manager["manager"], self._clock.monotonic()
        if name in self._managers.given_up:
            return
        known = self._live.picture.managers.get(name)
        hasty = known is not None and self._may_have_lost_its_lock(name, known)
        if known is None or not self._live.hears or not self._serves_nothing(manager, known, hasty=hasty):
            self._idle_since.pop(name, None)
            return
        since, started = self._idle_since.setdefault(name, (now, known.started))
        if known.started > started:  # counted, as the clocks of nodes may differ from ours
            self._idle_since[name] = now, known.started
            return
        after = min(self._after, PATIENCE_AFTER_A_KILL) if hasty and known.started else self._after
        if now - since >= after and self._may_end(manager, known, now - since, name in supervised):
            why = f"stalled: it holds {manager['tasks']} tasks and has started none for {now - since:.0f} s"
            self._start_anew(manager, why, name in supervised)

    def _may_have_lost_its_lock(self, name: str, known: ManagerState) -> bool:
        """An idle worker was killed there, and nothing has started since."""
        if name not in self._endings.killed_idle:
            return False
        if known.started > self._started_by_kill.setdefault(name, known.started):
            self._endings.killed_idle.discard(name)
            del self._started_by_kill[name]
            return False
        return True

    def _serves_nothing(self, manager: ManagerRecord, known: ManagerState, *, hasty: bool) -> bool:
        """It holds more tasks than it runs although workers are free."""
        if not (known.started or hasty) or self._executor.unsaid:
            return False  # its workers have never been heard, so silence means nothing
        workers = int(manager["worker_count"]) - self._endings.replaced(manager["manager"])
        return len(known.running) < min(int(manager["tasks"]), workers)

    def _may_end(self, manager: ManagerRecord, known: ManagerState, waited: float, alone: bool) -> bool:
        """Not at once while others would lose their work: a worker may just be slow to start again."""
        others = [] if alone else self._managers.in_block(manager["block_id"])
        busy = any(other["tasks"] for other in others if other["manager"] != manager["manager"])
        return waited > PATIENCE_WITH_NEIGHBOURS or not (known.running or busy)

    def _start_anew(self, manager: ManagerRecord, why: str, supervised: bool) -> None:
        name, block = manager["manager"], manager["block_id"]
        self._idle_since.pop(name, None)
        self._managers.give_up(name, why)
        if supervised and self._order(name, why):
            until = self._clock.monotonic() + PATIENCE_WITH_SUPERVISOR
            self._ordered[name] = until, block, why
        else:
            self._blocks.end(block, f"its manager {name} {why}")

    def _order(self, name: str, why: str) -> bool:
        orders: OrdersBox | None = getattr(self._executor, "orders", None)
        if orders is None:
            return False
        try:
            orders.give({"manager": name}, {"kind": "restart_pool", "reason": why})
        except Exception as error:  # noqa: BLE001 - promise 1: the block is ended instead
            self._live.absorb(f"orders of {self._executor.label}", error)
            return False
        return True

    def _insist(self) -> None:
        for name, (until, block, why) in list(self._ordered.items()):
            if self._clock.monotonic() > until:
                del self._ordered[name]
                self._blocks.end(block, f"its manager {name} {why}, and its pool was not started anew")
