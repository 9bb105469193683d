"""Where it is told what triggers have done: each dead letter to its place, and none lost unsaid."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Protocol

from parsl_diaspora.events import Event, TriggerFailed
from parsl_diaspora.fabric.protocols import Fabric, FlushReport
from parsl_diaspora.fabric.registry import open_fabric
from parsl_diaspora.fabric.stamp import default_source
from parsl_diaspora.trigger_settings import Trigger

logger = logging.getLogger(__name__)


class Voice(Protocol):
    """What speaks: a publisher, or a running program's own way."""

    def publish(self, event: Event) -> None:
        """Say an event. Returns at once; never raises."""
        ...

    def flush(self, timeout: float = 5.0) -> FlushReport:
        """Wait for what was said to be safe."""
        ...


class Letters:
    """Says what triggers have done.

    Args:
        voice: speaks to the fabric that the events come from.
        triggers: as declared; some have a place for dead letters of their own.

    Raises:
        FabricError: such a place cannot be opened.
    """

    def __init__(self, voice: Voice, triggers: Iterable[Trigger]) -> None:
        urls = {trigger.name: trigger.dead_letter for trigger in triggers if trigger.dead_letter}
        self._fabrics: dict[str, Fabric] = {url: open_fabric(url) for url in sorted({*urls.values()})}
        source = default_source("triggers")
        opened = {url: fabric.publisher(source) for url, fabric in self._fabrics.items()}
        self._places: Mapping[str, Voice] = {name: opened[url] for name, url in urls.items()}
        self._closing = list(opened.values())
        self._voices: list[Voice] = [voice, *opened.values()]
        self._lost = [0] * len(self._voices)

    def say(self, events: Iterable[Event]) -> None:
        """Say what has happened."""
        for event in events:
            voice = self._voices[0]
            if isinstance(event, TriggerFailed):
                voice = self._places.get(event.trigger, voice)
                logger.warning(
                    "parsl_diaspora: the trigger %s gave up %s for the event %s: %s",
                    event.trigger,
                    event.action,
                    ", ".join(event.cause),
                    event.why,
                )
            voice.publish(event)

    def are_safe(self, timeout: float) -> bool:
        """Whether all that was said is safe, waiting up to ``timeout`` seconds a place."""
        reports = [voice.flush(timeout) for voice in self._voices]
        lost = [report.lost for report in reports]
        if lost != self._lost:
            logger.warning(
                "parsl_diaspora: what triggers have to say was lost in part: %s events.", max(lost)
            )
            self._lost = lost
        return not any(report.waiting for report in reports)

    def close(self) -> None:
        """Stop speaking to the places for dead letters."""
        for publisher in self._closing:
            publisher.close()
        for fabric in self._fabrics.values():
            fabric.close()
