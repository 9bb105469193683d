"""Runs as a log tells them afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from parsl_diaspora.errors import NotFound
from parsl_diaspora.events import Event
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.state.dedupe import Dedupe
from parsl_diaspora.state.picture import Picture


class History:
    """All runs of one log.

    Attributes:
        runs: pictures by run id, oldest first.
        dedupe: how many events came twice, or are missing.
        skipped: damaged stretches of the log.
    """

    def __init__(self) -> None:
        self.runs: dict[str, Picture] = {}
        self.dedupe = Dedupe()
        self.skipped = 0

    def add(self, event: Event) -> None:
        """Fold one event into its run."""
        if event.run:
            self.runs.setdefault(event.run, Picture(event.run)).fold(event)

    def find(self, run: str) -> Picture:
        """The run with that id, the only one whose id begins so, or the newest for ``last``.

        Raises:
            NotFound: there is none, or more than one.
        """
        if run == "last" and self.runs:
            return max(self.runs.values(), key=lambda picture: picture.first_time)
        if run in self.runs:
            return self.runs[run]
        matches = [picture for name, picture in self.runs.items() if name.startswith(run)]
        if len(matches) == 1:
            return matches[0]
        known = ", ".join(name[:8] for name in self.runs) or "none"
        what = "more than one run begins with" if matches else "no run is called"
        raise NotFound(f"In this log {what} {run!r}.", what=run, hint=f"The log has: {known}.")


def read_events(fabric: Fabric, name: str = "history") -> Iterator[Event]:
    """All events of a fabric, each once, in order per source. Nothing is committed."""
    consumer = fabric.consumer(name, start="earliest")
    dedupe = Dedupe()
    while events := consumer.poll():
        yield from (event for event in events if dedupe.is_new(event))
    consumer.close()


def read_history(fabric: Fabric) -> History:
    """Fold a whole log."""
    history = History()
    consumer = fabric.consumer("history", start="earliest")
    events: list[Event] = []
    while batch := consumer.poll():
        events.extend(event for event in batch if history.dedupe.is_new(event))
    history.skipped = consumer.skipped()
    consumer.close()
    events.sort(key=lambda event: event.time)  # stable: order per source is kept
    for event in events:
        history.add(event)
    history.runs = dict(sorted(history.runs.items(), key=lambda item: item[1].first_time))
    return history
