"""Where a consumer of the embedded log begins: a time, a position, and how little is read for it."""

from __future__ import annotations

import os
import random
import time

import pytest

from parsl_diaspora.errors import FabricError
from parsl_diaspora.events import TaskSubmitted, encode
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file import frames, segment
from parsl_diaspora.fabric.file.index import STEP, index_of, offset_before
from parsl_diaspora.fabric.file.segment import SegmentWriter

EACH = 100


class Clock:
    """The wall clock as the writer sees it."""

    def __init__(self, monkeypatch):
        self.now = 1_000_000.0
        monkeypatch.setattr(segment.time, "time", lambda: self.now)


@pytest.fixture
def directory(tmp_path):
    place = tmp_path / "events"
    place.mkdir()
    return place


@pytest.fixture
def long_log(directory, monkeypatch):
    """5 MB with a frame for each second; the path of its only segment."""
    with monkeypatch.context() as patch:
        clock = Clock(patch)
        writer = SegmentWriter(directory, "ab")
        for number in range(500):
            clock.now += 1
            writer.append(_batch(number), number * EACH + 1)
        writer.close()
    (path,) = directory.glob("*.events")
    assert path.stat().st_size > 4 * STEP
    return path


def _batch(number):
    first = number * EACH
    return [
        encode(TaskSubmitted(boot="ab", seq=first + i + 1, task=first + i, func="x" * 60))
        for i in range(EACH)
    ]


def first_task(directory, start):
    events = open_fabric(f"file:{directory}").consumer("reader", start=start).poll(limit=1)
    return events[0].task if events else None


def test_time_is_found_without_reading_what_is_long_before(directory, long_log, monkeypatch):
    read = []
    pread = os.pread
    monkeypatch.setattr(frames.os, "pread", lambda fd, size, at: read.append(at) or pread(fd, size, at))
    assert first_task(directory, 1_000_450.0) == 449 * EACH
    assert min(read) > long_log.stat().st_size - 2.5 * STEP


def test_latest_is_found_without_reading_the_whole_log(directory, long_log, monkeypatch):
    read = []
    pread = os.pread
    monkeypatch.setattr(frames.os, "pread", lambda fd, size, at: read.append(at) or pread(fd, size, at))
    assert first_task(directory, "latest") is None
    assert min(read) > long_log.stat().st_size - 2 * STEP


@pytest.mark.parametrize("second", [0, 1, 2, 250, 499, 500])
def test_each_time_is_found_exactly(directory, long_log, second):
    expected = max(0, second - 1) * EACH
    assert first_task(directory, 1_000_000.0 + second) == expected
    index_of(long_log).unlink()
    assert first_task(directory, 1_000_000.0 + second) == expected


def test_clock_that_steps_back_hides_nothing(directory, monkeypatch):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    with monkeypatch.context() as patch:
        clock = Clock(patch)
        writer, times = SegmentWriter(directory, "ab"), []
        for number in range(500):
            clock.now += chance.choice([1, 1, 1, 5, -30])
            times.append(clock.now)
            writer.append(_batch(number), number * EACH + 1)
        writer.close()
    for moment in chance.sample(times, 20):
        consumer = open_fabric(f"file:{directory}").consumer("reader", start=moment)
        found = set()
        while events := consumer.poll():
            found.update(event.task // EACH for event in events)
        assert {number for number, said in enumerate(times) if said >= moment} <= found


def test_damaged_index_costs_reading_and_never_events(directory, long_log):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    index = index_of(long_log)
    whole = index.read_bytes()
    for _ in range(50):
        damaged = bytearray(whole)
        for _ in range(chance.randrange(1, 5)):
            damaged[chance.randrange(len(damaged))] ^= 1 << chance.randrange(8)
        index.write_bytes(damaged[: chance.randrange(1, len(damaged) + 1)])
        assert first_task(directory, 1_000_400.0) == 399 * EACH


def test_index_of_a_segment_that_was_cut_is_not_believed_beyond_its_end(long_log):
    assert offset_before(long_log, float("inf"), size=STEP // 2) == 0


def test_small_segments_have_no_index(directory):
    writer = SegmentWriter(directory, "ab")
    for number in range(10):
        writer.append(_batch(number), number * EACH + 1)
    writer.close()
    assert [path.suffix for path in directory.iterdir()] == [".events"]


def test_index_that_cannot_be_written_does_not_disturb(directory):
    writer = SegmentWriter(directory, "ab")
    writer.append(_batch(0), 1)
    (path,) = directory.glob("*.events")
    index_of(path).mkdir()
    for number in range(1, 200):
        writer.append(_batch(number), number * EACH + 1)
    writer.close()
    assert first_task(directory, time.time() - 3600) == 0


def test_position_is_where_another_consumer_begins(directory, long_log):
    fabric = open_fabric(f"file:{directory}")
    first = fabric.consumer("first")
    seen = first.poll(limit=1000)
    position = first.position()
    assert all(isinstance(name, str) and at > 0 for name, at in position.items())
    second = fabric.consumer("second", start=position)
    assert second.poll(limit=1)[0].task == seen[-1].task + 1
    assert second.lag() < first.lag() + 1


def test_committed_position_goes_before_any_start(directory, long_log):
    fabric = open_fabric(f"file:{directory}")
    first = fabric.consumer("one")
    first.poll(limit=1000)
    first.commit()
    again = fabric.consumer("one", start={})
    assert again.position() == first.position()


@pytest.mark.parametrize(
    "start", [{"a": -1}, {"a": "b"}, {1: 1}, {"a": 1.5}, None, "yesterday", float("nan")]
)
def test_start_that_is_none_is_refused(directory, start):
    with pytest.raises(FabricError, match="cannot start"):
        open_fabric(f"file:{directory}").consumer("reader", start=start)
