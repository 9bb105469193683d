"""Parts of a queue that are free for a while, as the scheduler tells: a block that fits starts at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from parsl.providers import SlurmProvider

from parsl_diaspora.clock import Clock
from parsl_diaspora.errors import PoolError
from parsl_diaspora.providers.queues import Call, call_command

OLD = 60.0  # seconds after which a scheduler is asked again
FOREVER = float("inf")


class FreeNodes(NamedTuple):
    """Nodes that are free.

    Attributes:
        nodes: how many.
        seconds: for how long, as the scheduler plans; infinite if nobody waits for them.
    """

    nodes: int
    seconds: float


class Holes:
    """What is free at each provider. A scheduler is asked once a minute, and waited for.

    Args:
        clock: time.
        call: runs a command.
    """

    def __init__(self, clock: Clock, call: Call | None = None) -> None:
        self._clock = clock
        self._call = call or call_command
        self._known: dict[int, tuple[float, FreeNodes | None]] = {}

    def of(self, provider: Any) -> FreeNodes | None:
        """What is free in a provider's queue; None if it does not tell."""
        if not isinstance(provider, SlurmProvider):
            return None
        asked, found = self._known.get(id(provider), (-FOREVER, None))
        if self._clock.monotonic() - asked >= OLD:
            found = self._ask(provider)
            self._known[id(provider)] = self._clock.monotonic(), found
        return found

    def _ask(self, provider: SlurmProvider) -> FreeNodes | None:
        where = [f"--partition={provider.partition}"] if provider.partition else []
        idle = self._lines(("sinfo", "--noheader", *where, "--states=idle", "--format=%D"))
        starts = self._lines(("squeue", "--noheader", *where, "--states=PENDING", "--format=%S"))
        if idle is None or starts is None:
            return None
        nodes = sum(int(line) for line in idle if line.isdigit())
        seconds = _until_first(starts, self._clock.time())
        return None if seconds is None or not nodes else FreeNodes(nodes, seconds)

    def _lines(self, command: Sequence[str]) -> list[str] | None:
        try:
            answer = self._call(command)
        except PoolError:
            return None  # whoever submits hears why
        return None if answer.status else [line.strip() for line in answer.out.splitlines() if line.strip()]


def _until_first(starts: list[str], now: float) -> float | None:
    """Seconds until the first job that waits is planned to start; None if that is not known of all.

    Example:
        >>> _until_first([], 0.0), _until_first(["N/A"], 0.0)
        (inf, None)
    """
    try:
        planned = [
            datetime.fromisoformat(start).timestamp() for start in starts
        ]  # local time, as squeue writes it
    except ValueError:
        return None
    return max(0.0, min(planned) - now) if planned else FOREVER
