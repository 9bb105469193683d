"""How much of the disk the backlog may take, and what goes first when it is full."""

from __future__ import annotations

import logging
import os
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from parsl_diaspora.events import EventsLost
from parsl_diaspora.fabric.file import large
from parsl_diaspora.fabric.spool.backlog import Backlog, size_of
from parsl_diaspora.fabric.spool.thinning import thin

logger = logging.getLogger(__name__)

#: Topics in the order in which they go: samples before transitions.
DROP_ORDER: tuple[str, ...] = ("resources", "tasks", "failures", "control")
_HIGH, _LOW = 0.85, 0.7  # shares of the limit: where dropping begins, and how far it goes within a topic


class Room:
    """Keeps the segments of a directory within a limit.

    Between two measurements what was written since is added, and room for the largest segment is kept free:
    one that is thinned lies on the disk twice for a moment. So the limit holds at any moment for what this
    process writes. Other processes over the same directory each keep to it with what they have written
    themselves, so several that write at once may exceed it by what the others write within 0.25 s.

    Args:
        directory: of the log.
        backlog: what of it is still to be handed on.
        limit: bytes of all files together, but for the one that keeps the positions.
        segment: bytes up to which segments grow.
        order: topics, those that go first first. What has another topic is never dropped.

    Attributes:
        comfortable: bytes up to which nothing is dropped.
        dropped: events dropped so far, by topic.
    """

    def __init__(
        self, directory: Path, backlog: Backlog, limit: int, segment: int, order: Sequence[str]
    ) -> None:
        self._directory = directory
        self._backlog = backlog
        self.limit = limit
        self.comfortable = int(_HIGH * limit)
        self._segment = self._spare = segment
        self._order = order
        self._changed = threading.Condition()
        self._used = self._since = self._admitted = 0
        self._clean: dict[str, set[str]] = {}  # topics that a segment does not hold any more
        self._failed: set[str] = set()  # of one round; the next one tries them again
        self._said = False
        self._unsaid: Counter[tuple[str, str]] = Counter()
        self.dropped: Counter[str] = Counter()

    def admit(self, more: int, timeout: float = 0.0) -> bool:
        """Whether so many bytes may be written now or within ``timeout`` seconds; `wrote` is to follow."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._fits(more), timeout):
                return False
            self._admitted += more
            return True

    def _fits(self, more: int) -> bool:
        return self.used() + more + max(self._spare, more) <= self.limit

    def wrote(self, more: int) -> None:
        """What was admitted is written, or could not be."""
        with self._changed:
            self._admitted -= more
            self._since += more

    def used(self) -> int:
        """Bytes on disk: those at the last measurement, and what was admitted since."""
        return self._used + self._since + self._admitted

    def say(self) -> list[EventsLost]:
        """What is to be said of events that were dropped; it counts as said from now on."""
        unsaid, self._unsaid = self._unsaid, Counter()
        return [
            EventsLost(run=run, count=count, why=f"the spool was full: the oldest of topic {topic!r} went")
            for (run, topic), count in unsaid.items()
        ]

    def make(self) -> bool:
        """Measure, and drop what goes first until there is room; whether there is now.

        Raises:
            OSError: the directory cannot be read.
        """
        first, self._failed = None, set()
        target = self.comfortable
        while self._measure() > target and (victim := self._next_victim()):
            topic, name = victim
            first = first or topic
            target = int(_LOW * self.limit) if topic == first else self.comfortable
            self._try_to_thin(name, topic)
        return self._used <= self.comfortable

    def _next_victim(self) -> tuple[str, str] | None:
        """Topic and segment to begin with. Asked anew each time: a new segment holds what should go first."""
        names = [name for name, standing in self._backlog.standings().items() if standing == "sealed"]
        names.sort(key=lambda name: (self._backlog.is_in_flight(name), _age(self._directory / name)))
        candidates = ((topic, name) for topic in self._order for name in names)
        return next(((topic, name) for topic, name in candidates if not self._is_done(name, topic)), None)

    def _is_done(self, name: str, topic: str) -> bool:
        return name in self._failed or topic in self._clean.get(name, ())

    def _measure(self) -> int:
        since = self._since
        names = self._backlog.standings()
        self._clean = {name: gone for name, gone in self._clean.items() if name in names}
        spare = max((size_of(self._directory / name) for name in names), default=0)
        used = _bytes_in(self._directory) + _bytes_in(self._directory / large.DIRECTORY)
        with self._changed:
            self._used, self._spare = used, max(spare, self._segment)
            self._since = max(0, self._since - since)
            self._changed.notify_all()
        return used

    def _try_to_thin(self, name: str, topic: str) -> None:
        try:
            self._thin(name, topic)
        except OSError as error:
            self._failed.add(name)
            if not self._said:
                self._said = True
                logger.warning("Segment %s of the spool cannot be made smaller: %s.", name, error.strerror)

    def _thin(self, name: str, topic: str) -> None:
        thinned = thin(self._directory, name, topic, self._backlog.position(name))
        self._clean.setdefault(name, set()).add(topic)
        if thinned.name != name:
            self._clean[thinned.name] = self._clean.pop(name)
            self._backlog.forget(name)
        for run, count in thinned.dropped.items():
            self.dropped[topic] += count
            self._unsaid[run, topic] += count


def _bytes_in(directory: Path) -> int:
    """Bytes of the files that lie in a directory itself; 0 if there is none."""
    try:
        with os.scandir(directory) as entries:
            return sum(size_of(Path(entry)) for entry in entries if entry.is_file(follow_symlinks=False))
    except FileNotFoundError:
        return 0


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
