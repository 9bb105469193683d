"""What a publisher could not keep: counted at once, and said as soon as something can be said again."""

from __future__ import annotations

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event, EventsLost, encode

FULL = "the publisher's buffer was full"
UNWRITABLE = "the log could not be written"
CLOSED = "the publisher was closed"
SEVERAL = "several reasons"
_REASONS = 20  # told apart; a reason may hold names and texts of the program
_WHY_LIMIT = 300


class Losses:
    """Counts lost events by run and reason. Not thread-safe: its publisher holds a lock.

    Attributes:
        total: events lost so far.

    Example:
        >>> losses = Losses()
        >>> losses.add(Event(run="r"), FULL)
        >>> losses.add(Event(run="r"), FULL)
        >>> [(event.run, event.count) for event in losses.say()]
        [('r', 2)]
        >>> losses.say(), losses.total
        ([], 2)
    """

    def __init__(self) -> None:
        self.total = 0
        self._unsaid: dict[tuple[str, str], int] = {}

    def __bool__(self) -> bool:
        return bool(self._unsaid)

    def add(self, event: Event, why: str) -> None:
        """Count a lost event that is still to be said."""
        self.total += 1
        self._count(event.run, why[:_WHY_LIMIT], 1)

    def say(self) -> list[EventsLost]:
        """Events, not stamped yet, that say all that was not said; it counts as said from now on."""
        if not self._unsaid:
            return []
        said = [EventsLost(run=run, count=count, why=why) for (run, why), count in self._unsaid.items()]
        self._unsaid.clear()
        return said

    def unsay(self, said: list[EventsLost]) -> None:
        """Take back what `say` gave, because it could not be written either."""
        for event in said:
            self._count(event.run, event.why, event.count)

    def _count(self, run: str, why: str, count: int) -> None:
        key = run, why
        if key not in self._unsaid and len(self._unsaid) >= _REASONS:
            key = "", SEVERAL
        self._unsaid[key] = self._unsaid.get(key, 0) + count


def encode_within(event: Event, limit: int) -> bytes:
    """One event as bytes.

    Raises:
        EventError: it cannot be encoded, or has more bytes than ``limit``.
    """
    data = encode(event)
    if len(data) > limit:
        raise EventError(f"An event of kind {event.kind!r} has {len(data)} bytes, more than {limit}.")
    return data
