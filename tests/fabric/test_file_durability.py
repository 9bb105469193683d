"""How safe an event of the embedded log is, and what ``flush()`` says about it."""

from __future__ import annotations

import errno
import os
import threading
import time

import pytest

from parsl_diaspora.events import TaskEnded, TaskSubmitted, TryFailed
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file import disk
from parsl_diaspora.fabric.file.sync import INTERVAL, Syncer
from tests.waiting import becomes


class Disk:
    """Stands between the log and ``fdatasync``: counts, delays or refuses."""

    def __init__(self, monkeypatch, place):
        self.place = str(place)
        self.synced = 0
        self.broken = False
        self.gate = threading.Event()
        self.gate.set()
        self._fdatasync = os.fdatasync
        monkeypatch.setattr(disk.os, "fdatasync", self)

    def __call__(self, fd):
        self.gate.wait()
        if self.broken:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        self._fdatasync(fd)
        self.synced += os.readlink(f"/proc/self/fd/{fd}").startswith(self.place)  # not what others left


@pytest.fixture
def fake(monkeypatch, tmp_path):
    disk = Disk(monkeypatch, tmp_path)
    yield disk
    disk.gate.set()


@pytest.fixture(params=[False, True], ids=["queued", "immediate"])
def immediate(request):
    return request.param


@pytest.fixture
def speaker_with(tmp_path):
    speakers = []

    def open_one(query="", **options):
        speakers.append(open_fabric(f"file:{tmp_path}/events?{query}").publisher("s", **options))
        return speakers[-1]

    yield open_one
    for speaker in speakers:
        speaker.close()


def test_events_reach_the_disk_soon_without_any_flush(fake, speaker_with, immediate):
    speaker = speaker_with(immediate=immediate)
    for number in range(50):
        speaker.publish(TaskSubmitted(task=number))
    assert becomes(lambda: speaker.flush(0.0).synced == 50)
    assert 1 <= fake.synced < 10, "in groups, not one by one"


def test_flush_waits_for_the_disk(fake, speaker_with, immediate):
    speaker = speaker_with(immediate=immediate)
    speaker.publish(TaskSubmitted(task=1))
    report = speaker.flush(5)
    assert (report.safe, report.waiting, report.synced) == (1, 0, 1)
    assert fake.synced


def test_flush_says_what_is_not_on_the_disk_yet_and_does_not_wait_for_ever(fake, speaker_with, immediate):
    speaker = speaker_with(immediate=immediate)
    fake.gate.clear()
    speaker.publish(TaskSubmitted(task=1))
    started = time.monotonic()
    report = speaker.flush(0.3)
    assert time.monotonic() - started < 2
    assert (report.safe, report.waiting, report.synced) == (1, 0, 0)
    fake.gate.set()
    assert speaker.flush(5).synced == 1


def test_slow_disk_delays_no_write(fake, speaker_with, immediate):
    speaker = speaker_with(immediate=immediate)
    speaker.publish(TaskSubmitted(task=0))
    fake.gate.clear()
    time.sleep(2 * INTERVAL)
    started = time.monotonic()
    for number in range(1, 200):
        speaker.publish(TaskSubmitted(task=number))
    assert becomes(lambda: speaker.flush(0.0).safe == 200)
    assert time.monotonic() - started < 2


def test_topic_without_durability_is_never_synced(fake, speaker_with, immediate):
    speaker = speaker_with("durability=none", immediate=immediate)
    speaker.publish(TaskSubmitted(task=1))
    report = speaker.close()
    assert (report.safe, report.synced, fake.synced) == (1, 0, 0)


def test_topic_with_fsync_is_not_safe_before_it_is_on_the_disk(fake, speaker_with):
    speaker = speaker_with("durability=none&durability.failures=fsync")
    speaker.publish(TaskSubmitted(task=1))
    assert speaker.flush(5).safe == 1
    assert fake.synced == 0
    fake.gate.clear()
    speaker.publish(TryFailed(task=1))
    assert speaker.flush(1).safe == 1
    fake.gate.set()
    report = speaker.flush(5)
    assert (report.safe, report.synced) == (2, 2)


def test_immediate_publish_of_a_topic_with_fsync_returns_with_the_event_on_the_disk(fake, speaker_with):
    speaker = speaker_with("durability.failures=fsync", immediate=True)
    speaker.publish(TryFailed(task=1))
    assert fake.synced == 1
    assert speaker.flush(0.0).synced == 1


def test_events_that_wait_together_are_synced_together(fake, speaker_with):
    speaker = speaker_with("durability.failures=fsync")
    speaker.publish(TryFailed(task=0))
    speaker.flush(5)
    before = fake.synced
    fake.gate.clear()
    for number in range(1, 300):
        speaker.publish(TryFailed(task=number))
    fake.gate.set()
    assert speaker.flush(5).safe == 300
    assert fake.synced - before < 20


def test_events_of_a_failed_sync_are_never_called_synced(fake, speaker_with, immediate, caplog):
    speaker = speaker_with(immediate=immediate)
    fake.broken = True
    speaker.publish(TaskSubmitted(task=1))
    report = speaker.flush(5)
    assert (report.safe, report.synced) == (1, 0)
    fake.broken = False
    time.sleep(0.01)
    speaker.publish(TaskSubmitted(task=2))
    report = speaker.flush(5)
    assert (report.safe, report.synced) == (2, 1)
    assert sum("did not take what was written" in record.message for record in caplog.records) == 1


def test_file_whose_sync_failed_is_not_written_again(fake, speaker_with, tmp_path):
    speaker = speaker_with(immediate=True)
    fake.broken = True
    speaker.publish(TaskSubmitted(task=1))
    speaker.flush(5)
    fake.broken = False
    time.sleep(0.01)
    speaker.publish(TaskSubmitted(task=2))
    assert len(list((tmp_path / "events").glob("*.events"))) == 2


def test_event_with_fsync_whose_sync_failed_is_written_again_and_not_lost(fake, speaker_with, tmp_path):
    speaker = speaker_with("durability=fsync")
    fake.broken = True
    speaker.publish(TaskEnded(task=1))
    assert speaker.flush(0.2).safe == 0
    fake.broken = False
    assert speaker.flush(5).safe == 1
    events = open_fabric(f"file:{tmp_path}/events").consumer("r").poll()
    assert {event.id for event in events} == {events[0].id}, "twice is allowed: readers know it by its id"


def test_segments_that_were_rolled_reach_the_disk_as_well(fake, speaker_with, tmp_path):
    speaker = speaker_with("roll=1000", immediate=True)
    for number in range(30):
        speaker.publish(TaskSubmitted(task=number, func="x" * 200))
    assert speaker.flush(5).synced == 30
    files = len(list((tmp_path / "events").glob("*.events")))
    assert files > 5
    assert fake.synced >= files


def test_no_descriptor_is_left_open_by_rolling(speaker_with, tmp_path):
    speaker = speaker_with("roll=1000", immediate=True)
    for number in range(300):
        speaker.publish(TaskSubmitted(task=number, func="x" * 500))
    speaker.close()
    assert becomes(lambda: not _open_below(tmp_path))


def test_forked_child_syncs_what_it_writes(speaker_with, tmp_path):
    speaker = speaker_with()
    speaker.publish(TaskSubmitted(task=1))
    speaker.flush(5)
    child = os.fork()
    if child == 0:
        speaker.publish(TaskSubmitted(task=2))
        os._exit(0 if speaker.flush(5).synced == 1 else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_one_writer_that_cannot_be_synced_does_not_keep_others_from_it():
    class Writer:
        done = False

        def __init__(self, error=None):
            self.error = error

        def sync(self):
            self.done = True
            if self.error:
                raise self.error

    syncer = Syncer(interval=0.01)
    writers = [Writer(OSError("no")), Writer(RuntimeError("odd")), Writer()]
    for writer in writers:
        syncer.add(writer)
    assert syncer.wait(writers[-1], 5)
    assert all(writer.done for writer in writers)


def _open_below(place):
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if target.startswith(str(place)):
            found.append(target)
    return found
