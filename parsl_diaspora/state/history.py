"""Runs as a log tells them afterwards."""

from __future__ import annotations

from collections.abc import Iterator

from parsl_diaspora.errors import NotFound
from parsl_diaspora.events import Event
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.state.dedupe import Dedupe
from parsl_diaspora.state.picture import Picture
from parsl_diaspora.state.reading import Reading


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


def read_events(fabric: Fabric) -> Iterator[Event]:
    """All events of a fabric, each once, in order per source. Nothing is committed."""
    return iter(Reading(fabric))


def read_history(fabric: Fabric) -> History:
    """Fold a whole log, event by event: a picture comes out the same in whatever order sources are read."""
    history, reading = History(), Reading(fabric)
    for event in reading:
        history.add(event)
    history.dedupe, history.skipped = reading.dedupe, reading.skipped
    history.runs = dict(sorted(history.runs.items(), key=lambda item: item[1].first_time))
    return history
