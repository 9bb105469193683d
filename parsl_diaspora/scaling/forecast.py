"""What is to be expected, from what was seen: how long blocks wait, and how soon they work."""

from __future__ import annotations

from collections.abc import Iterable

from parsl_diaspora.scaling.quantiles import LONG, TYPICAL, Quantiles
from parsl_diaspora.scaling.supply import Block

UNUSUAL, AT_LEAST = 3.0, 60.0  # so many times the longest usual wait, and seconds more, are unusual
UNUSUAL_AT_FIRST = 900.0  # seconds, while no wait is known


class Forecast:
    """What is known of the sites' ways.

    Attributes:
        waits: seconds from a request to the block's start, by site.
        starts: seconds from a block's start to its first manager, by site.

    Example:
        >>> forecast = Forecast()
        >>> forecast.started("cpu", waited=30.0)
        >>> forecast.connected("cpu", took=5.0)
        >>> forecast.ready("cpu"), forecast.ready("gpu")
        (35.0, None)
    """

    def __init__(self) -> None:
        self.waits: dict[str, Quantiles] = {}
        self.starts: dict[str, Quantiles] = {}
        self._seen_running: set[tuple[str, str]] = set()
        self._seen_connected: set[tuple[str, str]] = set()

    def look(self, blocks: Iterable[Block]) -> None:
        """Learn from blocks that have come to run, or to work, since the last look."""
        for block in blocks:
            if block.running and block.key not in self._seen_running:
                self._seen_running.add(block.key)
                self.started(block.site, max(0.0, block.running - block.asked))
            if block.connected and block.key not in self._seen_connected:
                self._seen_connected.add(block.key)
                self.connected(block.site, max(0.0, block.connected - block.running))

    def started(self, site: str, waited: float) -> None:
        """A block of a site has waited so many seconds."""
        self.waits.setdefault(site, Quantiles()).add(waited)

    def connected(self, site: str, took: float) -> None:
        """A block of a site has taken so many seconds from its start to its first manager."""
        self.starts.setdefault(site, Quantiles()).add(took)

    def wait(self, site: str, part: float = TYPICAL) -> float | None:
        """Seconds that a new request waits in the queue; None if none has been seen to end its wait."""
        return self.waits[site].at(part) if site in self.waits else None

    def start(self, site: str, part: float = TYPICAL) -> float:
        """Seconds from a block's start until it works."""
        return self.starts[site].at(part) if site in self.starts else 0.0

    def ready(self, site: str, part: float = TYPICAL) -> float | None:
        """Seconds from a request until the block works."""
        wait = self.wait(site, part)
        return None if wait is None else wait + self.start(site, part)

    def is_overdue(self, block: Block, now: float) -> bool:
        """Whether a block has waited so much longer in the queue than others that nobody may count on it."""
        if block.running:
            return False
        usual = self.wait(block.site, LONG)
        patience = UNUSUAL_AT_FIRST if usual is None else UNUSUAL * usual + AT_LEAST
        return now - block.asked > patience

    def left(self, block: Block, now: float) -> float | None:
        """Seconds until a block that does not work yet does; None if nobody knows.

        One that has waited for longer than most is expected to wait for as long again.
        """
        if block.running:
            return max(0.0, self.start(block.site) - (now - block.running))
        age = now - block.asked
        ready = self.ready(block.site)
        if ready is None:
            return age or None
        return ready - age if age < ready else age
