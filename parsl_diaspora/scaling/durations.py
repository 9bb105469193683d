"""How long the tries of each app take."""

from __future__ import annotations

import threading
from collections import OrderedDict

from parsl_diaspora.scaling.quantiles import LONG, TYPICAL, Quantiles

FUNCTIONS = 2_000  # of which durations are kept, the newest
ENOUGH = 3  # tries that tell something


class Durations:
    """The newest durations of successful tries, by app. Several threads may tell and ask at once.

    Example:
        >>> durations = Durations()
        >>> for seconds in range(1, 11):
        ...     durations.learn("f", float(seconds))
        >>> durations.quantile("f", 0.9, least=10), durations.quantile("f", 0.9, least=11)
        (9.0, None)
        >>> durations.usual("f"), durations.most("f"), durations.most("g")
        (5.0, 9.0, 0.0)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()  # never held while anything waits
        self._known: OrderedDict[str, Quantiles] = OrderedDict()

    def learn(self, key: str, seconds: float) -> None:
        """A try has succeeded."""
        with self._lock:
            if (known := self._known.get(key)) is None:
                known = self._known[key] = Quantiles()
                if len(self._known) > FUNCTIONS:
                    self._known.popitem(last=False)
            known.add(seconds)

    def quantile(self, key: str, part: float, *, least: int) -> float | None:
        """Seconds within which this part of an app's tries have ended; None while too few have."""
        with self._lock:
            known = self._known.get(key)
            return known.at(part) if known is not None and len(known) >= max(1, least) else None

    def usual(self, key: str) -> float:
        """Seconds that half of an app's tries take at most; 0 if none has ended."""
        return self.quantile(key, TYPICAL, least=1) or 0.0

    def most(self, key: str) -> float:
        """Seconds within which nine of ten tries have ended; 0 if too few have."""
        return self.quantile(key, LONG, least=ENOUGH) or 0.0
