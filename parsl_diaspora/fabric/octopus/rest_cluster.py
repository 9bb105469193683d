"""Topics and their offsets by HTTPS alone."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from parsl_diaspora.errors import EventError, FabricUnavailable
from parsl_diaspora.events.cloudevents import decode_cloudevent
from parsl_diaspora.fabric.kafka.clients import TopicSeen, When
from parsl_diaspora.fabric.kafka.layout import Part
from parsl_diaspora.fabric.kafka.url import KafkaUrl
from parsl_diaspora.fabric.octopus.access import Access
from parsl_diaspora.fabric.octopus.rest_reader import FETCH_BYTES, open_instance, part_names
from parsl_diaspora.fabric.octopus.rest_worker import Worker
from parsl_diaspora.fabric.octopus.service import Service, await_topics

_FETCH = 1000  # milliseconds
_SCAN = 120.0  # seconds of a search for a time
_END = 0.5


class RestCluster:
    """What the web service tells of topics.

    It tells no offsets, but commits where an instance stands: so one goes to the first or behind the last
    record, commits in a group of its own, and is asked for what it has committed.

    Args:
        access: with a login.
        service: of the same.
        url: as Kafka's client understands it.
    """

    def __init__(self, access: Access, service: Service, url: KafkaUrl) -> None:
        self._access = access
        self._service = service
        self._url = url
        self._group = f"{url.prefix}.offsets-{uuid.uuid4().hex[:8]}"
        self._worker = Worker("diaspora-octopus-look")

    def ensure(self, topics: Sequence[str], timeout: float) -> None:
        """Make those topics that are missing, and wait until they are listed."""
        del timeout
        there = self._listed()
        if missing := [topic for topic in topics if topic not in there]:
            self._access.make_topics(missing)
            await_topics(self._listed, topics, self._url.shown)

    def look(self, topics: Sequence[str]) -> Callable[[], dict[str, TopicSeen] | None]:
        """Ask for the topics that are there."""
        asked = self._worker.ask(lambda: self.topics(topics, 0.0))

        def answer() -> dict[str, TopicSeen] | None:
            return asked.result() if asked.done() else None

        return answer

    def topics(self, topics: Sequence[str], timeout: float) -> dict[str, TopicSeen]:
        """Those of the topics that are there; whether one was made anew is not told."""
        del timeout
        listed = self._listed()
        return {topic: TopicSeen(topic, 1) for topic in topics if topic in listed}

    def offsets(self, parts: Iterable[Part], when: When | float, timeout: float) -> dict[Part, int]:
        """The first offset, the next one, or the first from a time on, which may take long to find."""
        del timeout
        wanted = list(parts)
        if not wanted:
            return {}
        with self._instance(wanted) as one:
            if when == "first":
                return self._where(one.seek_to_beginning, one, wanted)
            ends = self._where(one.seek_to_end, one, wanted)
        if when == "next":
            return ends
        return {part: self._from_time(part, float(when), ends[part]) for part in wanted}

    def close(self) -> None:
        """End the thread."""
        self._worker.close(_END)

    def _listed(self) -> set[str]:
        return {self._access.full(name) for name in self._service.topics()}

    @contextmanager
    def _instance(self, parts: list[Part]) -> Iterator[Any]:
        one = open_instance(self._access, self._service, self._group)
        try:
            names = part_names(self._access, parts)
            self._service.ask(lambda: one.assign(names))
            yield one
        finally:
            with suppress(FabricUnavailable):
                self._service.ask(one.close)

    def _where(self, seek: Callable[[list[Part]], None], one: Any, parts: list[Part]) -> dict[Part, int]:
        names = part_names(self._access, parts)
        self._service.ask(lambda: seek(names))
        self._service.ask(one.commit)
        kept = self._service.ask(lambda: one.committed(names))
        return {(self._access.full(topic), number): at for (topic, number), at in kept.items()}

    def _from_time(self, part: Part, moment: float, end: int) -> int:
        """Offset of the first event from a time on; the service cannot search, so all before it is read."""
        deadline, at = time.monotonic() + _SCAN, 0
        with self._instance([part]) as one:
            self._service.ask(lambda: one.seek_to_beginning(part_names(self._access, [part])))
            while at < end:
                records = self._service.ask(lambda: one.fetch(timeout_ms=_FETCH, max_bytes=FETCH_BYTES))
                for record in records:
                    if _time_of(record["value"]) >= moment:
                        return int(record["offset"])
                    at = record["offset"] + 1
                if time.monotonic() > deadline:
                    message = f"{part[0]} has too many events to search them for a time over HTTPS."
                    raise FabricUnavailable(message, url=self._url.shown, hint="Start at 'earliest'.")
        return end


def _time_of(value: bytes | None) -> float:
    try:
        return decode_cloudevent(value or b"")[0].time
    except EventError:
        return float("-inf")
