"""The thread that watches one executor: when to look, and what becomes of what was seen."""

from __future__ import annotations

import threading
from collections import deque
from pathlib import Path

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import (
    Event,
    ManagerEnded,
    PlaceHeld,
    PlaceQuarantined,
    PlaceReleased,
    WorkerEnded,
)
from parsl_diaspora.executors.agent.agent import NODE_LINK
from parsl_diaspora.executors.agent.control import MAIL, Control, Sightings, control_file, sightings_file
from parsl_diaspora.executors.pool_provider import Exclusions
from parsl_diaspora.executors.watch.blocks import Blocks
from parsl_diaspora.executors.watch.deserted import Deserted
from parsl_diaspora.executors.watch.endings import Endings
from parsl_diaspora.executors.watch.holds import HoldWatch
from parsl_diaspora.executors.watch.mail import Mail
from parsl_diaspora.executors.watch.managers import Managers
from parsl_diaspora.executors.watch.nodes import Nodes
from parsl_diaspora.executors.watch.stalls import Stalls
from parsl_diaspora.executors.watch.unstarted import Unstarted
from parsl_diaspora.executors.watch.watched import Watched
from parsl_diaspora.state import Live

PERIOD = 0.5
MOST_NEWS = 10_000

#: Events on which the watch acts without waiting for its next look.
_NEWS = (WorkerEnded, ManagerEnded, PlaceHeld, PlaceReleased, PlaceQuarantined)


class Watch:
    """Looks after one executor's managers, blocks and nodes.

    Args:
        executor: to be watched; already started.
        live: the run's state.
        stall_after: seconds that a manager may hold tasks without starting any.
        clock: for the thread's waits.
        directory: of the files that are shared with the interchange.
    """

    def __init__(
        self, executor: Watched, live: Live, stall_after: float, clock: Clock, directory: Path
    ) -> None:
        self._executor = executor
        self._live = live
        self._clock = clock
        self._control = control_file(directory)
        self._sightings = sightings_file(directory)
        self._written = Control()
        self._mail = Mail(directory / MAIL, live)
        self._blocks = Blocks(executor, live)
        self._managers = Managers(executor, live, clock)
        self._nodes = Nodes(executor, live, self._managers, self._blocks)
        self._endings = Endings(executor, self._managers, clock)
        self._stalls = Stalls(
            executor,
            live,
            clock,
            self._managers,
            blocks=self._blocks,
            endings=self._endings,
            after=stall_after,
        )
        self._deserted = Deserted(executor, clock, self._managers, self._blocks)
        self._unstarted = Unstarted(executor, live, clock, self._managers)
        self._exclusions = Exclusions(executor, live)
        self._holds = HoldWatch(executor.label, live, clock, self._managers)
        self._news: deque[Event] = deque(maxlen=MOST_NEWS)
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"diaspora-watch-{executor.label}", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._live.listen(self._hear)
        self._thread.start()

    def stop(self) -> None:
        """End; a thread that hangs in a dead interchange is left to the process's end."""
        self._stop.set()
        self._wake.set()
        self._thread.join(4 * PERIOD)

    def _hear(self, event: Event) -> None:
        if isinstance(event, _NEWS) and event.run == self._live.picture.run:
            self._news.append(event)
            self._wake.set()

    def _run(self) -> None:
        due = self._clock.monotonic()
        while not self._stop.is_set():
            woken = self._clock.wait(self._wake, max(0.0, due - self._clock.monotonic()))
            self._wake.clear()
            try:
                if woken and self._clock.monotonic() < due:
                    self.act_on_news()
                else:
                    due = self._clock.monotonic() + PERIOD
                    self.look()
            except Exception as error:  # noqa: BLE001 - a look that fails must not end the watching
                if not self._stop.is_set():
                    self._live.absorb(f"watch of {self._executor.label}", error)

    def look(self) -> None:
        """One look at everything."""
        self._mail.look()
        self._blocks.look(self._executor.status_facade)
        seen = self._see()
        self._executor.withdrawals.look(seen)
        if self._executor.reachable:
            listed = self._executor.connected_managers()
            now = {each["manager"]: each for each in listed if not each["manager"].startswith(NODE_LINK)}
            self._managers.look(now, seen)
            self._deserted.look()
        self._take_news()
        self._nodes.look(seen)
        self._stalls.look({each.manager for each in seen.nodes if not each.silent})
        self._unstarted.look(seen)
        self._exclusions.look()
        self._tell_interchange()

    def wake(self) -> None:
        """Tell the interchange at once what it is asked, and hear soon what it answers."""
        self._wake.set()

    def act_on_news(self) -> None:
        """Do at once what cannot wait for the next look."""
        if self._news:
            self._take_news()
            self._tell_interchange()
        elif self._executor.withdrawals.numbers:
            self._tell_interchange()

    def _see(self) -> Sightings:
        """What this executor's interchange sees; an earlier one's words are no longer true."""
        seen, interchange = self._sightings.read(), self._executor.interchange_proc
        return seen if interchange is not None and seen.interchange == interchange.pid else Sightings()

    def _take_news(self) -> None:
        while self._news:
            event = self._news.popleft()
            if event.executor not in (None, self._executor.label):
                continue
            if isinstance(event, WorkerEnded):
                self._endings.worker_ended(event)
            elif isinstance(event, ManagerEnded):
                self._endings.manager_ended(event)
                self._stalls.manager_ended(event.manager or "")

    def _tell_interchange(self) -> None:
        held = self._holds.look()
        given_up = frozenset(self._managers.given_up)
        control = Control(
            denied=self._quarantined() | held.managers | given_up | frozenset(self._nodes.suspected),
            blocks=held.blocks,
            nodes=held.nodes,
            lost=given_up,
            draining=held.draining,
            asked=frozenset(self._unstarted.asked),
            trials=self._on_trial(),
            withdrawn=self._executor.withdrawals.numbers,
        )
        if control != self._written:
            self._control.write(control)
            self._written = control

    def _quarantined(self) -> frozenset[str]:
        """Managers in quarantine, unless the others have gone: a doubtful manager is better than none."""
        present, picture = self._managers.present.keys(), self._live.picture
        if not picture.quarantined.reasons:
            return frozenset()
        states = ((name, picture.managers.get(name)) for name in list(present))
        found = {name for name, state in states if state is not None and picture.quarantined.on(name, state)}
        return frozenset() if found == present else frozenset(found)

    def _on_trial(self) -> frozenset[str]:
        """Managers that get one task at a time, until one has ended well."""
        picture = self._live.picture
        if not picture.quarantined.on_trial:
            return frozenset()
        known = [name for name in self._managers.present if name in picture.managers]
        return frozenset(name for name in known if picture.quarantined.tries(name, picture.managers[name]))
