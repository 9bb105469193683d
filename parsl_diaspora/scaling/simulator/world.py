"""The simulated world's time, and what happens when."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable

from parsl_diaspora.events import Event
from parsl_diaspora.state import Picture

RUN = "simulated"
EPOCH = 1_767_225_600.0  # the first of January 2026


class World:
    """Things happen in the order of their times, and of their planning where these are the same.

    Args:
        seed: of all chance in it.

    Attributes:
        now: seconds UTC.
        rng: all chance.
        picture: folded from all that was said.

    Example:
        >>> world, seen = World(1), []
        >>> world.after(5.0, lambda: seen.append("later"))
        >>> world.after(1.0, lambda: seen.append("first"))
        >>> world.go_on(10.0)
        >>> seen, world.now - EPOCH
        (['first', 'later'], 10.0)
    """

    def __init__(self, seed: int) -> None:
        self.now = EPOCH
        self.rng = random.Random(seed)
        self.picture = Picture(RUN, keep=1_000)
        self._listeners: list[Callable[[Event], None]] = []
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    @property
    def since_start(self) -> float:
        """Seconds that have passed in it."""
        return self.now - EPOCH

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Let something happen later."""
        heapq.heappush(self._planned, (self.now + max(0.0, seconds), next(self._numbers), what))

    def every(self, seconds: float, what: Callable[[], None]) -> None:
        """Let something happen again and again, now for the first time."""

        def once() -> None:
            what()
            self.after(seconds, once)

        self.after(0.0, once)

    def go_on(self, seconds: float) -> None:
        """Let all happen that does within the next seconds."""
        end = self.now + seconds
        while self._planned and self._planned[0][0] <= end:
            self.now, _, what = heapq.heappop(self._planned)
            what()
        self.now = end

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Call ``listener`` with each event."""
        self._listeners.append(listener)

    def say(self, event: Event) -> None:
        """An event of the run."""
        event.run, event.time = RUN, self.now
        self.picture.fold(event)
        for listener in self._listeners:
            listener(event)
