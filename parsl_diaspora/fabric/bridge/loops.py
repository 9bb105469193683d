"""An event knows the fabrics it crossed, so that none meets it twice by way of bridges."""

from __future__ import annotations

from collections.abc import Iterable

from parsl_diaspora.events import Event

MOST_HOPS = 8


class Crossing:
    """Notes on each event which fabric it comes from, and stops those that have been where they would go.

    Args:
        source: id of the fabric that the events come from.
        target: id of the fabric that they go to.
        most_hops: bridges that an event may cross.

    Attributes:
        loops: events stopped because they had come from the target.
        too_far: events stopped because they had crossed too many bridges.

    Example:
        >>> there, back = Crossing("site", "global"), Crossing("global", "site")
        >>> events = there.cross([Event(seq=1)])
        >>> events[0].via
        ('site',)
        >>> back.cross(events), back.loops
        ([], 1)
    """

    def __init__(self, source: str, target: str, most_hops: int = MOST_HOPS) -> None:
        self._source = source
        self._target = target
        self._first = (source,)
        self._most_hops = most_hops
        self.loops = 0
        self.too_far = 0

    def cross(self, events: Iterable[Event]) -> list[Event]:
        """The events that may go on, each with this crossing noted."""
        first = self._first
        passed = []
        for event in events:
            if not event.via:
                event.via = first
            elif not self._may_go(event):
                continue
            passed.append(event)
        return passed

    def _may_go(self, event: Event) -> bool:
        if self._target in event.via:
            self.loops += 1
            return False
        if len(event.via) >= self._most_hops:
            self.too_far += 1
            return False
        if self._source not in event.via:
            event.via = (*event.via, self._source)
        return True
