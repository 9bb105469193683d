"""The migrations of one run.

What is heard is dealt with in one thread; Parsl's own threads only ask whether a try has a successor.
"""

from __future__ import annotations

from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from parsl_diaspora.errors import ConfigurationError
from parsl_diaspora.events import (
    DecisionMade,
    Event,
    MigrationDone,
    MigrationFailed,
    MigrationReady,
    MigrationRound,
    MigrationStarted,
    TryEnded,
)
from parsl_diaspora.executors.gate import complete
from parsl_diaspora.executors.launch import Launch, launching
from parsl_diaspora.executors.mixin import TryFuture
from parsl_diaspora.executors.supervision.board import COPY, GO, LEAVE, STAY
from parsl_diaspora.hints import nearest
from parsl_diaspora.monitoring.checkpointing.asking import Asking
from parsl_diaspora.monitoring.checkpointing.migration import Migration
from parsl_diaspora.monitoring.checkpointing.running import RunningTries, RunningTry
from parsl_diaspora.monitoring.errands import Errands
from parsl_diaspora.monitoring.kernel import Record
from parsl_diaspora.sizes import parse_seconds

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.session import Session

SWITCH = 60.0  # seconds in which a try that was asked to leave must do so
SEEN = 5.0  # seconds in which a successor must have seen that the try has left
RULE = "migrated"


class Migrations:
    """Moves running tries.

    Args:
        session: of the run.
        running: its tries that can save themselves.
        asking: asks them.
        errands: does everything but answer Parsl's threads.
    """

    def __init__(self, session: Session, running: RunningTries, asking: Asking, errands: Errands) -> None:
        self._session = session
        self._running = running
        self._asking = asking
        self._errands = errands
        self._by_task: dict[int, Migration] = {}
        self._given_up: dict[tuple[int, int, str], list[Future[Any]]] = {}
        self._adopted: dict[int, Migration] = {}

    # --- what is asked ---

    def begin(
        self, task: Record, to: str, reason: str, owner: str, *, force_after: float | None = None
    ) -> Future[bool]:
        """Move a running try; the future tells whether that came about.

        Raises:
            ConfigurationError: it cannot be moved, or not there.
        """
        source = self._movable(task, to)
        migration = Migration(task, source, to, reason, force_after=force_after)
        if self._by_task.setdefault(task["id"], migration) is not migration:
            message = f"Task {task['id']} is on its way already."
            raise ConfigurationError(message, hint="Wait for its arrival.")
        self._say(migration, MigrationStarted(to=to, reason=reason, owner=owner))
        self._errands.run(partial(self._send, migration))
        return migration.moved

    def _movable(self, task: Record, to: str) -> RunningTry:
        number = task["id"]
        executors = self._session.executors
        if to not in executors:
            message = f"No executor that tasks could move to is called {to!r}."
            raise ConfigurationError(message, hint=nearest(to, executors))
        source = self._running.of(number, task["try_id"])
        if source is None:
            message = f"Task {number} cannot move: it does not run now, or its app has no checkpoints."
            raise ConfigurationError(message, hint="Apps that can are marked @resilience(checkpoint=True).")
        if not source.can_be_interrupted:
            message = f"Task {number} cannot move yet: it has not saved its state."
            raise ConfigurationError(message, hint="Try again when it has: `explain` tells.")
        if source.executor == to:
            message = f"Task {number} runs at {to} already."
            raise ConfigurationError(message, hint="Choose another executor.")
        if not (self._asking.can_ask(source.executor) and self._asking.can_ask(to)):
            message = (
                f"Task {number} cannot move: {source.executor} or {to} has no supervisors to take orders."
            )
            raise ConfigurationError(
                message, hint="Use high throughput executors with this package at their workers."
            )
        return source

    # --- the successor ---

    def _send(self, migration: Migration) -> None:
        task, executor = migration.task, self._session.executors[migration.to]
        launching.launch = self._session.tries.told(
            {**task, "try_id": migration.try_id, "executor": migration.to},
            checkpoint=self._session.checkpoints.successor(task, migration.to),
        )
        try:
            future = executor.submit(
                task["func"], task["resource_specification"], *task["args"], **task["kwargs"]
            )
        except Exception as error:  # noqa: BLE001 - whatever the executor says, the try goes on
            self._fail(migration, "begin", f"{migration.to} takes no successor: {error}")
            return
        finally:
            launching.launch = None
        migration.future = future
        future.add_done_callback(lambda _: self._errands.run(partial(self._successor_ended, migration)))
        patience = parse_seconds(self._session.settings.checkpoint.move_within)
        reason = f"no worker has begun its successor within {patience:g} s"
        self._later(patience, migration, "sent", reason)

    def _later(self, seconds: float, migration: Migration, stage: str, reason: str) -> None:
        step = "begin" if stage == "sent" else "switch"

        def look() -> None:
            if migration.stage == stage and not migration.moved.done():
                self._errands.run(partial(self._fail, migration, step, reason))

        self._session.clock.call_later(seconds, look)

    # --- what is heard ---

    def hear(self, event: Event) -> None:
        """Take note of an event of the run, in the thread that met it."""
        if isinstance(event, MigrationReady) and self._is_given_up(event):
            self._errands.run(partial(self._asking.ask, RunningTry.at(event), STAY))
            return
        number = event.task if event.task is not None else -1
        if isinstance(event, MigrationDone) and (adopted := self._adopted.get(number)) is not None:
            self._errands.run(partial(self._done, adopted))
        migration = self._by_task.get(number)
        if migration is None:
            return
        if isinstance(event, MigrationReady) and event.try_id == migration.try_id:
            self._errands.run(partial(self._ready, migration, RunningTry.at(event)))
        elif isinstance(event, MigrationRound):
            self._errands.run(partial(self._round, migration, event))
        elif isinstance(event, MigrationDone):
            self._errands.run(partial(self._done, migration))
        elif isinstance(event, TryEnded) and event.try_id == migration.source.try_id:
            self._errands.run(partial(self._fail, migration, "switch", "the task has ended where it was"))

    def _ready(self, migration: Migration, successor: RunningTry) -> None:
        if migration.stage != "sent":
            return
        migration.successor, migration.stage = successor, "copying"
        self._asking.ask(migration.source, COPY)

    def _round(self, migration: Migration, event: MigrationRound) -> None:
        migration.add(event)
        if migration.stage == "copying" and migration.is_close:
            migration.stage = "leaving"
            self._asking.ask(migration.source, LEAVE)
            if migration.force_after is None:
                self._later(SWITCH, migration, "leaving", "the try did not leave in time")
            else:
                self._session.clock.call_later(migration.force_after, partial(self._force, migration))

    def _force(self, migration: Migration) -> None:
        """The try never came to save its state: it is stopped, and its successor goes on from the newest."""
        if migration.stage == "leaving":
            reason = f"it did not leave for {migration.to} within {migration.force_after:g} s"
            self._errands.run(partial(self._asking.stop, migration.source, reason))
            self._later(SWITCH, migration, "leaving", "the try could not be stopped")

    def _done(self, migration: Migration) -> None:
        migration.stage = "over" if migration.stage == "switched" else migration.stage
        complete(migration.moved, True, None)

    def _successor_ended(self, migration: Migration) -> None:
        """Before the switch that is its failure; after it, the try's own end, which Parsl hears."""
        future = migration.future
        error = future.exception() if future is not None and not future.cancelled() else None
        if migration.stage in ("sent", "copying", "leaving"):
            step = "begin" if migration.stage == "sent" else "copy"
            self._fail(migration, step, f"its successor has ended: {type(error).__name__}: {error}")
        elif migration.stage == "switched":
            complete(migration.moved, error is None, None)

    def _fail(self, migration: Migration, step: str, reason: str) -> None:
        if migration.stage not in ("sent", "copying", "leaving"):
            return
        successor, migration.stage = migration.successor, "over"
        self._by_task.pop(migration.task["id"], None)
        self._asking.ask(migration.source, STAY)
        if successor is not None:  # nobody needs it any more: it ends by itself
            self._asking.ask(successor, STAY)
        elif migration.future is not None:
            self._give_up(migration, migration.future)
        self._say(migration, MigrationFailed(to=migration.to, step=step, reason=reason))
        complete(migration.moved, False, None)

    def _give_up(self, migration: Migration, future: Future[Any]) -> None:
        """A successor that waits for a worker is taken back, or ends as soon as one begins it."""
        key = migration.task["id"], migration.try_id, migration.to
        self._given_up.setdefault(key, []).append(future)
        future.add_done_callback(lambda _: self._forget_given_up(key, future))
        executor = self._session.executors[migration.to]
        if getattr(executor, "can_withdraw", False) and isinstance(future, TryFuture):
            executor.withdraw(future, lambda taken: self._withdrawn(key, future, taken))

    def _withdrawn(self, key: tuple[int, int, str], future: Future[Any], taken: bool) -> None:
        if taken:
            self._forget_given_up(key, future)

    def _forget_given_up(self, key: tuple[int, int, str], future: Future[Any]) -> None:
        left = [each for each in self._given_up.pop(key, ()) if each is not future]
        if left:
            self._given_up[key] = left

    def _is_given_up(self, event: MigrationReady) -> bool:
        """Whether this is the first word of a successor that nobody needs: the oldest begins first."""
        key = event.task if event.task is not None else -1, event.try_id or 0, event.executor or ""
        waiting = self._given_up.get(key, ())
        if waiting:
            self._forget_given_up(key, waiting[0])
        return bool(waiting)

    def counts(self, launch: Launch) -> bool:
        """Whether what the worker of a try tells of its end is about the task: a successor's may not be."""
        if launch.checkpoint is None or not launch.checkpoint.follows:
            return True
        for each in (self._by_task.get(launch.task), self._adopted.get(launch.task)):
            if each is not None and (each.try_id, each.to) == (launch.try_id, launch.executor):
                return each.stage in ("switched", "over")
        return False

    # --- what Parsl's threads ask ---

    def take_over(self, task: Record, *, left: bool) -> Migration | None:
        """A try has ended without a result: the migration whose successor goes on, if there is one.

        Args:
            task: Parsl's record.
            left: the try has left with its last state; otherwise it was lost.
        """
        migration = self._by_task.get(task["id"])
        if migration is None or migration.source.try_id != task["try_id"]:
            return None
        if not migration.is_alive:
            reason = "the try has ended before its successor was ready"
            self._errands.run(partial(self._fail, migration, "switch", reason))
            return None
        migration.stage = "switched"
        if not left:
            self._let_go_on(migration)
        else:  # it sees by itself that the try has left, unless it cannot read with what
            self._session.clock.call_later(SEEN, partial(self._let_go_on, migration))
        return migration

    def _let_go_on(self, migration: Migration) -> None:
        if migration.successor is not None and not migration.moved.done():
            self._errands.run(partial(self._asking.ask, migration.successor, GO))

    def follow(self, decision: DecisionMade, migration: Migration, *, left: bool) -> None:
        """Let a decision say that the successor goes on."""
        how = "it has left with its last state" if left else "it was lost while it was being moved"
        decision.rule, decision.action, decision.target = RULE, "move", migration.to
        decision.reason = f"{how}, and its successor at {migration.to} goes on ({migration.reason})"
        decision.delay, decision.wait, decision.avoid = 0.0, "", ()

    def adopt(self, task: Record) -> Future[Any] | None:
        """The future of the successor, if this launch is the one that it stands for."""
        migration = self._by_task.get(task["id"])
        if migration is None or migration.stage not in ("switched", "over"):
            return None
        if task["try_id"] != migration.try_id:
            return None
        self._by_task.pop(task["id"], None)
        if task["executor"] != migration.to:
            return None
        self._adopted[task["id"]] = migration
        return migration.future

    def forget(self, task: int) -> None:
        """A task has ended, however."""
        self._adopted.pop(task, None)
        migration = self._by_task.get(task)
        if migration is None:
            return
        self._errands.run(partial(self._fail, migration, "switch", "the task has ended"))
        if migration.stage == "switched":  # the task was ended before its next try: nobody waits for this one
            self._by_task.pop(task, None)
            if migration.successor is not None:
                self._errands.run(partial(self._asking.stop, migration.successor, "the task has ended"))
        elif migration.stage == "over":
            self._by_task.pop(task, None)

    def _say(self, migration: Migration, event: Event) -> None:
        source = migration.source
        event.task, event.try_id, event.executor = source.task, source.try_id, source.executor
        event.block, event.manager, event.node = source.block, source.manager, source.node
        live = self._session.live
        if live is not None:
            live.say(event)
