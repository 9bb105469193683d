"""Places in quarantine, and on trial after it."""

from __future__ import annotations

from parsl_diaspora.events import Event, PlaceQuarantined, PlaceReleased
from parsl_diaspora.state.records import ManagerState

MANAGER, NODE, EXECUTOR = "manager", "node", "executor"

#: Level and name.
Key = tuple[str, str]


class Quarantined:
    """Managers, nodes and executors that get no new work for a while, and places that are on trial.

    Attributes:
        reasons: why a place is in quarantine.
        on_trial: places of which one task at a time is made.

    Example:
        >>> quarantined = Quarantined()
        >>> quarantined.put(PlaceQuarantined(node="n17", reason="its disk is full"))
        >>> quarantined.on("m1", ManagerState(executor="cpu", node="n17"))
        'its disk is full'
    """

    def __init__(self) -> None:
        self.reasons: dict[Key, str] = {}
        self.on_trial: set[Key] = set()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Quarantined):
            return NotImplemented
        return (self.reasons, self.on_trial) == (other.reasons, other.on_trial)

    __hash__ = None  # type: ignore[assignment]

    def put(self, event: PlaceQuarantined) -> None:
        """A place gets no new work."""
        if (key := key_of(event)) is not None:
            self.on_trial.discard(key)
            self.reasons[key] = event.reason

    def lift(self, event: PlaceReleased) -> None:
        """A place is released, or put on trial."""
        if (key := key_of(event)) is None:
            return
        self.reasons.pop(key, None)
        if event.trial:
            self.on_trial.add(key)
        else:
            self.on_trial.discard(key)

    def on(self, name: str, manager: ManagerState) -> str:
        """Why a manager gets no work: it, its node or its executor is in quarantine; empty if none is."""
        if not self.reasons:
            return ""
        places = ((MANAGER, name), (NODE, manager.node or ""), (EXECUTOR, manager.executor))
        return next((self.reasons[key] for key in places if key in self.reasons), "")

    def tries(self, name: str, manager: ManagerState) -> bool:
        """Whether a manager may have one task at a time."""
        return bool(self.on_trial) and not self.on_trial.isdisjoint(
            ((MANAGER, name), (NODE, manager.node or ""))
        )


def key_of(event: Event) -> Key | None:
    """Level and name of the place that an event is about: the smallest that it names."""
    for level in (MANAGER, NODE, EXECUTOR):
        if name := getattr(event, level):
            return level, name
    return None
