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
        self._holes: dict[str, _Stretches] = {}  # by boot
        self._dropped: dict[str, _Stretches] = {}  # by boot: missing by design, unless another way brings it

    def is_new(self, event: Event) -> bool:
        """Whether this event has not been met; takes note of it."""
        last = self._last.get(event.boot, 0)
        if event.seq <= last and event.boot:
            is_new = self._fills(event)
            self.duplicates += not is_new
            return is_new
        self._last[event.boot] = event.seq
        if type(event) is EventsCompacted:
            self._note_dropped(event, last)
        elif event.seq > last + 1:
            self._note_hole(event.boot, last + 1, event.seq - 1)
        return True

    def _note_hole(self, boot: str, first: int, last: int) -> None:
        self.missing += last - first + 1
        _note(self._holes.setdefault(boot, {}), first, last)

    def _note_dropped(self, mark: EventsCompacted, before: int) -> None:
        """What a mark stands for may still come another way, as past a bridge that drops something else."""
        if not mark.is_stretch:
            if mark.seq > before + 1:
                self._note_hole(mark.boot, before + 1, mark.seq - 1)
            self.missing -= mark.dropped - 1
            return
        first = max(mark.first, before + 1)
        if first > before + 1:
            self._note_hole(mark.boot, before + 1, first - 1)
        _note(self._dropped.setdefault(mark.boot, {}), first, mark.last)

    def _fills(self, event: Event) -> bool:
        """Whether something was not known yet of a number that has been passed."""
        holes = self._holes.get(event.boot, {})
        if type(event) is EventsCompacted and event.is_stretch:
            explained = [number for number in range(event.first, event.seq + 1) if _take(holes, number)]
            self.missing -= len(explained)
            for number in explained:
                _note(self._dropped.setdefault(event.boot, {}), number, number)
            return bool(explained)
        if _take(holes, event.seq):
            self.missing -= 1
            return True
        return _take(self._dropped.get(event.boot, {}), event.seq)


_Stretches = dict[int, int]  # first to last number


def _note(stretches: _Stretches, first: int, last: int) -> None:
    stretches[first] = last
    if len(stretches) > MOST_HOLES:
        del stretches[next(iter(stretches))]


def _take(stretches: _Stretches, number: int) -> bool:
    """Whether the number lies in a stretch; the stretch is smaller then."""
    for first, last in stretches.items():
        if first <= number <= last:
            break
    else:
        return False
    del stretches[first]
    if first < number:
        stretches[first] = number - 1
    if number < last:
        stretches[number + 1] = last
    return True
