"""Managers connect, vanish, and are given up."""

from __future__ import annotations

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import ManagerLost, ManagerSeen
from parsl_diaspora.executors.agent.control import Sightings
from parsl_diaspora.executors.watch.watched import ManagerRecord, Watched
from parsl_diaspora.state import Live


class Managers:
    """The managers of an executor.

    One that is *given up* gets no work, and the interchange sends its tasks back as lost at once.

    Args:
        executor: whose they are.
        live: of the run.
        clock: for when they came.

    Attributes:
        present: the interchange's records by manager id.
        since: when each of them was first seen, monotonic seconds.
        given_up: of those that are present, with the reason.
    """

    def __init__(self, executor: Watched, live: Live, clock: Clock) -> None:
        self.present: dict[str, ManagerRecord] = {}
        self.since: dict[str, float] = {}
        self.given_up: dict[str, str] = {}
        self._nodes: dict[str, str] = {}
        self._executor = executor
        self._live = live
        self._clock = clock

    def look(self, now: dict[str, ManagerRecord], sightings: Sightings) -> None:
        """Say who has come and who has gone."""
        self._nodes.update({each.manager: each.node for each in sightings.managers})
        for name in now.keys() - self.present.keys():
            self.since[name] = self._clock.monotonic()
            self._say_seen(now[name])
        for name in self.present.keys() - now.keys():
            if self.given_up.pop(name, None) is None:  # else it has been said, and why
                self._say_lost(name, "the interchange no longer lists it")
            self.since.pop(name)
        self.present = now
        self._nodes = {name: node for name, node in self._nodes.items() if name in now}

    def give_up(self, name: str, reason: str) -> None:
        """Let the tasks of a manager come back, whatever it does."""
        if name in self.present and name not in self.given_up:
            self.given_up[name] = reason
            self._say_lost(name, reason)

    def node_of(self, name: str) -> str:
        """Host name, as far as it is known."""
        known = self._live.picture.managers.get(name)
        return self._nodes.get(name) or (known.node if known is not None else None) or ""

    def in_block(self, block: str) -> list[ManagerRecord]:
        """Those of one block."""
        return [each for each in self.present.values() if each["block_id"] == block]

    def _say_seen(self, manager: ManagerRecord) -> None:
        self._live.say(
            ManagerSeen(
                executor=self._executor.label,
                block=manager["block_id"],
                manager=manager["manager"],
                node=self.node_of(manager["manager"]) or None,
                workers=manager["worker_count"],
                python_version=manager["python_version"],
            )
        )

    def _say_lost(self, name: str, reason: str) -> None:
        manager = self.present[name]
        self._live.say(
            ManagerLost(
                executor=self._executor.label,
                block=manager["block_id"],
                manager=name,
                node=self.node_of(name) or None,
                reason=reason,
                held=int(manager["tasks"]),
            )
        )
