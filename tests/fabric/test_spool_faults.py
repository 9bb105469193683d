"""The fabric behind a spool fails, the disk is full, the limit is met: what waits, goes, and is said."""

from __future__ import annotations

import itertools
import random
import threading
import time
from collections import Counter

import pytest

from parsl_diaspora.clock import SystemClock
from parsl_diaspora.errors import FabricUnavailable
from parsl_diaspora.events import (
    Event,
    EventsLost,
    FabricLagged,
    ManagerSeen,
    RunEnded,
    ServiceDegraded,
    TaskSubmitted,
    TryFailed,
)
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file.segment import SegmentWriter
from parsl_diaspora.fabric.spool import SpooledFabric, thinning
from parsl_diaspora.fabric.spool.backlog import Backlog, size_of
from parsl_diaspora.fabric.spool.handover import PAUSE_FIRST, PAUSE_LONGEST, Handover
from parsl_diaspora.fabric.spool.room import Room
from parsl_diaspora.fabric.spool.thinning import thin
from parsl_diaspora.testing.clock import VirtualClock
from parsl_diaspora.testing.faulty_fabric import FaultyFabric
from tests.waiting import becomes


@pytest.fixture
def faulty():
    return FaultyFabric(open_fabric("memory:"))


@pytest.fixture
def spooled(faulty, tmp_path):
    made = []

    def make(**options):
        quick = {"flush_timeout": 0.05, "clock": HastyClock(), **options}
        made.append(SpooledFabric(faulty, tmp_path / "spool", **quick))
        return made[-1]

    yield make
    faulty.fault = "up"
    for fabric in made:
        fabric.close()


class HastyClock(SystemClock):
    """Runs ten times as fast as real time: tests of what happens after a pause need not wait for it."""

    def monotonic(self) -> float:
        return 10 * super().monotonic()

    def wait(self, event: threading.Event, timeout: float) -> bool:
        return super().wait(event, timeout / 10)


def say(publisher, numbers, kind=TaskSubmitted, **fields):
    for number in numbers:
        publisher.publish(kind(task=number, **fields))


def arrived(faulty):
    """All that came through, each once, in the order of its first arrival."""
    met = {}
    for event in faulty.inner.consumer(f"reader-{random.random()}").poll(limit=1_000_000):
        met.setdefault(event.id, event)
    return list(met.values())


def tasks(faulty):
    return [event.task for event in arrived(faulty) if isinstance(event, TaskSubmitted)]


def said_lost(faulty):
    return sum(event.count for event in arrived(faulty) if isinstance(event, EventsLost))


# --- the fabric behind ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["refuses", "hangs", "stuck", "deaf", "drops"])
def test_events_wait_while_the_fabric_is_dead_at_start_and_go_on_in_order_afterwards(faulty, spooled, fault):
    faulty.fault = fault
    fabric = spooled()
    publisher = fabric.publisher("s")
    started = time.monotonic()
    say(publisher, range(500))
    report = publisher.flush()
    assert (report.safe, report.waiting, report.lost) == (500, 0, 0)
    assert not fabric.drain(0.3)
    assert fabric.lag() == 500
    assert time.monotonic() - started < 3
    faulty.fault = "up"
    assert fabric.drain(20)
    assert tasks(faulty) == list(range(500))
    assert fabric.report().refused == 0
    publisher.close()


@pytest.mark.parametrize("fault", ["refuses", "hangs", "stuck", "deaf", "drops"])
def test_fabric_that_dies_amid_events_loses_none(faulty, spooled, fault):
    fabric = spooled()
    publisher = fabric.publisher("s")
    for number in range(200):
        say(publisher, [number])
        if number % 10 == 0:
            faulty.fault = fault if number % 20 == 0 else "up"
            time.sleep(0.02)
    publisher.flush()
    faulty.fault = "up"
    assert fabric.drain(20)
    assert sorted(tasks(faulty)) == list(range(200))
    if fault != "drops":  # a client that gives up single events amid others leaves an order to nobody
        assert tasks(faulty) == list(range(200))
    publisher.close()


def test_fabric_that_flaps_at_random_loses_none_and_keeps_the_order(faulty, spooled):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    faulty.fault = lambda: chance.choices(["up", "refuses", "hangs", "deaf"], [5, 1, 1, 1])[0]
    fabric = spooled(flush_timeout=0.01)
    publishers = [fabric.publisher(f"s{number}", immediate=number == 1) for number in range(3)]
    for begin in range(0, 600, 20):
        for publisher in publishers:
            say(publisher, range(begin, begin + 20))
        time.sleep(0.01)
    for publisher in publishers:
        assert publisher.close().safe == 600
    faulty.fault = "up"
    assert fabric.drain(20)
    events = arrived(faulty)
    for publisher in publishers:
        own = [event.task for event in events if event.source == publisher.source]
        assert own == list(range(600))


def test_call_that_never_returns_is_left_behind_and_a_new_connection_is_tried(faulty, spooled):
    stuck = threading.Event()
    first = threading.current_thread()

    def fault():
        nonlocal first
        if not stuck.is_set():
            stuck.set()
            first = threading.current_thread()
        return "stuck" if threading.current_thread() is first and not over else "up"

    over = []
    faulty.fault = fault
    fabric = spooled(flush_timeout=0.1)
    publisher = fabric.publisher("s")
    say(publisher, range(10))
    assert fabric.drain(10)
    assert tasks(faulty) == list(range(10))
    assert first.is_alive()
    over.append(True)
    first.join(5)
    publisher.close()


def test_event_that_the_fabric_refuses_for_ever_is_passed_over_counted_and_said(faulty, spooled):
    faulty.poison = lambda event: event.task == 5
    fabric = spooled()
    publisher = fabric.publisher("s")
    say(publisher, range(10), run="r")
    publisher.flush()
    assert fabric.drain(20)
    assert sorted(tasks(faulty)) == [0, 1, 2, 3, 4, 6, 7, 8, 9]
    assert fabric.report().refused == 1
    assert {event.run for event in arrived(faulty) if isinstance(event, EventsLost)} == {"r"}
    publisher.close()


def test_close_leaves_what_cannot_be_handed_on_and_the_next_spool_hands_it_on(faulty, spooled, monkeypatch):
    monkeypatch.setattr("parsl_diaspora.fabric.spool.fabric._CLOSE_TIMEOUT", 0.1)
    faulty.fault = "refuses"
    fabric = spooled()
    publisher = fabric.publisher("first")
    say(publisher, range(100))
    assert publisher.close().safe == 100
    started = time.monotonic()
    fabric.close()
    assert time.monotonic() - started < 2
    faulty.fault = "up"
    later = spooled()
    later.publisher("second").close()
    assert later.drain(10)
    assert tasks(faulty) == list(range(100))


def test_stamp_of_each_event_stays(faulty, spooled):
    fabric = spooled()
    publisher = fabric.publisher("submit:host:1")
    said = [TaskSubmitted(task=number) for number in range(3)]
    for event in said:
        publisher.publish(event)
    publisher.forward(TaskSubmitted(source="worker:n7:1", boot="feed", seq=41, time=9.5, mono=2.5, task=3))
    publisher.flush()
    assert fabric.drain()
    events = arrived(faulty)
    assert events[:3] == said
    assert (events[3].id, events[3].source, events[3].time) == ("feed-41", "worker:n7:1", 9.5)
    publisher.close()


# --- pauses ---------------------------------------------------------------------------------------------


def test_pauses_double_up_to_the_longest_spread_at_random_and_begin_anew_after_success(faulty):
    clock = VirtualClock()
    handover = Handover(faulty, clock, random.Random(7), 0.01)
    faulty.fault = "refuses"
    events = [TaskSubmitted(boot="ab", seq=1)]
    pauses = []
    for _ in range(12):
        assert not handover.hand_on(events)
        pauses.append(handover.pause())
        asked = faulty.opened
        clock.advance(handover.pause() / 2)
        assert not handover.hand_on(events)
        assert faulty.opened == asked  # in the middle of a pause nobody is asked
        clock.advance(handover.pause())
    for number, pause in enumerate(pauses):
        longest = min(PAUSE_LONGEST, PAUSE_FIRST * 2**number)
        assert longest / 2 <= pause <= longest
    assert "refuses" in handover.why
    faulty.fault = "up"
    assert handover.hand_on(events)
    assert (handover.pause(), handover.why) == (0.0, "")
    faulty.fault = "drops"
    assert not handover.hand_on([TaskSubmitted(boot="ab", seq=2)])
    assert handover.pause() <= PAUSE_FIRST


def test_two_spools_do_not_come_back_at_the_same_moment(faulty):
    faulty.fault = "refuses"
    clock = VirtualClock()
    handovers = [Handover(faulty, clock, random.Random(seed), 0.01) for seed in (1, 2)]
    for handover in handovers:
        handover.hand_on([Event()])
    assert handovers[0].pause() != handovers[1].pause()


def test_dead_fabric_is_asked_a_few_times_an_hour_not_all_the_time(faulty, tmp_path):
    faulty.fault = "refuses"
    clock = VirtualClock()
    fabric = SpooledFabric(faulty, tmp_path / "spool", clock=clock, lag_seconds=1e9)
    publisher = fabric.publisher("s")
    say(publisher, range(3))
    publisher.flush()
    clock.settle(2)
    for _ in range(60):
        clock.advance(2.0)
    assert 8 < faulty.opened < 25
    faulty.fault = "up"
    for _ in range(20):
        clock.advance(2.0)
    assert tasks(faulty) == [0, 1, 2]
    publisher.close()
    fabric.close()


# --- lag ------------------------------------------------------------------------------------------------


def lags(faulty):
    return [event for event in arrived(faulty) if isinstance(event, FabricLagged)]


def test_lag_is_said_once_when_it_is_too_long_and_once_when_it_is_over(faulty, spooled):
    faulty.fault = "refuses"
    fabric = spooled(lag_seconds=3.0)
    publisher = fabric.publisher("s")
    say(publisher, range(5))
    assert becomes(lambda: fabric.report().lagging)
    assert "refuses" in fabric.report().why
    time.sleep(0.6)
    faulty.fault = "up"
    assert becomes(lambda: not fabric.report().lagging)
    assert becomes(lambda: len(lags(faulty)) == 2)
    began, ended = lags(faulty)
    assert (began.over, began.waiting) == (False, 5)
    assert began.seconds >= 3.0
    assert "refuses" in began.why
    assert (ended.over, ended.why) == (True, "caught up")
    assert ended.seconds >= 5.0
    publisher.close()


# --- the limit on the disk ------------------------------------------------------------------------------


def runs_of(numbers):
    """Numbers that follow one another, together."""
    breaks = [at for at in range(1, len(numbers)) if numbers[at] != numbers[at - 1] + 1]
    return [numbers[low:high] for low, high in itertools.pairwise([0, *breaks, len(numbers)])]


def fill(publisher, rounds):
    for number in range(rounds):
        publisher.publish(ManagerSeen(task=number, manager="m" * 200))
        publisher.publish(TaskSubmitted(task=number, func="f" * 200))
        publisher.publish(TryFailed(task=number))
        publisher.publish(RunEnded(task=number))
        if number % 20 == 0:
            publisher.flush()
    assert publisher.flush().waiting == 0


@pytest.mark.parametrize(
    ("rounds", "gone", "whole"),
    [
        (280, {"resources"}, {"tasks", "failures", "control"}),
        (800, {"resources", "tasks"}, {"failures", "control"}),
        (2000, {"resources", "tasks", "failures"}, set()),
    ],
)
def test_full_spool_drops_samples_first_oldest_first_and_says_how_many(faulty, spooled, rounds, gone, whole):
    limit = 220_000
    faulty.fault = "refuses"
    fabric = spooled(limit_bytes=limit)
    publisher = fabric.publisher("s")
    fill(publisher, rounds)
    report = publisher.close()
    assert report.lost == 0
    # while a segment is being thinned, the old and the new one both take room for a moment
    assert becomes(lambda: 0 < sum(map(size_of, fabric.directory.glob("*.events"))) <= limit)
    assert gone <= set(fabric.report().dropped)
    assert not set(fabric.report().dropped) & whole
    faulty.fault = "up"
    assert fabric.drain(20)
    lost = sum(fabric.report().dropped.values())
    assert becomes(lambda: said_lost(faulty) == lost)
    events = arrived(faulty)
    own = [event for event in events if event.source == "s"]
    kept = Counter(event.topic for event in own)
    assert sum(kept.values()) + lost >= 4 * rounds
    for topic in ("resources", "tasks", "failures", "control"):
        numbers = [event.task for event in own if event.topic == topic]
        assert numbers == sorted(numbers)
        assert kept[topic] + fabric.report().dropped.get(topic, 0) >= rounds
        if topic in gone:  # the oldest went: there are none but the newest, and one batch that was on its way
            on_its_way, *newest = runs_of(numbers)
            assert [run[-1] for run in newest] in ([], [rounds - 1]) or on_its_way[-1] == rounds - 1
            assert kept[topic] < rounds
    assert [event.seq for event in own] == sorted(event.seq for event in own)
    assert any("resources" in event.why for event in events if isinstance(event, EventsLost))


def test_a_segment_that_is_thinned_while_it_is_about_to_be_read_does_not_come_after_later_ones(
    faulty, spooled, monkeypatch
):
    faulty.fault = "refuses"
    fabric = spooled(limit_bytes=2_000_000)
    publisher = fabric.publisher("s")
    fill(publisher, 800)
    publisher.close()
    first, *later = sorted(fabric.directory.glob("*.events"))
    assert later
    original, thinned = Backlog._read, []

    def read(self, name, standing, batch):
        if name == first.name and not thinned:  # between the look at the directory and the look at the file
            thinned.append(thin(fabric.directory, name, "resources", self.position(name)))
        return original(self, name, standing, batch)

    monkeypatch.setattr(Backlog, "_read", read)
    faulty.fault = "up"
    assert fabric.drain(20)
    own = [event.seq for event in arrived(faulty) if event.source == "s"]
    assert thinned
    assert own == sorted(own)


@pytest.mark.parametrize("size", [200, 70_000], ids=["in segments", "set aside"])
def test_limit_holds_at_every_moment_also_while_a_segment_is_thinned(faulty, spooled, monkeypatch, size):
    limit = 1_000_000
    met = []

    def replace(temporary, directory, successor, thinned):
        met.append(bytes_on_disk(directory))
        original(temporary, directory, successor, thinned)

    def write(self, data):
        written(self, data)
        met.append(bytes_on_disk(self._directory))

    def make(self):
        time.sleep(0.1)  # a keeper that comes late, when there is no room left
        return made(self)

    original, written, made = thinning._replace, SegmentWriter._write, Room.make
    monkeypatch.setattr(Room, "make", make)
    monkeypatch.setattr(thinning, "_replace", replace)
    monkeypatch.setattr(SegmentWriter, "_write", write)
    faulty.fault = "refuses"
    fabric = spooled(limit_bytes=limit)
    publisher = fabric.publisher("s")
    for number in range(1_600_000 // (2 * size)):
        publisher.publish(ManagerSeen(task=number, manager="m" * size))
        publisher.publish(TaskSubmitted(task=number, func="f" * size))
        if number % 20 == 0:
            publisher.flush(0.5)
    publisher.close(5)
    assert fabric.report().dropped
    assert 0.5 * limit < max(met) <= limit
    assert not list((fabric.directory / "large").glob("*.tmp"))


def bytes_on_disk(directory):
    return sum(size_of(path) for path in directory.rglob("*") if path.suffix != ".json" and path.is_file())


def test_topic_that_is_not_in_the_order_is_never_dropped(faulty, spooled):
    faulty.fault = "refuses"
    fabric = spooled(limit_bytes=100_000, drop_order=("resources",))
    publisher = fabric.publisher("s", buffer=50)
    for number in range(3000):
        publisher.publish(ManagerSeen(task=number, manager="m" * 100))
        publisher.publish(RunEnded(task=number, failed=7))
    publisher.flush(0.5)
    assert set(fabric.report().dropped) <= {"resources"}
    faulty.fault = "up"
    assert becomes(lambda: publisher.flush(0.1).waiting == 0)
    lost = publisher.close().lost
    assert fabric.drain(20)
    events = arrived(faulty)
    said = sum(event.count for event in events if isinstance(event, EventsLost))
    assert said == lost + fabric.report().dropped.get("resources", 0)
    assert sum(event.source == "s" and not isinstance(event, EventsLost) for event in events) + said >= 6000


# --- the disk -------------------------------------------------------------------------------------------


def test_full_disk_sends_events_straight_on_and_is_said_once(directory, run_program):
    report, kinds, kept, text = run_program(
        """
        from collections import Counter
        import logging, io
        from parsl_diaspora.fabric.spool import SpooledFabric
        log = io.StringIO()
        logging.basicConfig(stream=log)
        inner = open_fabric("memory:")
        fabric = SpooledFabric(inner, directory)
        speakers = [fabric.publisher(f"s{at_once}", immediate=at_once) for at_once in (False, True)]
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        for number in range(900):
            if number % 300 == 0:
                size = 0 if number == 300 else hard
                resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
            for speaker in speakers:
                speaker.publish(TaskSubmitted(task=number))
            if number % 50 == 49:
                assert all(speaker.flush(5).waiting == 0 for speaker in speakers)
        reports = [counts(speaker.close()) for speaker in speakers]
        assert fabric.drain(5)
        time.sleep(0.5)
        assert fabric.drain(5)
        assert fabric.report().direct > 300
        events = list({event.id: event for event in inner.consumer("r").poll()}.values())
        fabric.close()
        kinds = Counter(event.kind for event in events)
        kept = [[event.task for event in events if event.source == speaker.source] for speaker in speakers]
        print(json.dumps([reports, kinds, kept, log.getvalue().count("cannot be written")]))
        """
    )
    assert report == [[900, 0, 0]] * 2
    assert kinds == {"task.submitted": 1800, "service.degraded": 1}
    assert kept == [list(range(900))] * 2
    assert text == 1


def test_directory_that_cannot_be_made_costs_no_event(faulty, tmp_path):
    (tmp_path / "file").write_text("in the way")
    fabric = SpooledFabric(faulty, tmp_path / "file" / "spool")
    publisher = fabric.publisher("s")
    say(publisher, range(100))
    assert publisher.flush().safe == 100
    assert tasks(faulty) == list(range(100))
    assert becomes(lambda: [e for e in arrived(faulty) if isinstance(e, ServiceDegraded)])
    publisher.close()
    fabric.close()


def test_memory_is_bounded_when_neither_disk_nor_fabric_takes_anything(faulty, tmp_path):
    faulty.fault = "refuses"
    (tmp_path / "file").write_text("in the way")
    fabric = SpooledFabric(faulty, tmp_path / "file" / "spool", clock=HastyClock())
    publisher = fabric.publisher("s", buffer=100)
    say(publisher, range(1000))
    report = publisher.flush(0.05)
    assert (report.safe, report.waiting, report.lost) == (0, 100, 900)
    faulty.fault = "up"
    assert becomes(
        lambda: publisher.flush(0.1).safe == 101
    )  # what is said of the lost ones comes a moment later
    assert tasks(faulty) == list(range(100))
    assert [event.count for event in arrived(faulty) if isinstance(event, EventsLost)] == [900]
    publisher.close()
    fabric.close()


def test_consumer_meets_the_errors_of_the_fabric_behind(tmp_path):
    (tmp_path / "events").write_text("something in its place")
    fabric = open_fabric(f"spool:{tmp_path}/spool?to=file:{tmp_path}/events")
    with pytest.raises(FabricUnavailable):
        fabric.consumer("reader")
