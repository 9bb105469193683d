"""How much of the disk the backlog may take, and what goes first when it is full."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from parsl_diaspora.events import Event
from parsl_diaspora.fabric.spool.backlog import Backlog, size_of
from parsl_diaspora.fabric.spool.thinning import thin

#: Topics in the order in which they go: samples before transitions.
DROP_ORDER: tuple[str, ...] = ("resources", "tasks", "failures", "control")
_HIGH, _LOW = 0.85, 0.7  # shares of the limit: where dropping begins, and how far it goes within a topic


class Room:
    """Keeps the segments of a directory within a limit.

    Between two measurements what was written since is added, so the limit holds for the events of this
    process at any moment. Other processes over the same directory each keep to it with what they have written
    themselves.

    Args:
        directory: of the log.
        backlog: what of it is still to be handed on.
        limit: bytes of all segments together.
        order: topics, those that go first first. What has another topic is never dropped.
        tell: called with each event that is dropped, and why.

    Attributes:
        dropped: events dropped so far, by topic.
    """

    def __init__(
        self,
        directory: Path,
        backlog: Backlog,
        limit: int,
        order: Sequence[str],
        tell: Callable[[Event, str], None],
    ) -> None:
        self._directory = directory
        self._backlog = backlog
        self.limit = limit
        self._order = order
        self._tell = tell
        self._lock = threading.Lock()
        self._used = self._since = self._admitted = 0
        self._clean: dict[str, set[str]] = {}  # topics that a segment does not hold any more
        self.dropped: Counter[str] = Counter()

    def admit(self, more: int) -> bool:
        """Whether so many bytes may be written now; if so, `wrote` is to follow."""
        with self._lock:
            if self.used() + more > self.limit:
                return False
            self._admitted += more
            return True

    def wrote(self, more: int) -> None:
        """What was admitted is written, or could not be."""
        with self._lock:
            self._admitted -= more
            self._since += more

    def is_short(self) -> bool:
        """Whether it is time to make room."""
        return self.used() > _HIGH * self.limit

    def used(self) -> int:
        """Bytes on disk: those at the last measurement, and what was admitted since."""
        return self._used + self._since + self._admitted

    def make(self) -> bool:
        """Measure, and drop what goes first until there is room; whether there is now.

        Raises:
            OSError: the directory cannot be read.
        """
        self._measure()
        for topic in self._order:
            if self._used <= _HIGH * self.limit:
                return True
            self._drop(topic)
        return self._used <= _HIGH * self.limit

    def _drop(self, topic: str) -> None:
        for name in self._candidates(topic):
            self._thin(name, topic)
            if self._measure() <= _LOW * self.limit:
                return

    def _measure(self) -> int:
        since = self._since
        names = self._backlog.standings()
        self._clean = {name: gone for name, gone in self._clean.items() if name in names}
        used = sum(size_of(self._directory / name) for name in names)
        with self._lock:
            self._used = used
            self._since = max(0, self._since - since)
        return used

    def _candidates(self, topic: str) -> list[str]:
        """Segments that may still hold the topic and that nobody writes, the oldest first."""
        standings = self._backlog.standings()
        names = [name for name, standing in standings.items() if standing == "sealed"]
        names = [name for name in names if topic not in self._clean.get(name, ())]
        return sorted(
            names, key=lambda name: (self._backlog.is_in_flight(name), _age(self._directory / name))
        )

    def _thin(self, name: str, topic: str) -> None:
        thinned = thin(self._directory, name, topic, self._backlog.position(name))
        self._clean.setdefault(name, set()).add(topic)
        if thinned.name != name:
            self._clean[thinned.name] = self._clean.pop(name)
            self._backlog.forget(name)
        for event in thinned.dropped:
            self.dropped[topic] += 1
            self._tell(event, f"the spool was full: the oldest of topic {topic!r} went first")


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
