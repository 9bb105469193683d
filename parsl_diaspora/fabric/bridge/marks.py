"""What stands for numbers that a bridge left behind, so that readers do not take them for losses."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from parsl_diaspora.events import Event, EventsCompacted


class Dropped(msgspec.Struct, gc=False):
    """Numbers of one source that do not go on, one after the other."""

    first: int
    last: int
    count: int
    source: str
    run: str
    time: float
    mono: float
    via: tuple[str, ...]

    @property
    def _is_stretch(self) -> bool:
        return self.count == self.last - self.first + 1

    def joins(self, other: Dropped) -> bool:
        """Whether ``other`` continues this one; then this one is both."""
        if other.first != self.last + 1 or not (self._is_stretch and other._is_stretch):
            return False
        self.last, self.count = other.last, self.count + other.count
        self.run, self.time, self.mono, self.via = other.run, other.time, other.mono, other.via
        return True

    def mark(self, boot: str) -> EventsCompacted:
        """The event that stands for them."""
        return EventsCompacted(
            source=self.source,
            boot=boot,
            seq=self.last,
            run=self.run,
            time=self.time,
            mono=self.mono,
            via=self.via,
            first=self.first,
            last=self.last,
            dropped=self.count,
        )


def dropped(event: Event) -> Dropped:
    """One event that does not go on; if it is a mark itself, all that it stands for."""
    first, count = event.seq, 1
    if type(event) is EventsCompacted and event.dropped > 0:
        first, count = event.first, event.dropped
    return Dropped(first, event.seq, count, event.source, event.run, event.time, event.mono, event.via)


def joined(stretches: list[Dropped]) -> Iterator[Dropped]:
    """As few of them as possible, in order."""
    last: Dropped | None = None
    for each in sorted(stretches, key=lambda each: each.last):
        if last is not None and last.joins(each):
            continue
        if last is not None:
            yield last
        last = each
    if last is not None:
        yield last
