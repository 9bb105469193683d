"""Quarantine in a running program: said, kept for its time, and ended by the first try after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsl_diaspora.events import Event, PlaceQuarantined, PlaceReleased, TryFailed
from parsl_diaspora.executors.launch import Report
from parsl_diaspora.recovery import Quarantine
from parsl_diaspora.state import Live
from parsl_diaspora.state.quarantined import EXECUTOR, MANAGER, NODE, Key, key_of

if TYPE_CHECKING:
    from parsl_diaspora.monitoring.session import Session


class Quarantines:
    """What becomes of places where tries fail.

    Args:
        session: of the run.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._quarantine = Quarantine(session.settings)

    def place(self, level: str, name: str, seconds: float, reason: str) -> bool:
        """Give a place no new work for a while, unless it rests already or is the last of its kind.

        Args:
            level: ``manager``, ``node`` or ``executor``.
            name: manager id, host name, or label.
            seconds: how long.
            reason: in words.

        Returns:
            Whether it rests from now on.
        """
        if (live := self._session.live) is None:
            return False
        event = self._quarantine.place(live.picture, level, name, seconds, reason)
        if event is None:
            return False
        self._begin(live, event)
        return True

    def failed(self, live: Live, failed: TryFailed, kind: str) -> None:
        """A try has failed, and it was decided what to do."""
        places, picture = _places(failed.manager, failed.node, failed.executor), live.picture
        events = [] if self._quarantine.is_idle else self._quarantine.failed(picture, places, kind)
        if not events:
            found = self._quarantine.consider(picture, failed.manager, self._session.clock.time())
            events = [found] if found is not None else []
        for event in events:
            event.cause = (failed.id,)
            self._begin(live, event)

    def succeeded(self, live: Live, executor: str, report: Report | None) -> None:
        """A try has succeeded."""
        if self._quarantine.is_idle:
            return
        manager, node = (report.manager, report.node) if report is not None else ("", "")
        for event in self._quarantine.succeeded(_places(manager, node, executor)):
            live.say(event)

    def hear(self, event: Event) -> None:
        """Somebody has released a place before its time."""
        if isinstance(event, PlaceReleased) and event.owner:
            self._quarantine.forget(event)

    def _begin(self, live: Live, event: PlaceQuarantined) -> None:
        key = key_of(event) or ("", "")
        live.say(event)
        self._session.clock.call_later(event.seconds, lambda: self._end(live, key))

    def _end(self, live: Live, key: Key) -> None:
        if (event := self._quarantine.release(*key)) is not None:
            live.say(event)


def _places(manager: str | None, node: str | None, executor: str | None) -> tuple[Key, ...]:
    return (MANAGER, manager or ""), (NODE, node or ""), (EXECUTOR, executor or "")
