# ruff: noqa: D102, S101, PLR2004 - a published test suite: names of tests are facts, numbers expected ones
"""What a reader gets, when, and what it is told of the rest."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from parsl_diaspora.events import (
    TaskSubmitted,
)
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.testing.fabric_contract.base import ContractBase


class Polling(ContractBase):
    """Waiting, limits, lag."""

    def test_empty_fabric_has_nothing_to_read(self, fabric: Fabric) -> None:
        consumer = fabric.consumer("reader")
        assert consumer.poll(0.0) == []
        assert (consumer.lag(), consumer.skipped()) == (0, 0)

    @pytest.mark.parametrize("timeout", [0.0, 0.3])
    def test_poll_returns_empty_after_its_timeout_and_not_much_later(
        self, fabric: Fabric, timeout: float
    ) -> None:
        consumer = fabric.consumer("reader")
        consumer.poll(0.0)
        started = time.monotonic()
        assert consumer.poll(timeout) == []
        assert timeout * 0.9 <= time.monotonic() - started < timeout + self.slack

    def test_poll_wakes_for_an_event_that_is_published_meanwhile(self, fabric: Fabric) -> None:
        publisher = self.speaker(fabric)
        consumer = fabric.consumer("reader")
        consumer.poll(0.0)
        later = threading.Timer(0.1, publisher.publish, (TaskSubmitted(task=7),))
        later.start()
        started = time.monotonic()
        events = consumer.poll(30.0 + self.patience)
        later.join()
        assert [event.task for event in events] == [7]
        assert time.monotonic() - started < 0.1 + self.patience

    def test_small_limits_miss_nothing(self, fabric: Fabric) -> None:
        self.say(self.speaker(fabric), range(20))
        self.say(self.speaker(fabric, immediate=True), range(20, 40))
        events = self.read(fabric.consumer("reader"), 40, limit=1)
        assert sorted(event.task or 0 for event in events) == list(range(40))

    def test_limit_bounds_what_one_poll_returns_up_to_a_batch(self, fabric: Fabric) -> None:
        publisher = self.speaker(fabric)
        for begin in range(0, 2000, 100):
            self.say(publisher, range(begin, begin + 100))
        consumer = fabric.consumer("reader")
        assert len(self.read(consumer, 1, limit=100)) <= 1000

    def test_reader_meets_everything_while_writers_write(self, fabric: Fabric) -> None:
        publishers = [self.speaker(fabric, f"writer-{number}") for number in range(3)]
        consumer = fabric.consumer("reader")
        with ThreadPoolExecutor(3) as writers:
            for publisher in publishers:
                writers.submit(self.say, publisher, range(400))
            events = self.read(consumer, 1200, limit=50)
        for publisher in publishers:
            assert [event.task for event in events if event.source == publisher.source] == list(range(400))

    def test_lag_counts_events_that_were_not_polled(self, fabric: Fabric) -> None:
        publisher = self.speaker(fabric)
        consumer = fabric.consumer("reader")
        self.say(publisher, range(5))
        assert self.becomes(consumer.lag, 5)
        self.read(consumer, 5)
        assert consumer.lag() == 0
        self.say(publisher, range(5, 7))
        assert self.becomes(consumer.lag, 2)

    def test_healthy_stream_has_nothing_skipped(self, fabric: Fabric) -> None:
        self.say(self.speaker(fabric), range(10))
        consumer = fabric.consumer("reader")
        self.read(consumer, 10)
        assert consumer.skipped() == 0
