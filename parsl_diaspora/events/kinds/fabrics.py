"""Events about events: lost, damaged, compacted, reduced, late."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from parsl_diaspora.events.envelope import Event, Topic


class EventsLost(Event, tag="events.lost"):
    """Events of this source that could not be kept.

    Attributes:
        count: how many.
        why: in words.
    """

    topic: ClassVar[Topic] = "control"

    count: int = 0
    why: str = ""


class EventsDamaged(Event, tag="events.damaged"):
    """A stretch of the log could not be read, and a repair took it out. Said in the segment itself.

    Attributes:
        file: name of the segment.
        offset: where the stretch began, bytes.
        size: how long it was, bytes.
        count: events that are known to be missing there, by the later numbers of their sources. What a
            source said last may be missing beside them.
        kept: where the segment lies as it was, below the log's directory.
    """

    topic: ClassVar[Topic] = "control"

    file: str = ""
    offset: int = 0
    size: int = 0
    count: int = 0
    kept: str = ""


class EventsCompacted(Event, tag="events.compacted"):
    """Events were dropped, by a compaction or by a bridge that was told to carry less. It stands for them.

    A compaction drops of finished runs what others tell as well. It has the source, the boot and the number
    of the last of them, so that numbers are missing by design before it: one less than were dropped.

    Attributes:
        first: number of the first event that was dropped.
        last: number of the last one.
        kept: events of this boot and run in the same segment that were kept.
        dropped: events that were dropped.
        started: how many of them were starts of tries, by manager.
    """

    topic: ClassVar[Topic] = "control"

    first: int = 0
    last: int = 0
    kept: int = 0
    dropped: int = 0
    started: dict[str, int] = msgspec.field(default_factory=dict)

    @property
    def is_stretch(self) -> bool:
        """Whether all numbers from the first to the last were dropped, and no other."""
        return self.last == self.seq and self.dropped == self.last - self.first + 1

    def explains(self, before: int) -> int:
        """Numbers below its own that it says are missing by design.

        Args:
            before: the last number that was met; what is up to it has been explained already.
        """
        if self.is_stretch:
            return max(0, self.seq - max(self.first, before + 1))
        return self.dropped - 1


class SamplesReduced(Event, tag="samples.reduced"):
    """What a bridge says instead of several samples of one kind, source and place.

    It has the source, the boot, the number, the times and the place of the last of them.

    Attributes:
        of: the kind of the samples.
        first: number of the first sample.
        last: number of the last one.
        count: how many there were.
        since: time of the first sample, seconds UTC.
        counts: by field, how many samples had a number in it.
        low: by field, the least number.
        mean: by field, the mean.
        high: by field, the greatest number.
    """

    topic: ClassVar[Topic] = "resources"

    of: str = ""
    first: int = 0
    last: int = 0
    count: int = 0
    since: float = 0.0
    counts: dict[str, int] = msgspec.field(default_factory=dict)
    low: dict[str, float] = msgspec.field(default_factory=dict)
    mean: dict[str, float] = msgspec.field(default_factory=dict)
    high: dict[str, float] = msgspec.field(default_factory=dict)


class FabricLagged(Event, tag="fabric.lagged"):
    """Events wait on this side because the fabric does not take them, or not fast enough.

    Said when the wait becomes too long, and once more when it is over.

    Attributes:
        waiting: events that are not handed on yet.
        seconds: how long none was handed on; when it is over, how long it lasted.
        why: in words.
        over: the fabric has caught up again.
    """

    topic: ClassVar[Topic] = "control"

    waiting: int = 0
    seconds: float = 0.0
    why: str = ""
    over: bool = False
