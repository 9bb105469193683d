"""Which batches the hub has stored, so that one that comes again is acknowledged and not stored twice."""

from __future__ import annotations

from enum import Enum

from parsl_diaspora.fabric.relay.wire import Batch

MAX_BOOTS = 200_000  # about 40 MB


class Verdict(Enum):
    """What to do with a batch."""

    STORE = "store"
    STORED = "stored already: acknowledge it"
    EARLY = "one before it is missing: the client will send both again"


class Seen:
    """The last batch of each boot. A boot that was forgotten costs a duplicate at worst, never an event.

    Args:
        events: number of the last event of each boot in the log, as an earlier hub left it.

    Example:
        >>> seen = Seen()
        >>> seen.judge(Batch("ab", 1, 1), last_event=10)
        <Verdict.STORE: 'store'>
        >>> seen.keep({"ab": 1})
        >>> (
        ...     seen.judge(Batch("ab", 1, 1), last_event=10).name,
        ...     seen.judge(Batch("ab", 3, 1), last_event=30).name,
        ... )
        ('STORED', 'EARLY')
    """

    def __init__(self, events: dict[str, int] | None = None) -> None:
        self._events = events or {}
        self._last: dict[str, int] = {}

    def judge(self, batch: Batch, last_event: int, taken: dict[str, int] | None = None) -> Verdict:
        """What to do with a batch.

        Args:
            batch: as it came.
            last_event: number of its last event within its boot; 0 if they are forwarded ones.
            taken: last batch of each boot that is about to be stored.
        """
        last = max((taken or {}).get(batch.boot, 0), self.last(batch.boot))
        if batch.number <= last:
            return Verdict.STORED
        if batch.number > max(last + 1, batch.base):
            return Verdict.EARLY
        in_log = 0 < last_event <= self._events.get(batch.boot, 0)
        return Verdict.STORED if in_log else Verdict.STORE

    def last(self, boot: str) -> int:
        """Number of the last batch of a boot that is stored."""
        return self._last.get(boot, 0)

    def keep(self, taken: dict[str, int]) -> None:
        """Batches up to these are stored now."""
        for boot, number in taken.items():
            self._last.pop(boot, None)  # so that it counts as the newest
            self._last[boot] = number
        while len(self._last) > MAX_BOOTS:
            del self._last[next(iter(self._last))]
