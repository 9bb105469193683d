"""A reader of the embedded log wakes when something is written."""

from __future__ import annotations

import os
import shutil
import threading
import time

import pytest

from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file import watch as watching
from parsl_diaspora.fabric.file.watch import POLL_LONGEST, Notified, Polled, is_local, watch


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "events"


@pytest.fixture(params=["notified", "polled"])
def way(request, monkeypatch):
    """Both ways to wait."""
    if request.param == "polled":
        monkeypatch.setattr(watching, "LOCAL", frozenset())
    return request.param


def median_delay(directory, rounds=40):
    """Seconds from an event's time to its arrival, median."""
    fabric = open_fabric(f"file:{directory}")
    speaker = fabric.publisher("s", immediate=True)
    consumer = fabric.consumer("r")
    speaker.publish(TaskSubmitted(task=0))
    delays = []

    def say():
        for number in range(rounds):
            time.sleep(0.02)
            speaker.publish(TaskSubmitted(task=number))

    thread = threading.Thread(target=say)
    thread.start()
    while len(delays) < rounds:
        delays += [time.time() - event.time for event in consumer.poll(5)]
    thread.join()
    consumer.close()
    return sorted(delays)[len(delays) // 2]


def test_reader_on_a_local_disk_wakes_within_milliseconds(directory):
    directory.mkdir()
    if not is_local(directory):
        pytest.skip("the tests' directory is on a network file system")
    assert isinstance(watch(directory), Notified)
    assert median_delay(directory) < 0.02


def test_reader_that_polls_wakes_within_its_bound(directory, monkeypatch):
    monkeypatch.setattr(watching, "LOCAL", frozenset())
    assert isinstance(watch(directory), Polled)
    assert median_delay(directory) < POLL_LONGEST + 0.05


def test_reader_waits_for_a_directory_that_is_not_there_yet(directory, way):
    consumer = open_fabric(f"file:{directory}").consumer("r")
    speaker = open_fabric(f"file:{directory}").publisher  # which makes the directory
    later = threading.Timer(0.2, lambda: speaker("s", immediate=True).publish(TaskSubmitted(task=7)))
    later.start()
    started = time.monotonic()
    assert [event.task for event in consumer.poll(20)] == [7]
    assert time.monotonic() - started < 5
    later.join()


def test_reader_follows_a_directory_that_is_removed_and_made_again(directory, way):
    fabric = open_fabric(f"file:{directory}")
    consumer = fabric.consumer("r")
    for number in range(3):
        speaker = fabric.publisher("s", immediate=True)
        speaker.publish(TaskSubmitted(task=number))
        speaker.close()
        assert [event.task for event in consumer.poll(5)] == [number]
        assert consumer.poll(0.05) == []
        shutil.rmtree(directory)


def test_reader_follows_a_directory_that_another_takes_the_place_of(directory, tmp_path, way):
    fabric = open_fabric(f"file:{directory}")
    consumer = fabric.consumer("r")
    fabric.publisher("s", immediate=True).publish(TaskSubmitted(task=1))
    assert consumer.poll(5)
    assert consumer.poll(0.05) == []
    directory.rename(tmp_path / "old")
    fabric.publisher("t", immediate=True).publish(TaskSubmitted(task=2))
    assert [event.task for event in consumer.poll(5)] == [2]


def test_reader_meets_new_segments_and_the_rest_of_old_ones(directory, way):
    fabric = open_fabric(f"file:{directory}?roll=1000")
    consumer = fabric.consumer("r")
    speakers = [fabric.publisher(f"s{number}", immediate=True) for number in range(5)]
    found = []
    for number in range(200):
        speakers[number % 5].publish(TaskSubmitted(task=number, func="x" * 200))
        found += [event.task for event in consumer.poll(0.0 if number % 3 else 1.0, limit=2)]
    while events := consumer.poll(0.1):
        found += [event.task for event in events]
    assert sorted(found) == list(range(200))
    assert consumer.lag() == consumer.skipped() == 0


def test_segments_that_are_read_and_followed_are_not_looked_at_again(directory, monkeypatch):
    fabric = open_fabric(f"file:{directory}?roll=1000")
    speaker = fabric.publisher("s", immediate=True)
    for number in range(100):
        speaker.publish(TaskSubmitted(task=number, func="x" * 500))
    consumer = fabric.consumer("r")
    assert len(consumer.poll()) == 100
    looked = []
    stat = os.stat
    monkeypatch.setattr(os, "stat", lambda path, **options: looked.append(path) or stat(path, **options))
    assert consumer.poll() == []
    assert sum(str(path).endswith(".events") for path in looked) == 1


def test_without_any_inotify_left_the_reader_polls(directory, monkeypatch):
    def none_left(self, directory):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Notified, "__init__", none_left)
    assert isinstance(watch(directory), Polled)
    assert median_delay(directory, 5) < POLL_LONGEST + 0.05


def test_kernel_that_tells_nothing_costs_a_second_and_no_event(directory, monkeypatch):
    monkeypatch.setattr(Notified, "_arm", lambda self: setattr(self, "_watched", 99) or True)
    fabric = open_fabric(f"file:{directory}")
    consumer = fabric.consumer("r")
    threading.Timer(0.1, lambda: fabric.publisher("s", immediate=True).publish(TaskSubmitted(task=1))).start()
    started = time.monotonic()
    assert consumer.poll(10)
    assert time.monotonic() - started < 4


def test_closed_reader_holds_no_descriptor(directory):
    before = set(os.listdir("/proc/self/fd"))
    consumer = open_fabric(f"file:{directory}").consumer("r")
    consumer.poll(0.01)
    consumer.close()
    consumer.close()
    assert set(os.listdir("/proc/self/fd")) <= before


@pytest.fixture
def holed(directory, monkeypatch):
    """A log on a network file system, as it were, whose second frame is not there yet, but its third is."""
    monkeypatch.setattr(watching, "LOCAL", frozenset())
    speaker = open_fabric(f"file:{directory}").publisher("s", immediate=True)
    ends = []
    for number in range(3):
        speaker.publish(TaskSubmitted(task=number, func="x" * 100))
        (path,) = directory.glob("*.events")
        ends.append(path.stat().st_size)
    data = path.read_bytes()
    path.write_bytes(data[: ends[0]] + bytes(ends[1] - ends[0]) + data[ends[1] :])
    return path, data


def test_later_write_that_a_network_file_system_shows_first_waits_for_the_earlier_one(holed, directory):
    path, data = holed
    consumer = open_fabric(f"file:{directory}").consumer("r")
    assert [event.task for event in consumer.poll(0.2)] == [0]
    assert consumer.poll(0.2) == []
    path.write_bytes(data)
    assert [event.task for event in consumer.poll(5)] == [1, 2]
    assert consumer.skipped() == 0


def test_hole_that_is_never_filled_is_passed_over_and_counted(holed, directory, monkeypatch):
    monkeypatch.setattr("parsl_diaspora.fabric.file.consumer.HOLE_PATIENCE", 0.3)
    consumer = open_fabric(f"file:{directory}").consumer("r")
    assert [event.task for event in consumer.poll(0.1)] == [0]
    assert [event.task for event in consumer.poll(5)] == [2]
    assert consumer.skipped() == 1


def test_hole_in_a_log_that_does_not_grow_any_more_is_damage_at_once(holed, directory):
    path, _ = holed
    long_ago = time.time() - 3600
    os.utime(path, (long_ago, long_ago))
    consumer = open_fabric(f"file:{directory}").consumer("r")
    assert [event.task for event in consumer.poll()] == [0, 2]
    assert consumer.skipped() == 1
