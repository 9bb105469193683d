"""Segments of the embedded log begin, grow old, and go."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from parsl_diaspora.events import EventsLost, TaskSubmitted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file.options import read_options
from parsl_diaspora.fabric.file.retention import ABANDONED, Retention

TEXT = "x" * 400
DAY = 24 * 3600.0


@pytest.fixture
def directory(tmp_path):
    return tmp_path / "events"


def speak(directory, numbers, query="roll=2000", source="s"):
    """Publish with a publisher that is closed afterwards, but whose process lives on."""
    speaker = open_fabric(f"file:{directory}?{query}").publisher(source, immediate=True)
    for number in numbers:
        speaker.publish(TaskSubmitted(task=number, func=TEXT))
    speaker.close()
    return speaker


def retain(directory, query, now=None):
    """Apply options to a log; what went and what was said."""
    said = []
    gone = Retention(directory, read_options(query, "file:")).apply(said.append, now)
    return gone, said


def segments(directory):
    return sorted(path.name for path in directory.glob("*.events"))


def tasks(directory, name="late reader"):
    return [event.task for event in open_fabric(f"file:{directory}").consumer(name.replace(" ", "-")).poll()]


def other_host(directory):
    """Name the segments as if they came from another host."""
    for path in directory.glob("*.events"):
        path.rename(directory / path.name.replace(os.uname().nodename, "elsewhere"))


def test_segment_is_followed_by_another_at_its_size(directory):
    speak(directory, range(40), "roll=2000")
    assert len(segments(directory)) > 5
    assert all(path.stat().st_size <= 2000 for path in directory.glob("*.events"))
    assert tasks(directory) == list(range(40))


def test_segment_is_followed_by_another_at_its_age(directory):
    speaker = open_fabric(f"file:{directory}?roll_after=50ms").publisher("s", immediate=True)
    speaker.publish(TaskSubmitted(task=1))
    speaker.publish(TaskSubmitted(task=2))
    assert len(segments(directory)) == 1
    time.sleep(0.1)
    speaker.publish(TaskSubmitted(task=3))
    speaker.close()
    assert len(segments(directory)) == 2
    assert tasks(directory) == [1, 2, 3]


def test_oldest_segments_go_until_the_log_is_small_enough(directory):
    speak(directory, range(40))
    before = segments(directory)
    gone, said = retain(directory, "keep=6000")
    assert gone == before[: len(gone)]
    assert said == []
    total = sum(path.stat().st_size for path in directory.iterdir())
    assert 3000 < total <= 6000
    assert tasks(directory) == list(range(40))[-len(tasks(directory)) :], "the newest are there, in order"


def test_segments_go_when_they_are_too_old_but_never_one_that_may_be_written(directory):
    speak(directory, range(40))
    gone, _ = retain(directory, "keep_for=2d", now=time.time() + 3 * DAY)
    assert len(gone) > 5
    assert len(segments(directory)) == 1
    assert retain(directory, "keep_for=2d", now=time.time() + 3 * DAY)[0] == [], "its process is alive"


def test_nothing_goes_before_its_time(directory):
    speak(directory, range(40))
    assert retain(directory, "keep_for=2d", now=time.time() + DAY)[0] == []
    assert retain(directory, "keep=1GB")[0] == []
    assert retain(directory, "")[0] == []


def test_last_segment_of_a_dead_process_goes(directory):
    code = "import sys; from tests.fabric.test_file_retention import *; speak(Path(sys.argv[1]), range(3))"
    subprocess.run([sys.executable, "-c", "from pathlib import Path\n" + code, str(directory)], check=True)
    assert len(segments(directory)) == 1
    assert len(retain(directory, "keep_for=1h", now=time.time() + 7200)[0]) == 1


def test_last_segment_of_another_host_goes_only_when_it_was_left_for_long(directory):
    speak(directory, range(3), "roll=1MB")
    other_host(directory)
    assert retain(directory, "keep_for=1h", now=time.time() + 7200)[0] == []
    assert len(retain(directory, "keep_for=1h", now=time.time() + ABANDONED + 60)[0]) == 1


def test_segment_that_a_named_consumer_has_not_read_stays(directory, caplog):
    speak(directory, range(40))
    consumer = open_fabric(f"file:{directory}").consumer("slow")
    read = consumer.poll(limit=12)
    consumer.commit()
    gone, said = retain(directory, "keep=2000")
    assert said == []
    assert gone
    assert "slow" in caplog.text
    assert "unread=delete" in caplog.text
    later = open_fabric(f"file:{directory}").consumer("slow")
    assert [event.task for event in read + later.poll()] == list(range(40))
    later.commit()
    assert len(retain(directory, "keep=2000")[0]) > 5, "now it has read them"


def test_unread_segments_go_if_the_log_says_so_and_the_loss_is_said(directory):
    speak(directory, range(40))
    consumer = open_fabric(f"file:{directory}").consumer("slow")
    consumer.poll(limit=10)
    consumer.commit()
    gone, said = retain(directory, "keep=3000&unread=delete")
    assert gone
    assert all(isinstance(event, EventsLost) and "slow" in event.why for event in said)
    later = open_fabric(f"file:{directory}").consumer("slow")
    assert sum(event.count for event in said) + len(later.poll()) + 10 >= 40


def test_reader_that_meets_the_deletion_counts_what_it_missed(directory):
    speak(directory, range(40))
    consumer = open_fabric(f"file:{directory}").consumer("reading")
    consumer.poll(limit=2)
    retain(directory, "keep=2000")
    while consumer.poll():
        pass
    assert consumer.skipped() > 0


def test_positions_of_deleted_segments_are_forgotten(directory):
    speak(directory, range(40))
    consumer = open_fabric(f"file:{directory}").consumer("reading")
    consumer.poll()
    consumer.commit()
    assert len(consumer.position()) > 5
    retain(directory, "keep=2000")
    consumer.poll()
    assert set(consumer.position()) == set(segments(directory))


def test_what_belongs_to_a_segment_goes_with_it(directory):
    speaker = open_fabric(f"file:{directory}?roll=2MB").publisher("s", immediate=True)
    for number in range(80):
        speaker.publish(TaskSubmitted(task=number, func="x" * (150_000 if number < 5 else 50_000)))
    speaker.close()
    assert list(directory.glob("*.index"))
    assert len(list((directory / "large").iterdir())) == 5
    retain(directory, "keep_for=1s", now=time.time() + 10)
    assert len(segments(directory)) == 1
    assert not [
        path for path in directory.glob("*.index") if path.stem + ".events" not in segments(directory)
    ]
    assert not list((directory / "large").iterdir())


@pytest.mark.parametrize("immediate_reader", [False, True])
def test_publisher_keeps_its_log_small_by_itself(directory, immediate_reader):
    fabric = open_fabric(f"file:{directory}?roll=20kB&keep=100kB")
    speaker = fabric.publisher("s")
    reader = fabric.consumer("r") if immediate_reader else None
    seen = 0
    for number in range(2000):
        speaker.publish(TaskSubmitted(task=number, func=TEXT))
        if number % 100 == 99:
            speaker.flush(5)
            if reader is not None:
                seen += len(reader.poll())
                reader.commit()
    speaker.close()
    assert sum(path.stat().st_size for path in directory.glob("*.events")) < 150_000
    if reader is not None:
        seen += len(reader.poll())
        assert seen == 2000, "nothing went that the named consumer had not read"


def test_two_that_delete_at_once_do_no_harm(directory):
    speak(directory, range(200))
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.fabric.test_file_retention import *\n"
        "print(len(retain(Path(sys.argv[1]), 'keep=10000')[0]))"
    )
    command = [sys.executable, "-c", code, str(directory)]
    both = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(2)]
    for process in both:
        process.communicate(timeout=60)
        assert process.returncode == 0
    kept = tasks(directory)
    assert kept == list(range(200))[-len(kept) :]
    assert 5_000 < sum(path.stat().st_size for path in directory.glob("*.events")) <= 10_000
