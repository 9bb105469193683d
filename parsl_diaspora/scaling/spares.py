"""How many nodes more than asked for: so many that what is lost is there again before it is missed.

Losses come by chance, at a rate that is seen, and each takes a while to heal. So the number of nodes that
are missing at any time is close to a Poisson variable, whose mean is their product (M/G/infinity queue), and
with as many spare nodes as its quantile what was asked for is held for that part of the time.
"""

from __future__ import annotations

import math
from collections import deque

WINDOW = 3600.0  # seconds over which losses are counted
SHORTEST = 600.0  # seconds that they are counted over at least: one early loss is no rate of its own
PRIOR = 1  # losses that are counted before any was seen
MOST = 64


class Losses:
    """The newest losses of nodes, by site.

    Example:
        >>> losses = Losses(began=1.0)
        >>> losses.note("cpu", 100.0)
        >>> losses.rate(["cpu"], 3601.0) == 2 / 3600
        True
    """

    def __init__(self, began: float) -> None:
        self._began = began  # 0 as long as nothing was heard
        self._lost: dict[str, deque[float]] = {}

    def note(self, site: str, at: float) -> None:
        """A node was lost, seconds UTC."""
        self._lost.setdefault(site, deque(maxlen=10_000)).append(at)

    def rate(self, sites: list[str] | tuple[str, ...], now: float) -> float:
        """Nodes lost a second, at these sites together."""
        since = now - WINDOW
        count = 0
        for site in sites:
            lost = self._lost.get(site, deque())
            while lost and lost[0] < since:
                lost.popleft()
            count += len(lost)
        self._began = self._began or now
        return (count + PRIOR) / max(SHORTEST, min(WINDOW, now - self._began))


def spares(rate: float, heals_in: float, availability: float) -> int:
    """Nodes beyond what is asked for, so that it is held for that part of the time.

    Args:
        rate: nodes lost a second.
        heals_in: seconds until a lost node is replaced.
        availability: part of the time, 0 to below 1.

    Example:
        >>> spares(1 / 120, 30.0, 0.99), spares(0.0, 30.0, 0.99), spares(1 / 120, 30.0, 0.0)
        (2, 0, 0)
    """
    mean = rate * heals_in
    if mean <= 0 or availability <= 0:
        return 0
    term = total = math.exp(-mean)
    count = 0
    while total < availability and count < MOST:
        count += 1
        term *= mean / count
        total += term
    return count
