"""Quarantine: a place where different tasks keep failing gets no new work for a while.

When its time is over one task may try the place: its success releases it, its failure renews the quarantine,
for longer each time.
"""

from __future__ import annotations

import msgspec

from parsl_diaspora.events import Event, PlaceQuarantined, PlaceReleased
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import ManagerState, Picture
from parsl_diaspora.state.quarantined import EXECUTOR, MANAGER, NODE, Key, key_of

#: A missing module belongs to an app and an executor, a dead manager is no place any more.
_NOT_THE_PLACE = frozenset(
    {
        "missing_module",
        "manager_lost",
        "node_lost",
        "partition",
        "block_walltime",
        "preempted",
        "interchange_lost",
        "executor_lost",
        "block_failed",
        "batch_refused",
        "dependency",
        "submission",
        "cancelled",
        "checkpointed",
        "left",
    }
)


#: So many failures in a row may come about by chance, at the rate at which tries fail at other managers.
CHANCE = 0.001

LONGEST = 3600.0  # seconds, however often it is renewed
RENEWALS = 2.0  # times as long as before


class Rest(msgspec.Struct):
    """One place in quarantine, or on trial after it.

    Attributes:
        event: that put it there.
        seconds: how long.
        on_trial: its time is over, and the next try there decides.
    """

    event: PlaceQuarantined
    seconds: float
    on_trial: bool = False


class Quarantine:
    """Decides which places rest, and for how long: managers, nodes, and executors with all they have.

    The last place of its kind never rests: the last manager of an executor, the last executor with managers.
    Where tries fail as often at other managers it is the program that fails, and no manager rests.

    Args:
        settings: thresholds.

    Example:
        >>> from parsl_diaspora.events import ManagerSeen
        >>> picture = Picture("run")
        >>> for name in ("m1", "m2"):
        ...     picture.fold(ManagerSeen(run="run", executor="cpu", manager=name, node=f"node-{name}"))
        >>> quarantine = Quarantine(Settings())
        >>> quarantine.place(picture, "node", "node-m1", 60.0, "its disk is full").node
        'node-m1'
        >>> quarantine.place(picture, "manager", "m2", 60.0, "it is slow") is None
        False
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._rests: dict[Key, Rest] = {}

    @property
    def is_idle(self) -> bool:
        """No place rests, and none is on trial."""
        return not self._rests

    def consider(self, picture: Picture, manager: str | None, now: float) -> PlaceQuarantined | None:
        """The event that puts a manager in quarantine, if its newest failures ask for it.

        Args:
            picture: state of the run.
            manager: where a try has just failed.
            now: seconds UTC.
        """
        state = picture.managers.get(manager or "")
        if manager is None or state is None or not self._settings.quarantine_after:
            return None
        if (MANAGER, manager) in self._rests:
            return None
        tasks = self._failed_tasks(state, now)
        if len(tasks) < self._settings.quarantine_after:
            return None
        if _rate_elsewhere(picture, state) ** len(tasks) > CHANCE:
            return None
        window = self._settings.quarantine_window
        reason = f"{len(tasks)} different tasks failed there within {window:.0f} s, and none succeeded"
        return self.place(picture, MANAGER, manager, self._settings.quarantine_for, reason)

    def place(
        self, picture: Picture, level: str, name: str, seconds: float, reason: str
    ) -> PlaceQuarantined | None:
        """The event that puts a place in quarantine; None if it rests already, or is the last of its kind.

        Args:
            picture: state of the run.
            level: ``manager``, ``node`` or ``executor``.
            name: manager id, host name, or label.
            seconds: how long.
            reason: in words.
        """
        key = (level, name)
        if key in self._rests or not _has_company(picture, level, name):
            return None
        event = PlaceQuarantined(reason=reason, seconds=seconds)
        if level == EXECUTOR:
            event.executor = name
        elif level == NODE:
            event.node = name
        else:
            state = picture.managers[name]
            event.manager, event.executor, event.node = name, state.executor, state.node
        self._rests[key] = Rest(event=event, seconds=seconds)
        return event

    def release(self, level: str, name: str) -> PlaceReleased | None:
        """The event that puts a place on trial as its time is over; None if it was not in quarantine."""
        rest = self._rests.get((level, name))
        if rest is None or rest.on_trial:
            return None
        rest.on_trial = True
        return _released(rest, "its time is over: one task may try it", trial=True)

    def forget(self, event: Event) -> None:
        """Somebody has released a place: nothing is left of its quarantine."""
        if (key := key_of(event)) is not None:
            self._rests.pop(key, None)

    def succeeded(self, places: tuple[Key, ...]) -> list[PlaceReleased]:
        """The events that release places on trial where a try has succeeded."""
        found = [key for key in places if (rest := self._rests.get(key)) is not None and rest.on_trial]
        return [_released(self._rests.pop(key), "a task has succeeded there") for key in found]

    def failed(self, picture: Picture, places: tuple[Key, ...], kind: str) -> list[PlaceQuarantined]:
        """The events that renew the quarantine of places on trial where a try has failed."""
        if kind in _NOT_THE_PLACE:
            return []
        found = [key for key in places if (rest := self._rests.get(key)) is not None and rest.on_trial]
        return [event for key in found if (event := self._renewed(picture, key)) is not None]

    def _renewed(self, picture: Picture, key: Key) -> PlaceQuarantined | None:
        rest = self._rests.pop(key)
        seconds = min(LONGEST, rest.seconds * RENEWALS)
        reason = "the task that tried it after its quarantine has failed, too"
        return self.place(picture, *key, seconds, reason)

    def _failed_tasks(self, state: ManagerState, now: float) -> set[int]:
        since = max(now - self._settings.quarantine_window, state.last_success)
        newest = list(state.failures)  # other threads append
        return {task for when, task, kind in newest if when > since and kind not in _NOT_THE_PLACE}


def _released(rest: Rest, reason: str, *, trial: bool = False) -> PlaceReleased:
    place = rest.event
    return PlaceReleased(
        manager=place.manager, node=place.node, executor=place.executor, reason=reason, trial=trial
    )


def _has_company(picture: Picture, level: str, name: str) -> bool:
    """Whether something is left to work at while this place rests."""
    if level == EXECUTOR:
        return any(present for label, present in list(picture.present.items()) if label != name)
    state = picture.managers.get(name) if level == MANAGER else None
    if level == MANAGER:
        return state is not None and picture.has_other_manager(state.executor, name)
    node = picture.nodes.get(name)
    there = set(node.managers) if node is not None else set()
    labels = {picture.managers[manager].executor for manager in there}
    return all(picture.present.get(label, set()) - there for label in labels)


def _rate_elsewhere(picture: Picture, state: ManagerState) -> float:
    """The share of tries at the executor's other managers that failed; 0 while none has ended."""
    all_failed = picture.failed.get(state.executor, {})
    failed = sum(
        count - state.failed.get(kind, 0) for kind, count in all_failed.items() if kind not in _NOT_THE_PLACE
    )
    succeeded = picture.succeeded.get(state.executor, 0) - state.succeeded
    return failed / (failed + succeeded) if failed + succeeded > 0 else 0.0
