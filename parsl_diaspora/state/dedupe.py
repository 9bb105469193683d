"""Each event once: fabrics deliver at least once, in order per source."""

from __future__ import annotations

from parsl_diaspora.events import Event, EventsCompacted


class Dedupe:
    """Remembers the last number of each boot.

    Attributes:
        duplicates: events that came again.
        missing: numbers that were passed over, those not counted that a compaction dropped.

    Example:
        >>> dedupe = Dedupe()
        >>> [dedupe.is_new(Event(boot="a", seq=n)) for n in (1, 2, 2, 4)]
        [True, True, False, True]
        >>> dedupe.duplicates, dedupe.missing
        (1, 1)
    """

    def __init__(self) -> None:
        self.duplicates = 0
        self.missing = 0
        self._last: dict[str, int] = {}

    def is_new(self, event: Event) -> bool:
        """Whether this event has not been met; takes note of it."""
        last = self._last.get(event.boot, 0)
        if event.seq <= last and event.boot:
            self.duplicates += 1
            return False
        self.missing += max(0, event.seq - last - 1)
        if isinstance(event, EventsCompacted):
            self.missing -= event.dropped - 1
        self._last[event.boot] = event.seq
        return True
