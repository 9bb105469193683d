# ruff: noqa: D102, S101, PLR2004 - a published test suite: names of tests are facts, numbers expected ones
"""What `publish` and `forward` do with an event, and what they put on it."""

from __future__ import annotations

import time

from parsl_diaspora.events import (
    EventsLost,
    TaskEnded,
    TaskSubmitted,
    Unknown,
)
from parsl_diaspora.fabric import Consumer, Fabric, Publisher
from parsl_diaspora.testing.fabric_contract.base import ContractBase, in_threads, speak


class Publishing(ContractBase):
    """Stamps, order, refusals."""

    def test_fabric_publisher_and_consumer_have_all_methods_of_their_protocols(self, fabric: Fabric) -> None:
        assert isinstance(fabric, Fabric)
        assert isinstance(self.speaker(fabric), Publisher)
        assert isinstance(fabric.consumer("shape"), Consumer)

    def test_publisher_knows_its_source(self, fabric: Fabric) -> None:
        assert self.speaker(fabric, "submit:host:1").source == "submit:host:1"

    def test_url_names_the_same_scheme(self, fabric: Fabric, fabric_url: str) -> None:
        assert fabric.url.partition(":")[0] == fabric_url.partition(":")[0]

    def test_published_event_carries_source_boot_number_and_times(
        self, fabric: Fabric, immediate: bool
    ) -> None:
        before = time.time()
        publisher = self.speaker(fabric, "submit:host:1", immediate=immediate)
        self.say(publisher, range(1))
        (event,) = self.read_all(fabric, 1)
        assert (event.source, event.seq) == ("submit:host:1", 1)
        assert len(event.boot) >= 8
        assert before <= event.time <= time.time()
        assert event.mono > 0

    def test_time_that_the_speaker_set_is_kept(self, fabric: Fabric) -> None:
        publisher = self.speaker(fabric)
        publisher.publish(TaskSubmitted(time=1_700_000_000.5))
        publisher.flush(self.patience)
        assert self.read_all(fabric, 1)[0].time == 1_700_000_000.5

    def test_numbers_of_one_boot_begin_at_one_and_have_no_gaps(self, fabric: Fabric, immediate: bool) -> None:
        self.say(self.speaker(fabric, immediate=immediate), range(500))
        events = self.read_all(fabric, 500)
        assert [event.seq for event in events] == list(range(1, 501))
        assert len({event.boot for event in events}) == 1

    def test_each_publisher_has_a_boot_of_its_own_even_with_the_same_source(self, fabric: Fabric) -> None:
        for _ in range(3):
            self.say(self.speaker(fabric, "same"), range(2))
        events = self.read_all(fabric, 6)
        assert len({event.boot for event in events}) == 3
        assert len({event.id for event in events}) == 6

    def test_publish_returns_at_once(self, fabric: Fabric) -> None:
        publisher = self.speaker(fabric)
        took: list[float] = []
        for number in range(1000):
            started = time.perf_counter()
            publisher.publish(TaskSubmitted(task=number))
            took.append(time.perf_counter() - started)
        assert sorted(took)[500] < 0.001

    def test_event_that_cannot_be_encoded_is_counted_and_said_and_never_raised(
        self, fabric: Fabric, immediate: bool
    ) -> None:
        publisher = self.speaker(fabric, immediate=immediate)
        publisher.publish(TaskSubmitted(task=1))
        publisher.publish(Unknown(run="r", said_kind="odd", data={"field": object()}))
        publisher.publish(TaskSubmitted(task=2))
        assert publisher.flush(self.patience).lost == 1
        events = self.read_all(fabric, 3)
        assert [event.seq for event in events] == [1, 2, 3]
        assert [(event.run, event.count) for event in events if isinstance(event, EventsLost)] == [("r", 1)]

    def test_event_far_too_large_is_delivered_or_counted_and_never_raised(
        self, fabric: Fabric, immediate: bool
    ) -> None:
        publisher = self.speaker(fabric, immediate=immediate)
        publisher.publish(TaskEnded(error="x" * 30_000_000))
        publisher.publish(TaskSubmitted(task=2))
        lost = publisher.flush(self.patience).lost
        events = self.read_all(fabric, 2)
        assert [event.seq for event in events] == [1, 2]
        assert [event.count for event in events if isinstance(event, EventsLost)] == [1] * lost

    def test_text_that_is_no_unicode_arrives_in_a_readable_form(
        self, fabric: Fabric, immediate: bool
    ) -> None:
        publisher = self.speaker(fabric, immediate=immediate)
        publisher.publish(TaskEnded(error="no file b\udce4r.dat"))
        publisher.flush(self.patience)
        (event,) = self.read_all(fabric, 1)
        assert isinstance(event, TaskEnded)
        assert event.error == "no file b\\udce4r.dat"

    def test_order_of_one_source_is_kept_with_several_threads_publishing(
        self, fabric: Fabric, immediate: bool
    ) -> None:
        publisher = self.speaker(fabric, immediate=immediate)
        in_threads(4, lambda worker: speak(publisher, range(250), worker))
        assert publisher.flush(self.patience).safe == 1000
        events = self.read_all(fabric, 1000)
        assert [event.seq for event in events] == list(range(1, 1001))
        for worker in range(4):
            own = [event.task for event in events if event.worker == worker]
            assert own == list(range(250))

    def test_two_sources_keep_their_own_order(self, fabric: Fabric) -> None:
        publishers = [self.speaker(fabric, "left"), self.speaker(fabric, "right", immediate=True)]
        in_threads(2, lambda number: self.say(publishers[number], range(300)))
        events = self.read_all(fabric, 600)
        for source in ("left", "right"):
            assert [event.task for event in events if event.source == source] == list(range(300))

    def test_forward_keeps_the_stamp_of_the_first_speaker(self, fabric: Fabric, immediate: bool) -> None:
        publisher = self.speaker(fabric, "relay", immediate=immediate)
        publisher.publish(TaskSubmitted(task=0))
        foreign = TaskSubmitted(source="worker:n7:1", boot="feed", seq=41, time=9.5, mono=2.5, task=1)
        publisher.forward(foreign)
        publisher.publish(TaskSubmitted(task=2))
        assert publisher.flush(self.patience).safe == 3
        events = self.read_all(fabric, 3)
        assert events[1] == foreign
        assert [event.seq for event in events if event.source == "relay"] == [1, 2]
