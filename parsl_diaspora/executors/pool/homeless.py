"""Work that no member takes now: it waits a while, as a member may be replaced, but not for ever."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from parsl_diaspora.executors.errors import NoMember
from parsl_diaspora.executors.pool.member import Member
from parsl_diaspora.executors.pool.work import Work

PATIENCE = 120.0  # seconds


class Homeless:
    """Keeps work until a member takes it.

    Args:
        patience: seconds that it waits at most.
    """

    def __init__(self, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._lock = threading.Lock()
        self._waiting: set[Work] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def keep(self, work: Work, now: float) -> None:
        """Let a piece of work wait.

        Args:
            work: that no member takes.
            now: monotonic seconds.
        """
        with self._lock:
            work.waits_since = now if work.waits_since is None else work.waits_since
            self._waiting.add(work)

    def forget(self, work: Work) -> None:
        """It waits no more."""
        with self._lock:
            self._waiting.discard(work)

    def due(self, now: float, *, usable: bool) -> list[Work]:
        """Work that need not wait any more: all if a member takes tasks, else what has waited too long."""
        with self._lock:
            due = [work for work in self._waiting if usable or self._is_over(work, now)]
            self._waiting.difference_update(due)
        return due

    def _is_over(self, work: Work, now: float) -> bool:
        return work.waits_since is not None and now - work.waits_since >= self._patience

    @staticmethod
    def error(pool: str, seats: Mapping[str, Member]) -> NoMember:
        """What a piece of work ends with that has waited in vain."""
        reasons = "; ".join(
            f"{label}: {member.wrong or 'it has no blocks'}" for label, member in seats.items()
        )
        message = f"No executor of pool {pool!r} takes tasks. {reasons}."
        hint = "What went wrong with each stands in interchange.log and submit_scripts of its directory."
        return NoMember(message, pool=pool, hint=hint)
