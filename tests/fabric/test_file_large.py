"""Events of the embedded log that are too large for a frame."""

from __future__ import annotations

import logging

import pytest

from parsl_diaspora.events import TaskEnded, TaskSubmitted, Unknown, encode, join
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file.frames import LARGEST_FRAME, Scan, pack_frame, scan_frames
from parsl_diaspora.fabric.file.large import DIRECTORY, KIND, LARGEST, LIMIT
from parsl_diaspora.fabric.file.segment import SegmentWriter

SIZES = [10, LIMIT - 500, LIMIT + 1, 300_000, 10, LARGEST - 500]


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "events"


@pytest.fixture(params=[False, True], ids=["queued", "immediate"])
def immediate(request):
    return request.param


def speak(directory, sizes, **options):
    speaker = open_fabric(f"file:{directory}").publisher("s", **options)
    for number, size in enumerate(sizes):
        speaker.publish(TaskEnded(task=number, run="r", error=chr(65 + number) * size))
    return speaker.close()


def read(directory):
    consumer = open_fabric(f"file:{directory}").consumer("reader")
    return consumer.poll(), consumer


def test_large_events_arrive_in_their_place(directory, immediate):
    assert speak(directory, SIZES, immediate=immediate).safe == len(SIZES)
    events, consumer = read(directory)
    assert [(event.task, len(event.error), event.error[0]) for event in events] == [
        (number, size, chr(65 + number)) for number, size in enumerate(SIZES)
    ]
    assert [event.seq for event in events] == list(range(1, len(SIZES) + 1))
    assert consumer.skipped() == 0


def test_no_frame_is_larger_than_the_cap(directory, immediate):
    speak(directory, SIZES * 3, immediate=immediate)
    for path in directory.glob("*.events"):
        scan = Scan(0)
        frames = list(scan_frames(path.read_bytes(), 0, scan))
        assert max(frame.end - frame.start for frame in frames) <= LARGEST_FRAME


def test_ready_frame_beyond_the_cap_is_made_smaller(directory):
    directory.mkdir()
    events = [
        TaskEnded(boot="b", seq=n + 1, task=n, error="x" * (250_000 if n == 1 else 100)) for n in range(3)
    ]
    frame = pack_frame(join([encode(event) for event in events]), 3, 1, 5.0)
    writer = SegmentWriter(directory, "ab")
    writer.append_frames([frame])
    writer.close()
    found, _ = read(directory)
    assert found == events


@pytest.mark.parametrize("harm", ["missing", "cut", "changed", "longer"])
def test_large_event_whose_file_is_not_whole_is_passed_over_and_counted(directory, harm, caplog):
    speak(directory, [10, 100_000, 10])
    (path,) = (directory / DIRECTORY).iterdir()
    data = path.read_bytes()
    if harm == "missing":
        path.unlink()
    else:
        path.write_bytes(
            {"cut": data[:-1], "changed": data[:-1] + bytes([data[-1] ^ 1]), "longer": data + b"x"}[harm]
        )
    with caplog.at_level(logging.WARNING):
        events, consumer = read(directory)
    assert [event.task for event in events] == [0, 2]
    assert consumer.skipped() == 1
    assert "too large for a segment" in caplog.text


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "..", ""])
def test_reference_to_a_file_elsewhere_is_not_followed(directory, name):
    directory.mkdir()
    reference = Unknown(boot="b", seq=1, said_kind=KIND, data={"file": name, "size": 10, "crc": 0})
    writer = SegmentWriter(directory, "ab")
    writer.append([encode(reference)], 1)
    writer.close()
    events, consumer = read(directory)
    assert events == []
    assert consumer.skipped() == 1


def test_event_that_cannot_be_set_aside_waits_like_any_other(directory):
    directory.mkdir()
    (directory / DIRECTORY).write_text("in the way")
    speaker = open_fabric(f"file:{directory}").publisher("s")
    speaker.publish(TaskEnded(task=1, error="x" * 100_000))
    speaker.publish(TaskSubmitted(task=2))
    assert speaker.flush(0.2).waiting == 2
    (directory / DIRECTORY).unlink()
    assert speaker.flush(5).safe == 2
    speaker.close()
    assert [event.task for event in read(directory)[0]] == [1, 2]


def test_nothing_unfinished_is_left_beside_large_events(directory):
    speak(directory, SIZES)
    assert not list((directory / DIRECTORY).glob("*.tmp"))
