"""What a fabric must do: `parsl_diaspora.testing.fabric_contract` holds every backend to it.

Delivery is at least once and order holds per source, so a reader deduplicates by (boot, seq). Publishing
costs microseconds, never waits for the backend and never raises because of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Protocol, Union, runtime_checkable

import msgspec

from parsl_diaspora.errors import FabricError
from parsl_diaspora.events.envelope import Event

#: Where a consumer stands, part by part of its fabric; plain data that only the same fabric understands.
Position = Mapping[str, int]

#: Where a consumer without a committed position begins: ``earliest``, ``latest``, a time (seconds, UTC), or
#: the position of another consumer.
Start = Union[str, float, Position]  # noqa: UP007 - evaluated at run time on Python 3.10


_HINT = "Use 'earliest', 'latest', seconds since the epoch, or what another consumer's position() gave."


def start_time(start: str | float) -> float:
    """A start as a time: minus infinity for ``earliest``, infinity for ``latest``.

    Raises:
        FabricError: it is neither of the words nor a number.
    """
    if start in ("earliest", "latest"):
        return float("-inf") if start == "earliest" else float("inf")
    try:
        moment = float(start)
    except (TypeError, ValueError):
        raise FabricError(f"A consumer cannot start at {start!r}.", hint=_HINT) from None
    if math.isnan(moment):
        raise FabricError("A consumer cannot start at a time that is no number.", hint=_HINT)
    return moment


def start_position(start: Position) -> dict[str, int]:
    """A start that is a position, checked.

    Raises:
        FabricError: it is none.
    """
    try:
        return msgspec.convert(start, dict[str, Annotated[int, msgspec.Meta(ge=0)]])
    except msgspec.ValidationError as error:
        raise FabricError(f"A consumer cannot start at such a position: {error}.", hint=_HINT) from error


class FlushReport(msgspec.Struct, frozen=True):
    """What became of the events of one publisher so far.

    Attributes:
        safe: events that survive the death of this process.
        waiting: events still in memory.
        lost: events that were given up and counted.
        synced: those of the safe ones that are known to survive a loss of power as well; 0 where a backend
            cannot know.
    """

    safe: int
    waiting: int
    lost: int
    synced: int = 0


@runtime_checkable
class Publisher(Protocol):
    """One source's way to speak. Safe to use from several threads."""

    @property
    def source(self) -> str:
        """Who speaks."""
        ...

    def publish(self, event: Event) -> None:
        """Stamp the event (source, boot, seq, time) and hand it over. Returns at once; never raises.

        An event that cannot be kept is counted as lost and gets no number (its ``seq`` is 0); a later
        `EventsLost` says so.
        The event belongs to the publisher afterwards: do not change or publish it again.
        """
        ...

    def forward(self, event: Event) -> None:
        """Pass on an event that another source has stamped, as it is. Returns at once; never raises."""
        ...

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """Wait up to ``timeout`` seconds for the events published so far and say how many are safe."""
        ...

    def close(self, timeout: float = 2.0) -> FlushReport:
        """Flush, then stop. Calling it again does nothing; what is published afterwards may be lost."""
        ...


@runtime_checkable
class PublishesMany(Protocol):
    """A publisher to which several events at once cost less than one by one."""

    def publish_all(self, events: Sequence[Event]) -> None:
        """As `Publisher.publish` of each, in their order."""
        ...


@runtime_checkable
class Consumer(Protocol):
    """One named reader. Not for several threads at once."""

    def poll(self, timeout: float = 0.0, limit: int = 10_000) -> list[Event]:
        """Events not yet polled, waiting up to ``timeout`` seconds for the first; empty if there is none.

        Args:
            timeout: seconds.
            limit: about how many events to return at most; a backend may finish the batch it is in.

        Raises:
            FabricUnavailable: the fabric cannot be read now.
        """
        ...

    def commit(self) -> None:
        """Make all that was polled so far count as read, durably: the same name resumes behind it.

        Raises:
            FabricUnavailable: the position cannot be kept now.
        """
        ...

    def position(self) -> dict[str, int]:
        """Where it stands, behind what was polled: another consumer can start there."""
        ...

    def lag(self) -> int:
        """Events published but not yet polled."""
        ...

    def skipped(self) -> int:
        """Damaged or vanished stretches of the stream that were passed over."""
        ...

    def close(self) -> None:
        """Stop reading. Calling it again does nothing."""
        ...


@runtime_checkable
class LeavesOut(Protocol):
    """A consumer that need not read what one source has published."""

    def leave_out(self, boot: str) -> None:
        """Pass over events of this boot from now on, as far as that saves work: some may still come."""
        ...


@runtime_checkable
class OnlyTakes(Protocol):
    """A fabric that may only take events, as the way to another one where they are read."""

    @property
    def only_takes(self) -> bool:
        """Whether it has no consumers."""
        ...


def only_takes(fabric: object) -> bool:
    """Whether a fabric takes events and gives none."""
    return isinstance(fabric, OnlyTakes) and fabric.only_takes


@runtime_checkable
class Fabric(Protocol):
    """A place where events go, named by a URL."""

    @property
    def url(self) -> str:
        """The URL without secrets, absolute."""
        ...

    @property
    def node_url(self) -> str | None:
        """The URL under which worker processes can publish; None where they cannot reach this fabric."""
        ...

    def publisher(self, source: str, *, buffer: int = 50_000, immediate: bool = False) -> Publisher:
        """A publisher for one source.

        Args:
            source: who speaks.
            buffer: events kept in memory while the backend is slow.
            immediate: write in the caller's thread, for processes that may be killed at any moment. Such a
                publisher still never raises.
        """
        ...

    def consumer(self, name: str, *, start: Start = "earliest") -> Consumer:
        """The named consumer; it resumes after its last commit, else begins at ``start``.

        From a time on, events that were published shortly before it may be among the first.

        Raises:
            FabricError: the name or ``start`` is not one that a consumer can have.
        """
        ...

    def close(self) -> None:
        """Let go of what the fabric holds. Calling it again does nothing."""
        ...
