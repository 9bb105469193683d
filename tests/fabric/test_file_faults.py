"""The embedded log among foreign files, with other programs, stopped neighbours and vanishing directories."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from contextlib import suppress

import pytest

from parsl_diaspora.errors import FabricError, FabricUnavailable
from parsl_diaspora.events import RunEnded, TaskSubmitted, encode
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file.positions import keep_positions
from parsl_diaspora.fabric.file.verify import verify
from parsl_diaspora.state.reading import Reading
from parsl_diaspora.testing.history import check
from parsl_diaspora.testing.history.actors import Reader, Writer, play


def say(publisher, numbers, run=""):
    for number in numbers:
        publisher.publish(TaskSubmitted(run=run, task=number))
    assert publisher.flush().waiting == 0


def poll_all(consumer):
    events = []
    while batch := consumer.poll():
        events += batch
    return events


def tasks(fabric, name="reader", **options):
    return [event.task for event in poll_all(fabric.consumer(name, **options))]


# --- foreign files ----------------------------------------------------------------------------------------


def a_text(path):
    path.write_text("task,time\n1,2\n" * 5000)


def an_image_of_zeros(path):
    path.write_bytes(bytes(3_000_000))


def a_sparse_file(path):
    with path.open("wb") as file:
        file.truncate(50_000_000)


def an_empty_file(path):
    path.touch()


def a_directory(path):
    path.mkdir()
    (path / "inner.events").write_bytes(b"x" * 100)


def a_pipe(path):
    os.mkfifo(path)


def a_loop(path):
    path.symlink_to(path.name)


def a_device(path):
    path.symlink_to("/dev/zero")


def a_socket_of_others(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(path))


def a_file_with_the_header_of_a_frame_only(path):
    path.write_bytes(b"PDe1" + bytes(28))


FOREIGN = [
    a_text,
    an_image_of_zeros,
    a_sparse_file,
    an_empty_file,
    a_directory,
    a_pipe,
    a_loop,
    a_device,
    a_socket_of_others,
    a_file_with_the_header_of_a_frame_only,
]


@pytest.mark.parametrize("foreign", FOREIGN, ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", ["000.events", "relay.000009-é \n.events"])
def test_foreign_file_among_the_segments_hides_nothing_and_holds_up_nobody(
    tmp_path, monkeypatch, foreign, name
):
    monkeypatch.chdir(tmp_path)
    fabric = open_fabric(f"file:{tmp_path / 'events'}")
    publisher = fabric.publisher("s")
    say(publisher, range(5))
    foreign(tmp_path / "events" / name)
    started = time.monotonic()
    consumer = fabric.consumer("reader")
    assert [event.task for event in poll_all(consumer)] == list(range(5))
    consumer.commit()
    say(publisher, range(5, 8))
    assert consumer.lag() == 3
    assert [event.task for event in poll_all(consumer)] == [5, 6, 7]
    assert tasks(fabric, "since", start=1.0) == list(range(8))
    assert verify(tmp_path / "events").events == 8
    assert publisher.close().safe == 8
    assert time.monotonic() - started < 10


def test_foreign_file_that_becomes_a_segment_is_read_from_then_on(tmp_path):
    fabric = open_fabric(f"file:{tmp_path / 'events'}")
    say(fabric.publisher("s", immediate=True), range(3))
    (segment,) = (tmp_path / "events").glob("*.events")
    late = tmp_path / "events" / "late.0000.events"
    late.touch()
    consumer = fabric.consumer("reader")
    assert len(poll_all(consumer)) == 3
    late.write_bytes(segment.read_bytes())
    assert len(poll_all(consumer)) == 3


# --- two programs -----------------------------------------------------------------------------------------

_RUN = """
import sys, time
from parsl_diaspora.events import RunEnded, RunStarted, TaskSubmitted
from parsl_diaspora.fabric import open_fabric
url, run = sys.argv[1:]
fabric = open_fabric(url)
publisher = fabric.publisher(f"submit:{run}")
own = fabric.consumer(f"state-{run}")
publisher.publish(RunStarted(run=run))
met = []
for number in range(300):
    publisher.publish(TaskSubmitted(run=run, task=number))
    if number % 10 == 0:
        met += own.poll(0.005)
        own.commit()
publisher.publish(RunEnded(run=run, done=300))
publisher.close()
deadline = time.monotonic() + 10
while sum(event.run == run for event in met) < 302 and time.monotonic() < deadline:
    met += own.poll(0.1)
mine = [event.task for event in met if isinstance(event, TaskSubmitted) and event.run == run]
assert mine == list(range(300)), len(mine)
assert {event.source for event in met if event.run == run} == {f"submit:{run}"}
"""


def explained(url, *command):
    """What the command line tells of a run."""
    program = [sys.executable, "-W", "ignore", "-m", "parsl_diaspora.cli.main", *command, "--fabric", url]
    done = subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_programs_at_one_directory_at_the_same_time_do_not_mix(tmp_path):
    url = f"file:{tmp_path / 'events'}"
    commands = [[sys.executable, "-W", "ignore", "-c", _RUN, url, run] for run in ("left", "right")]
    programs = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    for program in programs:
        _, said = program.communicate(timeout=60)
        assert program.returncode == 0, said
    fabric = open_fabric(url)
    for run in ("left", "right"):
        told = [event for event in Reading(fabric) if event.run == run]
        assert [event.task for event in told if isinstance(event, TaskSubmitted)] == list(range(300))
        assert [event.done for event in told if isinstance(event, RunEnded)] == [300]
        told = explained(url, "events", "export", "--run", run)
        assert {json.loads(line)["run"] for line in told.splitlines()} == {run}
        assert "Task 7" in explained(url, "explain", run, "7")
    assert verify(tmp_path / "events").whole


def test_two_programs_with_a_reader_of_the_same_name_miss_nothing_between_them(tmp_path):
    """They share one position, which is either's; so each may read again, and neither may pass over."""
    url = f"file:{tmp_path / 'events'}"
    writers = [Writer(name=f"w{n}", url=url, notes=f"{tmp_path}/w{n}", seed=n, events=300) for n in range(2)]
    readers = [
        Reader(name="reader", url=url, notes=f"{tmp_path}/r{n}", limit=20, quiet=1.0) for n in range(2)
    ]
    play([*readers, *writers])
    verdict = check(tmp_path / name for name in ("w0", "w1", "r0", "r1"))
    assert verdict.violations.keys() <= {"repeated", "gaps"}, str(verdict)


# --- directories that go, and come back -------------------------------------------------------------------


def test_directory_that_disappears_while_it_is_read_and_comes_back_is_read_on(tmp_path):
    directory, aside = tmp_path / "events", tmp_path / "aside"
    fabric = open_fabric(f"file:{directory}")
    publisher = fabric.publisher("s", immediate=True)
    say(publisher, range(3))
    consumer = fabric.consumer("reader")
    assert len(poll_all(consumer)) == 3
    directory.rename(aside)
    with suppress(FabricUnavailable):
        assert consumer.poll(0.05) == []
    aside.rename(directory)
    say(publisher, range(3, 5))
    assert [event.task for event in poll_all(consumer)] == [3, 4]
    consumer.commit()
    consumer.close()
    assert tasks(fabric) == []


@pytest.mark.parametrize("immediate", [False, True])
def test_directory_that_is_removed_again_and_again_costs_what_it_held_and_no_more(tmp_path, immediate):
    directory = tmp_path / "events"
    fabric = open_fabric(f"file:{directory}")
    publisher = fabric.publisher("s", immediate=immediate)
    consumer = fabric.consumer("reader")
    met = []
    for begin in range(0, 50, 10):
        say(publisher, range(begin, begin + 10))
        met += poll_all(consumer)
        consumer.commit()
        shutil.rmtree(directory)
    say(publisher, range(50, 60))
    met += poll_all(consumer)
    first_met = dict.fromkeys(event.task for event in met)  # what was written just before may come again
    assert list(first_met) == list(range(60))
    assert publisher.close().lost == 0


def test_events_outlast_a_directory_that_becomes_a_file_for_a_while(tmp_path):
    directory = tmp_path / "events"
    fabric = open_fabric(f"file:{directory}")
    publisher = fabric.publisher("s")
    say(publisher, range(3))
    directory.rename(tmp_path / "aside")
    directory.write_text("someone's notes")
    for number in range(3, 6):
        publisher.publish(TaskSubmitted(task=number))
    publisher.flush(0.1)
    directory.unlink()
    (tmp_path / "aside").rename(directory)
    report = publisher.flush(10)
    assert (report.safe, report.waiting, report.lost) == (6, 0, 0)
    assert tasks(fabric) == list(range(6))


# --- neighbours that are stopped or slow ------------------------------------------------------------------

_SLOW = """
import os, stat, time
real = {name: getattr(os, name) for name in ("write", "fdatasync", "fsync")}
def slowly(call):
    def wrapper(fd, *rest):
        if stat.S_ISREG(os.fstat(fd).st_mode):
            time.sleep(0.1)
        return call(fd, *rest)
    return wrapper
for name, call in real.items():
    setattr(os, name, slowly(call))
"""
_NEIGHBOUR = """
import sys, time
from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import open_fabric
publisher = open_fabric(sys.argv[1]).publisher("neighbour", immediate=True)
number = 0
while True:
    number += 1
    publisher.publish(TaskSubmitted(task=number, func="x" * 300))
    if number == 10:
        print("up", flush=True)
"""


def pace(fabric, name):
    """Seconds in which 5000 events are written and read, at best of three."""
    took = []
    for turn in range(3):
        publisher = fabric.publisher(f"{name}-{turn}")
        consumer = fabric.consumer(f"{name}-{turn}", start="latest")
        met, started = 0, time.perf_counter()
        for number in range(5000):
            publisher.publish(TaskSubmitted(task=number))
        assert publisher.flush(20).waiting == 0
        while met < 5000:
            met += sum(event.source == publisher.source for event in consumer.poll(5.0))
        took.append(time.perf_counter() - started)
        publisher.close()
    return min(took)


@pytest.mark.parametrize("way", ["stopped", "slow"])
def test_writer_that_is_stopped_or_slow_holds_up_no_other_writer_and_no_reader(tmp_path, way):
    fabric = open_fabric(f"file:{tmp_path / 'events'}")
    alone = pace(fabric, "before")
    program = textwrap.dedent(_SLOW if way == "slow" else "") + _NEIGHBOUR
    command = [sys.executable, "-W", "ignore", "-c", program, fabric.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as neighbour:
        try:
            neighbour.stdout.readline()
            if way == "stopped":
                neighbour.send_signal(signal.SIGSTOP)
            beside = pace(fabric, "beside")
        finally:
            neighbour.kill()
    print(f"{way} neighbour: {beside / alone:.2f} times as long as alone")
    assert beside < 5 * alone + 0.5
    assert verify(tmp_path / "events").whole


# --- disks that lie ---------------------------------------------------------------------------------------


def test_sync_that_fails_gives_no_two_events_the_same_id(tmp_path, monkeypatch):
    fabric = open_fabric(f"file:{tmp_path / 'events'}?durability=fsync")
    publisher = fabric.publisher("s", immediate=True)
    say(publisher, range(2))
    real = os.fdatasync
    monkeypatch.setattr(os, "fdatasync", failing(errno.EIO))
    publisher.publish(TaskSubmitted(task=2))
    monkeypatch.setattr(os, "fdatasync", real)
    publisher.publish(TaskSubmitted(task=3))
    safe = publisher.flush().safe
    events = poll_all(fabric.consumer("reader"))
    contents = {event.id: encode(event) for event in events}
    assert len(contents) == len(events)
    assert len(events) >= safe
    assert 3 in [event.task for event in Reading(fabric) if isinstance(event, TaskSubmitted)]


def failing(number):
    def call(*_arguments):
        raise OSError(number, os.strerror(number))

    return call


# --- positions and times ----------------------------------------------------------------------------------


def test_position_behind_the_end_of_its_segment_hides_nothing(tmp_path):
    fabric = open_fabric(f"file:{tmp_path / 'events'}")
    publisher = fabric.publisher("s", immediate=True)
    say(publisher, range(5))
    consumer = fabric.consumer("reader")
    poll_all(consumer)
    consumer.commit()
    consumer.close()
    path = tmp_path / "events" / "consumers" / "reader.json"
    ((name, position),) = consumer.position().items()
    keep_positions(path, {name: position + 8_000_000})
    say(publisher, range(5, 8))
    assert {5, 6, 7} <= set(tasks(fabric))


def test_start_at_the_time_of_an_event_includes_it_though_the_clock_stepped_back_before_the_write(
    tmp_path, monkeypatch
):
    fabric = open_fabric(f"file:{tmp_path / 'events'}")
    publisher = fabric.publisher("s", immediate=True)
    clock = iter(range(2_000_000_000, 1_000_000_000, -3600))
    monkeypatch.setattr(time, "time", lambda: float(next(clock)))
    event = TaskSubmitted(task=1)
    publisher.publish(event)
    monkeypatch.undo()
    assert tasks(fabric, start=event.time) == [1]


# --- URLs -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        *(
            "roll=0",
            "roll=-5MB",
            "roll=abc",
            "roll=",
            "roll=inf",
            "roll=nan",
            "roll=1e400",
            "roll=5",
            "rol=5MB",
        ),
        *("keep=0", "keep=5XB", "keep_for=-1d", "keep_for=nan", "keep_for=forever", "durability=maybe", "x"),
    ],
)
def test_size_or_option_that_makes_no_sense_is_an_error_that_names_it_and_writes_nothing(tmp_path, query):
    with pytest.raises(FabricError, match=query.partition("=")[0]):
        open_fabric(f"file:{tmp_path / 'events'}?{query}")
    assert not (tmp_path / "events").exists()
