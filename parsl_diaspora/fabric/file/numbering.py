"""The numbers that sources give their events, and writers their files: what is missing, what came twice."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from parsl_diaspora.events import Event, EventsCompacted
from parsl_diaspora.fabric.file.segment import SUFFIX
from parsl_diaspora.fabric.file.writers import writer_named

LISTED = 100  # findings of one sort that are told one by one
_NUMBER = re.compile(r"(\d{4,})(?:c[0-9a-f]{8})?")  # a spool marks the ones that it has thinned


def file_number(name: str) -> int | None:
    """The number of a segment among those of its writer; None for a name that no publisher gives.

    Example:
        >>> file_number("node.site.417.8d1f.0002.events")
        2
    """
    found = _NUMBER.fullmatch(name.removesuffix(SUFFIX).rpartition(".")[2])
    return int(found.group(1)) if found is not None and writer_named(name) is not None else None


class _Source(msgspec.Struct):
    """What is known of one boot of a source."""

    name: str
    last: int = 0
    missing: int = 0
    compacted: int = 0
    gaps: list[tuple[int, int]] = []


class Numbering:
    """Follows the numbers of every source. Memory: one small record for each boot that ever spoke.

    Attributes:
        duplicates: events that were there twice.
        compacted: events that were dropped by a compaction.
    """

    def __init__(self) -> None:
        self.duplicates = 0
        self.compacted = 0
        self._sources: dict[str, _Source] = {}

    def note(self, event: Event, *, retired: bool = False) -> int:
        """Take note of an event; how many of its source's numbers are missing just before it.

        Args:
            event: the next one of the log.
            retired: the files before it were deleted on purpose, so a source may begin in the middle.
        """
        source = self._sources.get(event.boot)
        if source is None:
            source = self._sources[event.boot] = _Source(event.source)
            source.last = event.seq - 1 if retired else 0
        before = source.last
        if event.seq <= before:
            self.duplicates += 1
            return 0
        source.last = event.seq
        if isinstance(event, EventsCompacted):
            self.compacted += event.dropped
            source.compacted += event.explains(before)
        if missing := event.seq - before - 1:
            source.missing += missing
            if len(source.gaps) < LISTED:
                source.gaps.append((before + 1, event.seq - 1))
        return missing

    def gaps(self) -> Iterator[str]:
        """What is missing, as ``source: first-last``."""
        for source in self._sources.values():
            if source.missing <= source.compacted:
                continue
            if source.compacted:
                yield f"{source.name}: {source.missing - source.compacted} up to {source.last}"
                continue
            yield from (f"{source.name}: {first}-{last}" for first, last in source.gaps)
            if left := source.missing - sum(last - first + 1 for first, last in source.gaps):
                yield f"{source.name}: {left} more up to {source.last}"
