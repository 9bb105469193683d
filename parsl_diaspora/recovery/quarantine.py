"""Quarantine: a manager where different tasks keep failing gets no new work for a while."""

from __future__ import annotations

from parsl_diaspora.events import PlaceQuarantined, PlaceReleased
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import ManagerState, Picture

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
    }
)


#: So many failures in a row may come about by chance, at the rate at which tries fail at other managers.
CHANCE = 0.001


class Quarantine:
    """Decides which managers rest, and for how long. It never takes an executor's last manager.

    Where tries fail as often at other managers it is the program that fails, and no manager rests.

    Args:
        settings: thresholds.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held: set[str] = set()

    def consider(self, picture: Picture, manager: str | None, now: float) -> PlaceQuarantined | None:
        """The event that puts a manager in quarantine, if its newest failures ask for it.

        Args:
            picture: state of the run.
            manager: where a try has just failed.
            now: seconds UTC.
        """
        state = picture.managers.get(manager or "")
        if manager is None or state is None or manager in self._held or not self._settings.quarantine_after:
            return None
        tasks = self._failed_tasks(state, now)
        if len(tasks) < self._settings.quarantine_after or not self._has_company(picture, manager, state):
            return None
        if _rate_elsewhere(picture, state) ** len(tasks) > CHANCE:
            return None
        seconds = self._settings.quarantine_for
        self._held.add(manager)
        window = self._settings.quarantine_window
        reason = f"{len(tasks)} different tasks failed there within {window:.0f} s, and none succeeded"
        return PlaceQuarantined(
            manager=manager, executor=state.executor, node=state.node, reason=reason, seconds=seconds
        )

    def release(self, manager: str) -> PlaceReleased | None:
        """The event that lets a manager have work again; None if it was not in quarantine."""
        if manager not in self._held:
            return None
        self._held.discard(manager)
        return PlaceReleased(manager=manager, reason="its time is over")

    def _failed_tasks(self, state: ManagerState, now: float) -> set[int]:
        since = max(now - self._settings.quarantine_window, state.last_success)
        newest = list(state.failures)  # other threads append
        return {task for when, task, kind in newest if when > since and kind not in _NOT_THE_PLACE}

    def _has_company(self, picture: Picture, manager: str, state: ManagerState) -> bool:
        return picture.has_other_manager(state.executor, manager)


def _rate_elsewhere(picture: Picture, state: ManagerState) -> float:
    """The share of tries at the executor's other managers that failed; 0 while none has ended."""
    all_failed = picture.failed.get(state.executor, {})
    failed = sum(
        count - state.failed.get(kind, 0) for kind, count in all_failed.items() if kind not in _NOT_THE_PLACE
    )
    succeeded = picture.succeeded.get(state.executor, 0) - state.succeeded
    return failed / (failed + succeeded) if failed + succeeded > 0 else 0.0
