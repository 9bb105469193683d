"""Another way for events while the hub is away."""

from __future__ import annotations

import logging

from parsl_diaspora.events import decode_many
from parsl_diaspora.fabric.file.frames import HEADER
from parsl_diaspora.fabric.protocols import Publisher
from parsl_diaspora.fabric.registry import open_fabric
from parsl_diaspora.masking import without_secrets

logger = logging.getLogger(__name__)

AWAY_AFTER = 1.0  # seconds without an acknowledgement after which a hub counts as away
HUB_AGAIN = 10.0  # seconds after which a hub that is connected, but was silent, is tried again
_AFTER_FAILURE = 1.0
_PATIENCE = 0.25


class Detour:
    """Brings batches to safety in another fabric that this process can reach. For one thread.

    Args:
        url: of the fabric; it is opened when it is first needed.
        source: who speaks.

    Attributes:
        url: as given, without secrets.
        taken: events that went this way.
        is_on: whether events go this way now.
        hub_again: when a hub that is connected is tried again, monotonic seconds.
    """

    def __init__(self, url: str, source: str) -> None:
        self._named = url
        self._source = source
        self._publisher: Publisher | None = None
        self._said = False
        self.url = without_secrets(url)
        self.taken = 0
        self.is_on = False
        self.hub_again = 0.0
        self._not_before = float("-inf")
        self._is_told = False

    def enter(self, now: float) -> None:
        """Events go this way from now on."""
        self.is_on, self.hub_again = True, now + HUB_AGAIN

    def due(self, waiting_since: float) -> float:
        """When something that waits since then is to go this way."""
        return self._not_before if self.is_on else waiting_since + AWAY_AFTER

    def is_news(self) -> bool:
        """Whether events have gone this way, and nobody was told yet."""
        was_told, self._is_told = self._is_told, self.taken > 0
        return self._is_told and not was_told

    def take(self, frame: bytes, now: float) -> bool:
        """Bring the events of a frame to safety; whether all of them are. Not at once after a failure."""
        if now < self._not_before:
            return False
        try:
            taken = self._forward(frame)
        except Exception as error:  # noqa: BLE001 - it is the way out: whatever is wrong, the events wait on
            self._say(error)
            taken = 0
        if not taken:
            self._not_before = now + _AFTER_FAILURE
            self._publisher = None  # what it counts as lost is not lost: it is still here
        self.taken += taken
        return taken > 0

    def close(self) -> None:
        """Let go of the fabric."""
        if self._publisher is not None:
            self._publisher.close(_PATIENCE)

    def _forward(self, frame: bytes) -> int:
        """How many went; 0 if any did not."""
        events = decode_many(frame[HEADER.size :])
        if self._publisher is None:
            self._publisher = open_fabric(self._named).publisher(self._source, immediate=True)
        before = self._publisher.flush(0.0).lost
        for event in events:
            self._publisher.forward(event)
        report = self._publisher.flush(_PATIENCE)
        return 0 if report.waiting or report.lost > before else len(events)

    def _say(self, error: Exception) -> None:
        if not self._said:
            self._said = True
            logger.warning("Events cannot go to %s either (%s); they wait in memory.", self.url, error)
