"""When a backlog has become too long, and when it is over."""

from __future__ import annotations

from parsl_diaspora.events import FabricLagged

LAG_EVENTS = 10_000
LAG_SECONDS = 30.0
_BURST = 2.0  # seconds for which many events may wait: a burst is no lag
_SHORT_AGAIN = 0.1  # share of the limit below which a lag is over


class LagWatch:
    """Turns looks at the backlog into at most two events an episode.

    Args:
        events: waiting events that count as lag, if they stay for longer than a burst.
        seconds: time without any event handed on, although some wait, that counts as lag.

    Example:
        >>> watch = LagWatch(events=10, seconds=30.0)
        >>> watch.look(waiting=3, moved=0.0, now=1.0, why="no answer")
        >>> watch.look(waiting=3, moved=0.0, now=31.0, why="no answer").waiting
        3
        >>> watch.look(waiting=4, moved=0.0, now=32.0, why="no answer")
        >>> watch.look(waiting=0, moved=33.0, now=33.0, why="").over
        True
    """

    def __init__(self, events: int = LAG_EVENTS, seconds: float = LAG_SECONDS) -> None:
        self._events = events
        self._seconds = seconds
        self._began: float | None = None
        self._empty = float("-inf")
        self._few = float("inf")  # the first look sets it

    @property
    def lagging(self) -> bool:
        """Whether an episode is on."""
        return self._began is not None

    def look(self, waiting: int, moved: float, now: float, why: str) -> FabricLagged | None:
        """What is to be said, if anything.

        Args:
            waiting: events that wait.
            moved: when the last one was handed on, seconds.
            now: seconds on the same clock.
            why: what went wrong last.
        """
        self._empty = now if waiting == 0 else self._empty
        self._few = now if waiting < self._events else min(self._few, now)
        still = now - max(moved, self._empty)
        if self._began is None:
            return self._begin(waiting, still, now, why)
        if waiting <= self._events * _SHORT_AGAIN and still < self._seconds:
            lasted, self._began = now - self._began, None
            return FabricLagged(waiting=waiting, seconds=round(lasted, 3), why="caught up", over=True)
        return None

    def _begin(self, waiting: int, still: float, now: float, why: str) -> FabricLagged | None:
        if not waiting or (still < self._seconds and now - self._few < _BURST):
            return None
        self._began = now
        return FabricLagged(waiting=waiting, seconds=round(still, 3), why=why or "more comes than goes")
