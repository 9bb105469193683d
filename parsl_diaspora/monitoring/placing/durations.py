"""How long the tries of each app take, so that none begins where time is up before its end."""

from __future__ import annotations

from parsl_diaspora.scaling.forecast import LONG, Quantiles

ENOUGH = 3  # tries that tell something


class Durations:
    """The newest durations of successful tries, by app.

    Example:
        >>> durations = Durations()
        >>> for seconds in (10.0, 12.0, 11.0):
        ...     durations.learn("fit", seconds)
        >>> durations.most("fit"), durations.most("plot")
        (12.0, 0.0)
    """

    def __init__(self) -> None:
        self._known: dict[str, Quantiles] = {}

    def learn(self, func: str, seconds: float) -> None:
        """A try has succeeded."""
        known = self._known.get(func)
        if known is None:
            known = self._known.setdefault(func, Quantiles())
        known.add(seconds)

    def most(self, func: str) -> float:
        """Seconds within which nine of ten tries have ended; 0 if too few have."""
        known = self._known.get(func)
        return known.at(LONG) if known is not None and len(known) >= ENOUGH else 0.0
