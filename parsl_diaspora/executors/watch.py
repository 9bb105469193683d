"""Managers and blocks come and go: seen, said, and acted upon. One thread an executor, once a second."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from parsl.jobs.states import TERMINAL_STATES, JobState, JobStatus

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import BlockLost, BlockSeen, ManagerLost, ManagerSeen
from parsl_diaspora.executors.selector import write_denied
from parsl_diaspora.state import Live, ManagerState

PERIOD = 1.0
PATIENCE_WITH_NEIGHBOURS = 60.0


class Watched(Protocol):
    """What the watch needs of an executor."""

    label: str
    unsaid: str
    blocks_to_job_id: dict[str, Any]

    @property
    def status_facade(self) -> Mapping[str, JobStatus]:
        """Blocks by id, as Parsl last saw them."""
        ...

    @property
    def reachable(self) -> bool:
        """Whether the interchange can be asked."""
        ...

    def connected_managers(self) -> list[dict[str, Any]]:
        """The interchange's list of managers."""
        ...

    def end_block(self, block: str) -> None:
        """End one block's job."""
        ...


class Watch:
    """Looks after one executor's managers and blocks.

    A manager *stalls* when an idle worker is killed while it holds the lock of the task queue: it goes on
    taking tasks and sending heartbeats, but starts none. Nothing in Parsl notices. Here its block is ended,
    so that its tasks come back as lost and a new block takes its place.

    Args:
        executor: to be watched; already started.
        live: the run's state.
        stall_after: seconds that a manager may hold tasks without starting any.
        clock: for the thread's waits.
        denied: file of the manager selector.
    """

    def __init__(
        self,
        executor: Watched,
        live: Live,
        stall_after: float,
        clock: Clock,
        denied: Path,
    ) -> None:
        self._executor = executor
        self._live = live
        self._stall_after = stall_after
        self._clock = clock
        self._denied_path = denied
        self._denied: set[str] = set()
        self._managers: dict[str, dict[str, Any]] = {}
        self._blocks: dict[str, JobState] = {}
        self._idle_since: dict[str, tuple[float, int]] = {}
        self._stalled: dict[str, str] = {}
        self._ended: dict[str, str] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._run, name=f"diaspora-watch-{executor.label}", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; a thread that hangs in a dead interchange is left to the process's end."""
        self._stop.set()
        self._thread.join(2 * PERIOD)

    def _run(self) -> None:
        while not self._clock.wait(self._stop, PERIOD):
            try:
                self.look()
            except Exception as error:  # noqa: BLE001 - a look that fails must not end the watching
                if not self._stop.is_set():
                    self._live.absorb(f"watch of {self._executor.label}", error)

    def look(self) -> None:
        """One look at everything."""
        self._see_blocks(self._executor.status_facade)
        if self._executor.reachable:
            self._see_managers({each["manager"]: each for each in self._executor.connected_managers()})
        self._deny()

    # --- blocks ---

    def _see_blocks(self, status: Mapping[str, JobStatus]) -> None:
        for block, each in list(status.items()):
            if self._blocks.get(block) != each.state:
                self._blocks[block] = each.state
                self._say_block(block, each)

    def _say_block(self, block: str, status: JobStatus) -> None:
        job = str(self._executor.blocks_to_job_id.get(block, ""))
        label, state = self._executor.label, status.status_name
        if status.state not in TERMINAL_STATES:
            self._live.say(BlockSeen(executor=label, block=block, state=state, job=job))
            return
        expected = status.state == JobState.SCALED_IN
        message = self._ended.get(block) or status.message or ""
        if not message and not expected:
            message = status.stderr_summary or ""
        self._live.say(
            BlockLost(
                executor=label,
                block=block,
                state=state,
                job=job,
                exit_code=status.exit_code,
                message=message[-500:],
                expected=expected,
            )
        )

    # --- managers ---

    def _see_managers(self, now: dict[str, dict[str, Any]]) -> None:
        for name in now.keys() - self._managers.keys():
            self._say_seen(now[name])
        for name in self._managers.keys() - now.keys():
            held = int(self._managers[name]["tasks"])
            if self._stalled.pop(name, None) is None:  # else it has been said, and why
                self._say_lost(self._managers[name], "the interchange no longer lists it", held)
        self._managers = now
        for manager in now.values():
            self._look_for_stall(manager)

    def _say_seen(self, manager: dict[str, Any]) -> None:
        self._live.say(
            ManagerSeen(
                executor=self._executor.label,
                block=manager["block_id"],
                manager=manager["manager"],
                workers=manager["worker_count"],
                python_version=manager["python_version"],
            )
        )

    def _say_lost(self, manager: dict[str, Any], reason: str, held: int) -> None:
        self._live.say(
            ManagerLost(
                executor=self._executor.label,
                block=manager["block_id"],
                manager=manager["manager"],
                reason=reason,
                held=held,
            )
        )

    def _look_for_stall(self, manager: dict[str, Any]) -> None:
        name, now = manager["manager"], self._clock.monotonic()
        if name in self._stalled:
            return
        known = self._live.picture.managers.get(name)
        if known is None or not self._live.hears or not self._serves_nothing(manager, known):
            self._idle_since.pop(name, None)
            return
        since, started = self._idle_since.setdefault(name, (now, known.started))
        if known.started > started:  # counted, as the clocks of nodes may differ from ours
            self._idle_since[name] = now, known.started
            return
        waited = now - since
        if waited < self._stall_after or not self._may_end_block(manager, known, waited):
            return
        held = int(manager["tasks"])
        self._stalled[name] = f"stalled: it holds {held} tasks and has started none for {waited:.0f} s"
        self._say_lost(manager, self._stalled[name], held)
        self._ended[manager["block_id"]] = (
            f"ended by parsl_diaspora: its manager {name} {self._stalled[name]}"
        )
        self._executor.end_block(manager["block_id"])

    def _serves_nothing(self, manager: dict[str, Any], known: ManagerState) -> bool:
        """It holds more tasks than it runs although workers are free."""
        if not known.started or self._executor.unsaid:
            return False  # its workers have never been heard, so silence means nothing
        running = len(known.running)
        return running < int(manager["tasks"]) and running < int(manager["worker_count"])

    def _may_end_block(self, manager: dict[str, Any], known: ManagerState, waited: float) -> bool:
        """Not at once while others would lose their work: a worker may just be slow to start again."""
        neighbours = [
            other
            for other in self._managers.values()
            if other["block_id"] == manager["block_id"] and other["manager"] != manager["manager"]
        ]
        busy = bool(known.running) or any(other["tasks"] for other in neighbours)
        return waited > PATIENCE_WITH_NEIGHBOURS or not busy

    # --- quarantine ---

    def _deny(self) -> None:
        denied = {name for name in self._managers if name in self._live.picture.quarantined}
        if denied == self._managers.keys():
            denied = set()  # the others have gone meanwhile: a doubtful manager is better than none
        denied |= set(self._stalled)
        if denied != self._denied:
            write_denied(self._denied_path, denied)
            self._denied = denied
