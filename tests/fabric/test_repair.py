"""Damage is taken out of a log: nothing that can be read is lost, and nobody reads anything twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from parsl_diaspora.events import EventsDamaged, TaskSubmitted
from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.fabric.file.repair import TOLD, repair
from parsl_diaspora.fabric.file.verify import verify
from tests.fabric.old_logs import damage, read, segment, tasks


@pytest.fixture
def damaged(directory):
    """Frames of two events, of which the second and the fourth are damaged, and a torn tail."""
    path, ends = segment(directory, [2] * 6)
    damage(path, ends, 1, 3)
    path.write_bytes(path.read_bytes()[:-5])
    return path, ends


def notes(directory):
    return [event for event in read(directory, "noter") if isinstance(event, EventsDamaged)]


def test_whole_frames_stay_byte_for_byte_and_the_old_segment_is_kept(directory, damaged):
    path, ends = damaged
    old = path.read_bytes()
    (done,) = repair(directory)
    assert (directory / done.kept).read_bytes() == old
    whole = b"".join(old[ends[number] : ends[number + 1]] for number in (0, 2, 4))
    assert path.read_bytes().startswith(whole)
    assert tasks(read(directory)) == [1, 2, 5, 6, 9, 10]
    verdict = verify(directory)
    assert (verdict.damaged, verdict.torn) == ([], [])


def test_what_was_cut_out_is_said_and_how_many_events_later_numbers_tell_of(directory, damaged):
    path, ends = damaged
    (done,) = repair(directory)
    said = [(each.file, each.offset, each.size, each.count, each.kept) for each in notes(directory)]
    assert said == [
        (path.name, ends[1], ends[2] - ends[1], 2, done.kept),
        (path.name, ends[3], ends[4] - ends[3], 2, done.kept),
        (path.name, ends[5], ends[6] - ends[5] - 5, 0, done.kept),
    ]
    assert [stretch.torn for stretch in done.stretches] == [False, False, True]


def test_a_second_repair_finds_nothing_to_do(directory, damaged):
    list(repair(directory))
    after = damaged[0].read_bytes()
    assert list(repair(directory)) == []
    assert damaged[0].read_bytes() == after


def test_a_dry_run_tells_and_changes_nothing(directory, damaged):
    before = damaged[0].read_bytes()
    (told,) = repair(directory, dry_run=True)
    assert (len(told.stretches), told.kept) == (3, "")
    assert damaged[0].read_bytes() == before
    assert not (directory / "damaged").exists()


def test_whole_segments_are_not_touched_and_duplicates_need_no_repair(directory, damaged):
    path, _ = segment(directory, [3], boot="cd")
    copy = directory / "copy.events"
    copy.write_bytes(path.read_bytes())
    before = path.stat().st_ino, copy.stat().st_ino
    assert [each.name for each in repair(directory)] == [damaged[0].name]
    assert (path.stat().st_ino, copy.stat().st_ino) == before


@pytest.mark.parametrize("polls", range(5))
def test_a_consumer_neither_misses_nor_rereads_anything(directory, damaged, polls):
    consumer = FileFabric(f"file:{directory}").consumer("reader")
    had = [event for _ in range(polls) for event in consumer.poll(limit=2)]
    consumer.commit()
    os.utime(directory / "consumers" / "reader.json", (0, 0))
    list(repair(directory))
    assert tasks(had) + tasks(read(directory)) == [1, 2, 5, 6, 9, 10]


def test_a_consumer_that_had_read_everything_still_learns_of_the_repair(directory, damaged):
    read(directory, commit=True)
    list(repair(directory))
    assert {type(event) for event in read(directory)} == {EventsDamaged}


def test_what_somebody_is_just_reading_is_left(directory, damaged):
    read(directory, commit=True, limit=2, once=True)
    (left,) = repair(directory)
    assert left.left == "it is just being read by reader"
    (done,) = repair(directory, force=True)
    assert done.kept


def test_a_segment_whose_writer_lives_is_left_unless_forced_and_then_nothing_is_lost(directory):
    publisher = FileFabric(f"file:{directory}").publisher("me", immediate=True)
    for number in range(3):
        publisher.publish(TaskSubmitted(task=number))
    (path,) = directory.glob("*.events")
    data = bytearray(path.read_bytes())
    data[60] ^= 0xFF
    with path.open("r+b") as file:
        file.write(data)
    (left,) = repair(directory)
    assert left.left == "its writer lives"
    (done,) = repair(directory, force=True)
    time.sleep(0.01)
    for number in range(3, 6):
        publisher.publish(TaskSubmitted(task=number))
    publisher.close()
    assert done.kept
    assert list(dict.fromkeys(tasks(read(directory)))) == [1, 2, 3, 4, 5]  # what is new may be there twice


def test_a_segment_of_another_host_is_repaired_once_it_has_not_grown_for_a_minute(directory):
    path, ends = segment(directory, [1, 1, 1], name="elsewhere.7.ab.0000")
    damage(path, ends, 1)
    (left,) = repair(directory)
    assert "grown within the last minute" in left.left
    os.utime(path, (time.time() - 61,) * 2)
    (done,) = repair(directory)
    assert done.kept
    assert tasks(read(directory)) == [1, 3]


def test_a_foreign_file_is_never_touched(directory):
    notes_of_a_user = directory / "notes.events"
    segment(directory, [1])
    notes_of_a_user.write_text("My notes.\n" * 30)
    (left,) = repair(directory, force=True)
    assert "no segment of this log" in left.left
    assert notes_of_a_user.read_text() == "My notes.\n" * 30


def test_the_time_index_of_a_repaired_segment_goes(directory, damaged):
    index = damaged[0].with_suffix(".index")
    index.write_bytes(b"old offsets")
    list(repair(directory))
    assert not index.exists()


def test_very_many_stretches_are_told_in_one_frame(directory):
    path, ends = segment(directory, [1] * 1001)
    damage(path, ends, *range(0, 1000, 2))
    list(repair(directory))
    said = notes(directory)
    assert len(said) == TOLD
    assert sum(each.count for each in said) == 500
    assert len(tasks(read(directory))) == 501


# --- killed at any moment ---

KILLED = """
import os, signal, sys
from pathlib import Path
from parsl_diaspora.fabric.file.{module} import {name}

left = int(sys.argv[2])

def deadly(call):
    def wrapped(*arguments, **options):
        global left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        result = call(*arguments, **options)
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return wrapped

for name in ("replace", "link", "unlink", "fsync", "mkdir", "open"):
    setattr(os, name, deadly(getattr(os, name)))
{body}
"""


def killed_after(boundary, directory, body, module="repair", name="repair"):
    """Run a program that is killed at the given boundary; whether it was."""
    code = KILLED.format(module=module, name=name, body=body)
    done = subprocess.run(
        [sys.executable, "-c", code, str(directory), str(boundary)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode != 0


def test_killed_at_any_boundary_it_loses_nothing_and_a_second_run_finishes_the_job(tmp_path):
    seed = int(os.environ.get("SEED", random.randrange(10_000)))
    print(f"seed {seed}")
    draw = random.Random(seed)
    boundary, killed = 0, 0
    while True:
        boundary += draw.randint(1, 3)
        directory = tmp_path / str(boundary)
        path, ends = segment(directory, [2] * 6)
        damage(path, ends, 1, 3)
        old = path.read_bytes()
        read(directory, "end", commit=True)
        had = tasks(read(directory, "middle", commit=True, limit=2 * draw.randint(1, 2), once=True))
        os.utime(directory / "consumers" / "middle.json", (0, 0))
        was_killed = killed_after(boundary, directory, "list(repair(Path(sys.argv[1])))")
        assert tasks(read(directory, "new")) == [1, 2, 5, 6, 9, 10, 11, 12]
        list(repair(directory))
        assert not verify(directory).damaged
        assert not [*directory.glob("*.new"), *directory.glob("consumers/*.new")]
        assert tasks(read(directory, "new")) == [1, 2, 5, 6, 9, 10, 11, 12]
        assert tasks(read(directory, "end")) == []
        assert set(had) | set(tasks(read(directory, "middle"))) == {1, 2, 5, 6, 9, 10, 11, 12}
        assert old in [each.read_bytes() for each in (directory / "damaged").glob("*/*.events")]
        killed += was_killed
        if not was_killed:
            break
    assert killed > 10


def test_notes_are_events_like_others(directory, damaged):
    list(repair(directory))
    said = notes(directory)
    assert len({event.id for event in said}) == 3
    assert json.dumps([event.source for event in said]).count("repair:") == 3
