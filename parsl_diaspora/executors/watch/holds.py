"""Places that get no work because somebody said so, in terms of what the interchange can do about them."""

from __future__ import annotations

import msgspec

from parsl_diaspora.clock import Clock
from parsl_diaspora.executors.watch.managers import Managers
from parsl_diaspora.state import Hold, Live


class Held(msgspec.Struct, frozen=True):
    """What follows from all holds.

    Attributes:
        managers: that get no work.
        blocks: whose managers get none.
        nodes: whose managers get none.
        draining: managers that are to leave when they have ended what they hold.
    """

    managers: frozenset[str] = frozenset()
    blocks: frozenset[str] = frozenset()
    nodes: frozenset[str] = frozenset()
    draining: frozenset[str] = frozenset()


class HoldWatch:
    """Follows the holds of one executor.

    A node that is drained gives up the managers that were there when that was said. Managers that come to it
    later get no work, but stay: they would be replaced again and again.

    Args:
        label: of the executor.
        live: of the run.
        clock: for when a hold was heard of.
        managers: of the executor.
    """

    def __init__(self, label: str, live: Live, clock: Clock, managers: Managers) -> None:
        self._label = label
        self._live = live
        self._clock = clock
        self._managers = managers
        self._heard: dict[tuple[str, str, str], float] = {}  # by the hold's key: when, monotonic seconds

    def look(self) -> Held:
        """What is held now."""
        holds = [hold for hold in self._live.picture.holds if hold.executor in ("", self._label)]
        now = self._clock.monotonic()
        self._heard = {hold.key: self._heard.get(hold.key, now) for hold in holds if hold.drain}
        draining = {name for hold in holds if hold.drain for name in self._drained(hold)}
        return Held(
            managers=_names(holds, "manager"),
            blocks=_names(holds, "block"),
            nodes=_names(holds, "node"),
            draining=frozenset(draining),
        )

    def _drained(self, hold: Hold) -> list[str]:
        if hold.level == "manager":
            return [hold.name]
        if hold.level == "block":
            return [each["manager"] for each in self._managers.in_block(hold.name)]
        heard, since = self._heard[hold.key], self._managers.since
        return [
            name
            for name in self._managers.present
            if since[name] <= heard and self._managers.node_of(name) == hold.name
        ]


def _names(holds: list[Hold], level: str) -> frozenset[str]:
    return frozenset(hold.name for hold in holds if hold.level == level)
