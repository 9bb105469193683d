# ruff: noqa: D102, S101, PLR2004 - a published test suite: names of tests are facts, numbers expected ones
"""The backend fails and comes back."""

from __future__ import annotations

import time

from parsl_diaspora.events import (
    EventsLost,
    TaskSubmitted,
)
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.testing.fabric_contract.base import ContractBase, counts


class Outages(ContractBase):
    """Nothing raises, waits, or is lost without a word."""

    def test_publish_neither_raises_nor_waits_while_the_backend_is_down(
        self, fabric: Fabric, immediate: bool
    ) -> None:
        self.need(self.can_break, "cannot be broken by a test")
        publisher = self.speaker(fabric, immediate=immediate)
        with self.outage(fabric):
            started = time.monotonic()
            for number in range(100):
                publisher.publish(TaskSubmitted(task=number))
            assert time.monotonic() - started < 1.0

    def test_flush_does_not_call_safe_what_the_backend_has_not_taken(self, fabric: Fabric) -> None:
        self.need(self.can_break, "cannot be broken by a test")
        publisher = self.speaker(fabric)
        with self.outage(fabric):
            for number in range(10):
                publisher.publish(TaskSubmitted(task=number))
            started = time.monotonic()
            report = publisher.flush(0.2)
            assert time.monotonic() - started < 0.2 + self.slack
            assert (report.safe, report.waiting) == (0, 10)

    def test_events_wait_for_the_backend_and_arrive_in_order(self, fabric: Fabric) -> None:
        self.need(self.can_break, "cannot be broken by a test")
        publisher = self.speaker(fabric)
        self.say(publisher, range(3))
        with self.outage(fabric):
            for number in range(3, 50):
                publisher.publish(TaskSubmitted(task=number))
            publisher.flush(0.1)
        report = publisher.flush(self.patience)
        assert (report.safe, report.waiting, report.lost) == (50, 0, 0)
        assert [event.task for event in self.read_all(fabric, 50)] == list(range(50))

    def test_losses_beyond_the_buffer_are_counted_and_said(self, fabric: Fabric) -> None:
        self.need(self.can_break, "cannot be broken by a test")
        publisher = self.speaker(fabric, buffer=20)
        said = [TaskSubmitted(run="r", task=number) for number in range(100)]
        with self.outage(fabric):
            for event in said:
                publisher.publish(event)
            assert counts(publisher) == (0, 20, 80)
        assert [event.seq for event in said] == [*range(1, 21), *[0] * 80]
        assert len({(event.source, event.boot) for event in said}) == 1
        publisher.flush(self.patience)
        assert publisher.close(self.patience).waiting == 0
        events = self.read_all(fabric, 21)
        assert [event.task for event in events[:20]] == list(range(20))
        assert [(event.run, event.count) for event in events if isinstance(event, EventsLost)] == [("r", 80)]
        assert [event.seq for event in events] == list(range(1, 22))

    def test_immediate_losses_are_counted_and_said_when_the_backend_is_back(self, fabric: Fabric) -> None:
        self.need(self.can_break, "cannot be broken by a test")
        publisher = self.speaker(fabric, immediate=True)
        publisher.publish(TaskSubmitted(run="r", task=0))
        with self.outage(fabric):
            for number in range(1, 6):
                publisher.publish(TaskSubmitted(run="r", task=number))
            report = publisher.flush(0.1)
            assert (report.safe, report.waiting + report.lost) == (1, 5)
        publisher.publish(TaskSubmitted(run="r", task=6))
        report = publisher.flush(self.patience)
        events = self.read_all(fabric, report.safe)
        said = sum(event.count for event in events if isinstance(event, EventsLost))
        kept = sum(isinstance(event, TaskSubmitted) for event in events)
        assert (kept + said, said) == (7, report.lost)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))

    def test_close_gives_up_in_time_while_the_backend_is_down(self, fabric: Fabric) -> None:
        self.need(self.can_break, "cannot be broken by a test")
        publisher = self.speaker(fabric)
        with self.outage(fabric):
            publisher.publish(TaskSubmitted())
            started = time.monotonic()
            report = publisher.close(0.2)
            assert time.monotonic() - started < 0.2 + self.slack
            assert (report.safe, report.waiting + report.lost) == (0, 1)
            assert publisher.flush(30.0).lost == report.lost
            assert publisher.close(self.slack) == report
            assert time.monotonic() - started < 0.2 + 2 * self.slack

    # --- the backend is slow ---

    def test_publish_stays_at_microseconds_while_each_write_takes_long(self, fabric: Fabric) -> None:
        self.need(self.can_slow, "cannot be slowed by a test")
        publisher = self.speaker(fabric)
        self.say(publisher, range(1))
        took: list[float] = []
        with self.slowness(fabric):
            for number in range(1, 2000):
                started = time.perf_counter()
                publisher.publish(TaskSubmitted(task=number))
                took.append(time.perf_counter() - started)
            assert sorted(took)[1000] < 0.0005
            assert sum(took) < 1.0
            assert publisher.flush(2 * self.patience).safe == 2000
        assert [event.task for event in self.read_all(fabric, 2000)] == list(range(2000))

    def test_flush_of_a_slow_backend_keeps_to_its_timeout_and_counts_what_is_not_safe(
        self, fabric: Fabric
    ) -> None:
        self.need(self.can_slow, "cannot be slowed by a test")
        publisher = self.speaker(fabric)
        self.say(publisher, range(1))
        with self.slowness(fabric):
            publisher.publish(TaskSubmitted(task=1))
            started = time.monotonic()
            report = publisher.flush(0.02)
            assert time.monotonic() - started < 0.02 + self.slack
            assert (report.safe + report.waiting, report.lost) == (2, 0)
        assert publisher.flush(self.patience).safe == 2
