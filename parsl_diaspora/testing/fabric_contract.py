# ruff: noqa: D102, S101, PLR2004 - a test suite, only published: names of tests are facts, numbers are expected ones
"""What every fabric promises, as tests. Each backend passes them, ours and those of other packages.

A package with a backend of its own, which the entry point ``acme`` of the group ``parsl_diaspora.fabrics``
names, holds it to the contract in its own test suite; that needs pytest and nothing else:

    # tests/conftest.py: lets a failing assertion show its values
    import pytest
    pytest.register_assert_rewrite("parsl_diaspora.testing.fabric_contract")

    # tests/test_contract.py
    from parsl_diaspora.testing.fabric_contract import FabricContract

    class TestAcme(FabricContract):
        patience = 20.0        # seconds: a remote service is slower than a directory
        can_break = False      # no test makes it unavailable

        @pytest.fixture
        def fabric_url(self, acme_server):
            return f"acme://{acme_server.address}/{uuid.uuid4().hex}"

Each test gets a URL under which nothing has been published yet. What a backend may do or not is a flag of the
class, see `FabricContract`; a test whose ability is switched off is skipped and says so.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any

import msgspec
import pytest

from parsl_diaspora.errors import FabricError
from parsl_diaspora.events import (
    KINDS,
    Event,
    EventsLost,
    Failure,
    TaskEnded,
    TaskSubmitted,
    TryFailed,
    Unknown,
    decode,
)
from parsl_diaspora.fabric import Consumer, Fabric, Publisher, Start, open_fabric
from parsl_diaspora.testing.samples import sample_event

_SPEAKER = """
import os, signal, sys
from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import open_fabric
publisher = open_fabric(sys.argv[1]).publisher("another process", immediate=True)
for number in range(5):
    publisher.publish(TaskSubmitted(task=number))
os.kill(os.getpid(), signal.SIGKILL)
"""


class FabricContract:
    """Derive, give a ``fabric_url`` fixture, and let pytest collect the class.

    Attributes:
        patience: seconds that a published event may take to arrive before a test gives up.
        slack: seconds that a poll without events may last beyond its timeout.
        largest: bytes of text in one event that the backend must carry.
        reopens: events and positions are still there when the fabric is closed and its URL opened again.
        reaches_processes: other processes can publish under ``node_url``.
        can_break: the class has an `outage`.
    """

    patience: float = 5.0
    slack: float = 1.0
    largest: int = 200_000
    reopens: bool = True
    reaches_processes: bool = True
    can_break: bool = False

    @pytest.fixture
    def fabric_url(self) -> str:
        """URL of a fabric on which nothing has been published. Override it."""
        raise NotImplementedError

    @pytest.fixture
    def fabric(self, fabric_url: str) -> Iterator[Fabric]:
        """The fabric under test; its publishers are closed after the test."""
        self._publishers: list[Publisher] = []
        fabric = open_fabric(fabric_url)
        yield fabric
        for publisher in self._publishers:
            publisher.close()
        fabric.close()

    @pytest.fixture(params=[False, True], ids=["queued", "immediate"])
    def immediate(self, request: pytest.FixtureRequest) -> bool:
        """Both ways to publish."""
        return bool(request.param)

    def reopen(self, fabric: Fabric) -> Fabric:
        """The same fabric as a program that starts later sees it."""
        fabric.close()
        return open_fabric(fabric.url)

    def outage(self, fabric: Fabric) -> AbstractContextManager[None]:
        """Make the backend unavailable for writers within a ``with`` block. Override it with `can_break`."""
        raise NotImplementedError

    # --- help for the tests ---

    def speaker(self, fabric: Fabric, source: str = "speaker", **options: Any) -> Publisher:
        """A publisher that is closed after the test."""
        publisher = fabric.publisher(source, **options)
        self._publishers.append(publisher)
        return publisher

    def say(self, publisher: Publisher, numbers: range) -> None:
        """Publish events that are told apart by ``task``, and bring them to safety."""
        _speak(publisher, numbers)
        assert publisher.flush(self.patience).waiting == 0

    def read(self, consumer: Consumer, count: int, limit: int = 10_000) -> list[Event]:
        """The next ``count`` different events, each once: delivery is at least once."""
        events: dict[str, Event] = {}
        deadline = time.monotonic() + self.patience
        while len(events) < count and time.monotonic() < deadline:
            for event in consumer.poll(0.1, limit):
                events.setdefault(event.id, event)
        return list(events.values())

    def read_all(
        self, fabric: Fabric, count: int, name: str = "reader", start: Start = "earliest"
    ) -> list[Event]:
        """The first ``count`` events of a new consumer, and no more are there."""
        consumer = fabric.consumer(name, start=start)
        events = self.read(consumer, count)
        ids = {event.id for event in events}
        surplus = [event for event in consumer.poll(0.0) if event.id not in ids]
        consumer.close()
        assert not surplus
        return events

    # --- shape ---

    def test_fabric_publisher_and_consumer_have_all_methods_of_their_protocols(self, fabric: Fabric) -> None:
        assert isinstance(fabric, Fabric)
        assert isinstance(self.speaker(fabric), Publisher)
        assert isinstance(fabric.consumer("shape"), Consumer)

    def test_publisher_knows_its_source(self, fabric: Fabric) -> None:
        assert self.speaker(fabric, "submit:host:1").source == "submit:host:1"

    def test_url_names_the_same_scheme(self, fabric: Fabric, fabric_url: str) -> None:
        assert fabric.url.partition(":")[0] == fabric_url.partition(":")[0]

    # --- stamps ---

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

    # --- publishing ---

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
        _in_threads(4, lambda worker: _speak(publisher, range(250), worker))
        assert publisher.flush(self.patience).safe == 1000
        events = self.read_all(fabric, 1000)
        assert [event.seq for event in events] == list(range(1, 1001))
        for worker in range(4):
            own = [event.task for event in events if event.worker == worker]
            assert own == list(range(250))

    def test_two_sources_keep_their_own_order(self, fabric: Fabric) -> None:
        publishers = [self.speaker(fabric, "left"), self.speaker(fabric, "right", immediate=True)]
        _in_threads(2, lambda number: self.say(publishers[number], range(300)))
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

    # --- what arrives is what was said ---

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_each_kind_of_event_survives_the_trip_unchanged(self, fabric: Fabric, kind: str) -> None:
        said = sample_event(KINDS[kind])
        self.speaker(fabric).forward(said)
        assert self.read_all(fabric, 1) == [said]

    def test_kind_and_version_of_a_newer_release_come_through_whole(self, fabric: Fabric) -> None:
        new_kind = {"kind": "task.teleported", "boot": "ab", "seq": 1, "version": 3, "speed": {"c": [0.5]}}
        new_version = {
            "kind": "task.ended",
            "boot": "ab",
            "seq": 2,
            "version": 99,
            "run": "r",
            "mood": "good",
        }
        publisher = self.speaker(fabric)
        for fields in (new_kind, new_version):
            publisher.forward(decode(msgspec.msgpack.encode(fields)))
        events = self.read_all(fabric, 2)
        assert [type(event) for event in events] == [Unknown, Unknown]
        assert [event.data for event in events if isinstance(event, Unknown)] == [new_kind, new_version]
        assert [(event.boot, event.seq) for event in events] == [("ab", 1), ("ab", 2)]

    def test_large_event_survives_the_trip(self, fabric: Fabric, immediate: bool) -> None:
        text = "".join(f"{number:06d} \N{SNOWMAN}" for number in range(self.largest // 10))
        publisher = self.speaker(fabric, immediate=immediate)
        publisher.publish(TaskEnded(error=text))
        assert publisher.flush(self.patience).lost == 0
        (event,) = self.read_all(fabric, 1)
        assert isinstance(event, TaskEnded)
        assert event.error == text

    @pytest.mark.parametrize(
        "text",
        ["Grüße, \U0001f30d", "שלום", "a\x00b\r\n\t\x1b[0m", "\u2028\ufeff\U0010ffff", '"\\{}', "PDe1"],
    )
    def test_any_unicode_text_survives_the_trip(self, fabric: Fabric, text: str) -> None:
        said = TryFailed(boot="ab", seq=1, run=text, node=text, cause=(text,), failure=Failure(message=text))
        self.speaker(fabric, text).forward(said)
        assert self.read_all(fabric, 1) == [said]

    # --- positions ---

    def test_consumer_resumes_after_its_last_commit_under_the_same_name(self, fabric: Fabric) -> None:
        publisher = self.speaker(fabric)
        self.say(publisher, range(5))
        first = fabric.consumer("reader")
        assert len(self.read(first, 5)) == 5
        first.commit()
        first.close()
        self.say(publisher, range(5, 8))
        assert [event.task for event in self.read_all(fabric, 3)] == [5, 6, 7]

    def test_what_was_polled_but_not_committed_is_read_again(self, fabric: Fabric) -> None:
        publisher = self.speaker(fabric)
        self.say(publisher, range(2))
        first = fabric.consumer("reader")
        self.read(first, 2)
        first.commit()
        self.say(publisher, range(2, 6))
        assert len(self.read(first, 4)) == 4
        first.close()
        assert [event.task for event in self.read_all(fabric, 4)] == [2, 3, 4, 5]

    def test_commit_before_any_poll_moves_nothing(self, fabric: Fabric) -> None:
        self.say(self.speaker(fabric), range(3))
        first = fabric.consumer("reader")
        first.commit()
        first.close()
        assert [event.task for event in self.read_all(fabric, 3)] == [0, 1, 2]

    def test_another_name_begins_anew(self, fabric: Fabric) -> None:
        self.say(self.speaker(fabric), range(3))
        first = fabric.consumer("first")
        self.read(first, 3)
        first.commit()
        assert [event.task for event in self.read_all(fabric, 3, name="second")] == [0, 1, 2]
        first.close()

    def test_two_consumers_read_all_events_each(self, fabric: Fabric) -> None:
        consumers = [fabric.consumer("one"), fabric.consumer("two")]
        self.say(self.speaker(fabric), range(50))
        for consumer in consumers:
            assert [event.task for event in self.read(consumer, 50)] == list(range(50))
            consumer.close()

    def test_events_and_positions_are_there_when_the_url_is_opened_again(self, fabric: Fabric) -> None:
        self._need(self.reopens, "does not outlive its object")
        publisher = self.speaker(fabric)
        self.say(publisher, range(4))
        publisher.close()
        consumer = fabric.consumer("reader")
        self.read(consumer, 4)
        consumer.commit()
        consumer.close()
        again = self.reopen(fabric)
        self.say(self.speaker(again), range(4, 6))
        assert [event.task for event in self.read_all(again, 2)] == [4, 5]
        assert len(self.read_all(again, 6, name="new")) == 6
        again.close()

    # --- where to begin ---

    def test_consumer_begins_with_the_earliest_event_by_default(self, fabric: Fabric) -> None:
        self.say(self.speaker(fabric), range(3))
        assert [event.task for event in self.read(fabric.consumer("reader"), 3)] == [0, 1, 2]

    def test_consumer_that_starts_at_latest_reads_only_what_comes_after_it(self, fabric: Fabric) -> None:
        publisher = self.speaker(fabric)
        self.say(publisher, range(3))
        consumer = fabric.consumer("reader", start="latest")
        assert consumer.poll(0.0) == []
        self.say(publisher, range(3, 5))
        self.say(self.speaker(fabric, "newcomer"), range(5, 6))
        assert sorted(event.task or 0 for event in self.read(consumer, 3)) == [3, 4, 5]

    def test_consumer_that_starts_at_a_time_reads_what_was_published_from_then_on(
        self, fabric: Fabric
    ) -> None:
        publisher = self.speaker(fabric)
        self.say(publisher, range(3))
        time.sleep(0.05)
        moment = time.time()
        time.sleep(0.05)
        self.say(publisher, range(3, 6))
        assert [event.task for event in self.read_all(fabric, 3, start=moment)] == [3, 4, 5]
        assert self.read_all(fabric, 0, name="tomorrow", start=time.time() + 86_400) == []
        assert len(self.read_all(fabric, 6, name="long-ago", start=0.0)) == 6

    def test_committed_position_counts_more_than_the_start(self, fabric: Fabric) -> None:
        publisher = self.speaker(fabric)
        self.say(publisher, range(2))
        first = fabric.consumer("reader")
        self.read(first, 2)
        first.commit()
        first.close()
        self.say(publisher, range(2, 4))
        assert [event.task for event in self.read_all(fabric, 2, start="latest")] == [2, 3]

    def test_start_that_is_no_start_is_an_error(self, fabric: Fabric) -> None:
        with pytest.raises(FabricError, match="newest"):
            fabric.consumer("reader", start="newest")

    # --- polling ---

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
        assert self._becomes(consumer.lag, 5)
        self.read(consumer, 5)
        assert consumer.lag() == 0
        self.say(publisher, range(5, 7))
        assert self._becomes(consumer.lag, 2)

    def test_healthy_stream_has_nothing_skipped(self, fabric: Fabric) -> None:
        self.say(self.speaker(fabric), range(10))
        consumer = fabric.consumer("reader")
        self.read(consumer, 10)
        assert consumer.skipped() == 0

    # --- flushing and closing ---

    def test_flush_tells_the_truth(self, fabric: Fabric, immediate: bool) -> None:
        publisher = self.speaker(fabric, immediate=immediate)
        assert _counts(publisher) == (0, 0, 0)
        for number in range(100):
            publisher.publish(TaskSubmitted(task=number))
        report = publisher.flush(self.patience)
        assert (report.safe, report.waiting, report.lost) == (100, 0, 0)
        assert len(self.read_all(fabric, 100)) == 100

    def test_close_brings_everything_to_safety(self, fabric: Fabric, immediate: bool) -> None:
        publisher = self.speaker(fabric, immediate=immediate)
        for number in range(100):
            publisher.publish(TaskSubmitted(task=number))
        report = publisher.close(self.patience)
        assert (report.safe, report.waiting, report.lost) == (100, 0, 0)
        assert len(self.read_all(fabric, 100)) == 100

    def test_closing_again_changes_nothing(self, fabric: Fabric, immediate: bool) -> None:
        publisher = self.speaker(fabric, immediate=immediate)
        publisher.publish(TaskSubmitted())
        report = publisher.close(self.patience)
        assert publisher.close() == report
        consumer = fabric.consumer("reader")
        consumer.close()
        consumer.close()
        fabric.close()
        fabric.close()

    def test_publisher_that_said_nothing_can_be_closed(self, fabric: Fabric, immediate: bool) -> None:
        assert self.speaker(fabric, immediate=immediate).close().safe == 0

    def test_publish_after_close_does_not_raise_and_is_kept_or_counted(
        self, fabric: Fabric, immediate: bool
    ) -> None:
        publisher = self.speaker(fabric, immediate=immediate)
        publisher.publish(TaskSubmitted(task=1))
        publisher.close(self.patience)
        publisher.publish(TaskSubmitted(task=2))
        publisher.forward(TaskSubmitted(boot="ab", seq=1, task=3))
        report = publisher.flush(self.patience)
        assert report.safe + report.lost == 3
        assert len(self.read_all(fabric, report.safe)) == report.safe

    # --- other processes ---

    def test_killed_process_leaves_what_it_published_at_once(self, fabric: Fabric) -> None:
        self._need(self.reaches_processes, "reaches no other process")
        assert fabric.node_url is not None
        subprocess.run([sys.executable, "-c", _SPEAKER, fabric.node_url], check=False, timeout=60)
        events = self.read_all(fabric, 5)
        assert [(event.source, event.task) for event in events] == [("another process", n) for n in range(5)]

    def test_fabric_that_reaches_no_other_process_says_so(self, fabric: Fabric) -> None:
        self._need(not self.reaches_processes, "reaches other processes")
        assert fabric.node_url is None

    # --- the backend fails ---

    def test_publish_neither_raises_nor_waits_while_the_backend_is_down(
        self, fabric: Fabric, immediate: bool
    ) -> None:
        self._need(self.can_break, "cannot be broken by a test")
        publisher = self.speaker(fabric, immediate=immediate)
        with self.outage(fabric):
            started = time.monotonic()
            for number in range(100):
                publisher.publish(TaskSubmitted(task=number))
            assert time.monotonic() - started < 1.0

    def test_flush_does_not_call_safe_what_the_backend_has_not_taken(self, fabric: Fabric) -> None:
        self._need(self.can_break, "cannot be broken by a test")
        publisher = self.speaker(fabric)
        with self.outage(fabric):
            for number in range(10):
                publisher.publish(TaskSubmitted(task=number))
            started = time.monotonic()
            report = publisher.flush(0.2)
            assert time.monotonic() - started < 0.2 + self.slack
            assert (report.safe, report.waiting) == (0, 10)

    def test_events_wait_for_the_backend_and_arrive_in_order(self, fabric: Fabric) -> None:
        self._need(self.can_break, "cannot be broken by a test")
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
        self._need(self.can_break, "cannot be broken by a test")
        publisher = self.speaker(fabric, buffer=20)
        said = [TaskSubmitted(run="r", task=number) for number in range(100)]
        with self.outage(fabric):
            for event in said:
                publisher.publish(event)
            assert _counts(publisher) == (0, 20, 80)
        assert [event.seq for event in said] == [*range(1, 21), *[0] * 80]
        assert len({(event.source, event.boot) for event in said}) == 1
        publisher.flush(self.patience)
        assert publisher.close(self.patience).waiting == 0
        events = self.read_all(fabric, 21)
        assert [event.task for event in events[:20]] == list(range(20))
        assert [(event.run, event.count) for event in events if isinstance(event, EventsLost)] == [("r", 80)]
        assert [event.seq for event in events] == list(range(1, 22))

    def test_immediate_losses_are_counted_and_said_when_the_backend_is_back(self, fabric: Fabric) -> None:
        self._need(self.can_break, "cannot be broken by a test")
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
        self._need(self.can_break, "cannot be broken by a test")
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

    def _need(self, ability: bool, why: str, *, only: bool = False) -> None:
        if not ability:
            pytest.skip(
                f"this fabric {why}" if not only else f"this fabric {why}, so there is nothing to say"
            )

    def _becomes(self, look: Callable[[], int], expected: int) -> bool:
        deadline = time.monotonic() + self.patience
        while look() != expected and time.monotonic() < deadline:
            time.sleep(0.01)
        return look() == expected


def _speak(publisher: Publisher, numbers: range, worker: int = 0) -> None:
    for number in numbers:
        publisher.publish(TaskSubmitted(task=number, worker=worker))


def _in_threads(count: int, work: Callable[[int], None]) -> None:
    with ThreadPoolExecutor(count) as threads:
        for done in [threads.submit(work, number) for number in range(count)]:
            done.result()


def _counts(publisher: Publisher) -> tuple[int, int, int]:
    report = publisher.flush(0.1)
    return report.safe, report.waiting, report.lost
