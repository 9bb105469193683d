"""How a bridge stands, for people and for other programs."""

from __future__ import annotations

import msgspec


class BridgeStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How a bridge stands. Counts are since its start.

    Attributes:
        name: of the bridge, and of its consumer.
        source: URL of the fabric that it reads.
        target: URL of the fabric that it forwards to.
        since: when it was made, seconds UTC.
        read: events read.
        forwarded: events that are safe on the target, with those that stand for others.
        filtered: events left behind by topic or filter.
        reduced: events that became part of another one.
        marks: events that tell readers which numbers are missing by design.
        loops: events stopped because they had come from the target.
        too_far: events stopped because they had crossed too many bridges.
        refused: events that the target refused for good; they are lost there, and it was said.
        skipped: damaged or vanished stretches of the source.
        again: times that it went back to its last commit.
        lag: about how many events are not on the target yet.
        lagging: whether that is too many, or lasts too long.
        commits: positions kept.
        faults: own faults that were absorbed, and events that the filter could not judge.
        why: what is wrong now, in words; empty if nothing is.
    """

    name: str
    source: str
    target: str
    since: float
    read: int = 0
    forwarded: int = 0
    filtered: int = 0
    reduced: int = 0
    marks: int = 0
    loops: int = 0
    too_far: int = 0
    refused: int = 0
    skipped: int = 0
    again: int = 0
    lag: int = 0
    lagging: bool = False
    commits: int = 0
    faults: int = 0
    why: str = ""
