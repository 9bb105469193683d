"""For how long the interchange has not heard of those that send heartbeats, without trust in any clock."""

from __future__ import annotations

from collections.abc import Collection

LATE = 1.0  # seconds between two looks from which on the looker itself has been held up


class Hearing:
    """Watches the times of last heartbeats that the interchange writes down.

    Only that such a time changes counts, not its value: the wall clock may be set. And while nobody looked,
    as in an interchange that was stopped for a while, nobody has been silent.

    Example:
        >>> hearing = Hearing()
        >>> beats = [(0.0, 100.0), (0.5, 100.0), (1.0, 101.0)]
        >>> [hearing.look("a", beat, now) for now, beat in beats]
        [0.0, 0.5, 0.0]
    """

    def __init__(self) -> None:
        self._heard: dict[str, tuple[float, float]] = {}  # the time as written down, and when it was new
        self._looked: float | None = None

    def begin(self, now: float) -> None:
        """A round of looks begins.

        Args:
            now: monotonic seconds.
        """
        gap = 0.0 if self._looked is None else now - self._looked
        self._looked = now
        if gap > LATE:
            self._heard = {name: (beat, since + gap) for name, (beat, since) in self._heard.items()}

    def look(self, name: str, heartbeat: float, now: float) -> float:
        """Seconds for which the heartbeat has not changed.

        Args:
            name: whose.
            heartbeat: as written down.
            now: monotonic seconds.
        """
        beat, since = self._heard.get(name, (None, now))
        if beat != heartbeat:
            since = now
        self._heard[name] = heartbeat, since
        return now - since

    def forget_all_but(self, names: Collection[str]) -> None:
        """Those that have left need not be remembered."""
        for name in self._heard.keys() - set(names):
            del self._heard[name]
