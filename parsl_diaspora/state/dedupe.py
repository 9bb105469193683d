"""Each event once: fabrics deliver at least once, in order per source wherever a source used one way only."""

from __future__ import annotations

from parsl_diaspora.events import Event, EventsCompacted

MOST_HOLES = 1_000  # of one boot that are remembered; numbers of older ones count as met


class Dedupe:
    """Remembers the last number of each boot, and which before it are missing.

    A source that had to take another way for some of its events, as around a dead relay, is read from two
    places: what was missing may come later, and is new then.

    Attributes:
        duplicates: events that came again.
        missing: numbers that were passed over and have not come since; not those that a compaction dropped.

    Example:
        >>> dedupe = Dedupe()
        >>> [dedupe.is_new(Event(boot="a", seq=n)) for n in (1, 2, 2, 5, 4, 4)]
        [True, True, False, True, True, False]
        >>> dedupe.duplicates, dedupe.missing
        (2, 1)
    """

    def __init__(self) -> None:
        self.duplicates = 0
        self.missing = 0
        self._last: dict[str, int] = {}
        self._holes: dict[str, dict[int, int]] = {}  # by boot: first to last number of each hole

    def is_new(self, event: Event) -> bool:
        """Whether this event has not been met; takes note of it."""
        last = self._last.get(event.boot, 0)
        if event.seq <= last and event.boot:
            is_new = self._fills(event.boot, event.seq)
            self.duplicates += not is_new
            return is_new
        if event.seq > last + 1:
            self._note_hole(event.boot, last + 1, event.seq - 1)
        if type(event) is EventsCompacted:
            self.missing -= event.dropped - 1
        self._last[event.boot] = event.seq
        return True

    def _note_hole(self, boot: str, first: int, last: int) -> None:
        self.missing += last - first + 1
        holes = self._holes.setdefault(boot, {})
        holes[first] = last
        if len(holes) > MOST_HOLES:
            del holes[next(iter(holes))]

    def _fills(self, boot: str, number: int) -> bool:
        """Whether the number lies in a hole; the hole is smaller then."""
        holes = self._holes.get(boot, {})
        for first, last in holes.items():
            if first <= number <= last:
                break
        else:
            return False
        del holes[first]
        if first < number:
            holes[first] = number - 1
        if number < last:
            holes[number + 1] = last
        self.missing -= 1
        return True
