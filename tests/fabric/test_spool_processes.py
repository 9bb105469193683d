"""Processes that spool and are killed; processes that share a directory."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from parsl_diaspora.events import TaskSubmitted, decode_many
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.fabric.file.frames import Scan, read_frames
from parsl_diaspora.fabric.file.segment import SegmentWriter
from parsl_diaspora.fabric.spool import SpooledFabric
from parsl_diaspora.fabric.spool.owners import Owners, is_dead, writer_named

_LIVES = """
from parsl_diaspora.fabric.spool import SpooledFabric
from parsl_diaspora.testing.faulty_fabric import FaultyFabric
spool, said = Path(arguments[0]), os.open(arguments[1], os.O_APPEND | os.O_WRONLY)
faults = Path(arguments[2])

def wait_for_a_word(before):
    deadline = time.monotonic() + 10
    while os.fstat(said).st_size == before and time.monotonic() < deadline:
        time.sleep(0.001)

def live(life, seed):
    chance = random.Random(f"{seed} {life}")
    faulty = FaultyFabric(open_fabric(url), lambda: faults.read_text() or "up")
    fabric = SpooledFabric(faulty, spool, limit_bytes=400_000_000, flush_timeout=0.02)
    fabric._spool.roll_bytes = 20_000
    speaker = fabric.publisher(f"life-{life}", immediate=life % 2 == 1)
    number = 0
    while True:
        for _ in range(chance.randrange(1, 100)):
            number += 1
            speaker.publish(TaskSubmitted(task=number, func="x" * chance.randrange(400)))
        os.write(said, b"%d %d\\n" % (life, speaker.flush().safe))
        time.sleep(chance.choice([0, 0.002]))
"""


def said_safe(path):
    """What each life called safe last."""
    safe = Counter()
    for line in path.read_text().splitlines():
        life, count = map(int, line.split())
        safe[f"life-{life}"] = count
    return safe


def in_order_of_arrival(directory):
    """All events of an embedded log as they were written one after the other, by whichever process."""
    frames = []
    for path in directory.glob("*.events"):
        with path.open("rb", buffering=0) as file:
            frames += read_frames(file.fileno(), Scan(0))
    return [
        event for frame in sorted(frames, key=lambda frame: frame.time) for event in decode_many(frame.body)
    ]


def check_history(directory, safe):
    """Everything safe is there, each source in order, nothing that was not said; how many duplicates."""
    arrived = in_order_of_arrival(directory)
    first, met = defaultdict(list), set()
    for event in arrived:
        if event.source.startswith("life-"):
            assert (event.task, set(event.func) <= {"x"}) == (event.seq, True)
        if event.id not in met:
            met.add(event.id)
            first[event.source].append(event.seq)
    for source, count in safe.items():
        assert first[source] == list(range(1, len(first[source]) + 1)), source
        assert len(first[source]) >= count
    return len(arrived) - len(met)


def touched(path: Path) -> Path:
    path.touch()
    return path


def drain(url, spool, **options):
    """What a later process does with what is left."""
    fabric = SpooledFabric(open_fabric(url), spool, **options)
    publisher = fabric.publisher("later")
    assert fabric.drain(20)
    publisher.close()
    fabric.close()


def test_what_flush_called_safe_arrives_after_kills_at_random_moments(tmp_path, directory, url, run_program):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    files = [tmp_path / "spool", touched(tmp_path / "said"), touched(tmp_path / "faults")]
    run_program(
        _LIVES
        + """
chance = random.Random(int(arguments[3]))
for life in range(int(arguments[4])):
    faults.write_text(chance.choice(["", "", "refuses", "hangs", "deaf"]))
    before = os.fstat(said).st_size
    child = os.fork()
    if child == 0:
        live(life, arguments[3])
    if chance.random() < 0.7:
        wait_for_a_word(before)
    for _ in range(chance.randrange(1, 4)):
        time.sleep(chance.uniform(0.01, 0.06))
        faults.write_text(chance.choice(["", "", "refuses", "hangs", "deaf"]))
    os.kill(child, signal.SIGKILL)
    if chance.random() < 0.7:
        os.waitpid(child, 0)  # else the next one finds a process that is dead, but not reaped
""",
        *files,
        seed,
        50,
    )
    drain(url, tmp_path / "spool")
    safe = said_safe(tmp_path / "said")
    assert len(safe) >= 25
    assert sum(safe.values()) > 1000
    check_history(directory, safe)
    assert list((tmp_path / "spool").glob("*.events")) == []


def test_one_life_that_is_killed_leaves_its_events_in_order(tmp_path, directory, url, run_program):
    """The fabric behind is up only afterwards, so it meets each source in one stretch."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    files = [tmp_path / "spool", touched(tmp_path / "said"), touched(tmp_path / "faults")]
    (tmp_path / "faults").write_text("refuses")
    run_program(
        _LIVES
        + """
chance = random.Random(int(arguments[3]))
for life in range(10):
    before = os.fstat(said).st_size
    child = os.fork()
    if child == 0:
        live(life, arguments[3])
    wait_for_a_word(before)
    time.sleep(chance.uniform(0.0, 0.06))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
""",
        *files,
        seed,
    )
    drain(url, tmp_path / "spool")
    safe = said_safe(tmp_path / "said")
    assert len(safe) == 10
    assert check_history(directory, safe) == 0


def test_two_live_processes_over_one_directory_hand_on_all_without_disturbing_each_other(
    tmp_path, directory, url, run_program
):
    reports = run_program(
        """
        from parsl_diaspora.fabric.spool import SpooledFabric
        spool = Path(arguments[0])

        def live(name, count):
            fabric = SpooledFabric(open_fabric(url), spool)
            fabric._spool.roll_bytes = 5_000
            speaker = fabric.publisher(name)
            for number in range(1, count + 1):
                speaker.publish(TaskSubmitted(task=number, func="x" * 50))
                if number % 50 == 0:
                    time.sleep(0.001)
            assert speaker.close().safe == count
            assert fabric.drain(20)
            report = fabric.report()
            fabric.close()
            return report.forwarded

        pipe = os.pipe()
        child = os.fork()
        forwarded = live("life-0" if child else "life-1", 5000)
        if not child:
            os.write(pipe[1], b"%d" % forwarded)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        print(json.dumps([forwarded, int(os.read(pipe[0], 100))]))
        """,
        tmp_path / "spool",
    )
    assert reports == [5000, 5000]
    assert check_history(directory, {"life-0": 5000, "life-1": 5000}) == 0
    drain(url, tmp_path / "spool")
    assert list((tmp_path / "spool").glob("*.events")) == []


def test_live_process_hands_on_what_a_neighbour_leaves_when_it_is_killed(tmp_path, url):
    fabric = open_fabric(f"spool:{tmp_path / 'spool'}?to={url}")
    publisher = fabric.publisher("neighbour")
    program = """
import os, signal, sys
from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric.spool import SpooledFabric
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.testing.faulty_fabric import FaultyFabric
fabric = SpooledFabric(FaultyFabric(open_fabric("memory:"), "refuses"), sys.argv[1])
publisher = fabric.publisher("dead", immediate=True)
for number in range(20):
    publisher.publish(TaskSubmitted(task=number))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "spool")], check=False, timeout=60)
    consumer = open_fabric(url).consumer("reader")
    events, deadline = [], time.monotonic() + 10
    while len(events) < 20 and time.monotonic() < deadline:
        events += consumer.poll(0.1)
    assert [event.task for event in events] == list(range(20))
    publisher.close()
    fabric.close()
    assert list((tmp_path / "spool").glob("*.events")) == []


def test_forked_child_spools_on_its_own(tmp_path, url, run_program):
    run_program(
        """
        fabric = open_fabric(f"spool:{arguments[0]}?to={url}")
        speaker = fabric.publisher("s")
        speaker.publish(TaskSubmitted(task=1))
        assert fabric.drain(5)
        child = os.fork()
        for number in (2, 3):
            speaker.publish(TaskSubmitted(task=number if child else 10 * number))
        assert speaker.close().waiting == 0
        assert fabric.drain(5)
        fabric.close()
        if child:
            assert os.waitpid(child, 0)[1] == 0
        """,
        tmp_path / "spool",
    )
    lives = defaultdict(list)
    for event in open_fabric(url).consumer("reader").poll():
        lives[event.boot].append((event.seq, event.task))
    assert sorted(lives.values()) == [[(1, 1), (2, 2), (3, 3)], [(1, 20), (2, 30)]]


def test_child_that_says_nothing_gets_no_threads(tmp_path, url, run_program):
    names = run_program(
        """
        import threading
        fabric = open_fabric(f"spool:{arguments[0]}?to={url}")
        speaker = fabric.publisher("s")
        speaker.publish(TaskSubmitted(task=1))
        assert fabric.drain(5)
        pipe = os.pipe()
        if os.fork() == 0:
            os.write(pipe[1], json.dumps([thread.name for thread in threading.enumerate()]).encode())
            os._exit(0)
        os.wait()
        print(os.read(pipe[0], 1000).decode())
        speaker.close()
        fabric.close()
        """,
        tmp_path / "spool",
    )
    assert names == ["MainThread"]


# --- whose a segment is ---------------------------------------------------------------------------------


def segment(directory, host, pid, boot="ab", number=0):
    directory.mkdir(exist_ok=True)
    path = directory / f"{host}.{pid}.{boot}.{number:04d}.events"
    path.touch()
    return path.name


def test_writer_is_read_from_the_name():
    assert writer_named("a.b.c.12.feed.0003c1.events") == ("a.b.c", 12, "feed")
    assert writer_named("notes.events") is None
    assert writer_named("a.b.feed.0001.events") is None


def test_segments_of_the_dead_are_ours_and_those_of_the_living_are_not(tmp_path):
    done = subprocess.Popen([sys.executable, "-c", ""])
    host, parent = os.uname().nodename, os.getppid()
    zombie = segment(tmp_path, host, done.pid)
    alive = segment(tmp_path, host, parent)
    orphan = segment(tmp_path, host, os.getpid())
    other = segment(tmp_path, "another-host", 1)
    deadline = time.monotonic() + 10
    while not is_dead(done.pid, time.time()) and time.monotonic() < deadline:
        time.sleep(0.01)
    names = sorted([zombie, alive, orphan, other, "notes.events"])
    standings = Owners(tmp_path).standings(names)
    assert (standings[zombie], standings[alive]) == ("sealed", "foreign")
    assert (standings[orphan], standings[other]) == ("sealed", "foreign")
    assert standings["notes.events"] == "foreign"
    done.wait()
    assert Owners(tmp_path).standings([zombie])[zombie] == "sealed"


def test_reused_process_id_does_not_hide_a_dead_writer(tmp_path):
    name = segment(tmp_path, os.uname().nodename, os.getppid())
    os.utime(tmp_path / name, (1e9, 1e9))
    assert Owners(tmp_path).standings([name])[name] == "sealed"


def test_quiet_segment_of_another_host_is_handed_on_but_deleted_only_when_its_writer_went_on(tmp_path):
    names = [segment(tmp_path, "another-host", 1, number=number) for number in (0, 1)]
    for name in names:
        os.utime(tmp_path / name, (1e9, 1e9))
    assert Owners(tmp_path).standings(names) == {names[0]: "sealed", names[1]: "open"}


@pytest.mark.parametrize("cut", [1, 20, 40])
def test_torn_tail_of_a_dead_writer_is_no_obstacle(tmp_path, url, cut):
    spool = tmp_path / "spool"
    speaker = FileFabric(f"file:{spool}").publisher("dead", immediate=True)
    for number in (1, 2):
        speaker.publish(TaskSubmitted(task=number))
    speaker.close()
    (path,) = spool.glob("*.events")
    path.write_bytes(path.read_bytes()[:-cut])
    drain(url, spool)
    assert [event.task for event in open_fabric(url).consumer("reader").poll()] == [1]
    assert list(spool.glob("*.events")) == []


def test_positions_that_are_damaged_only_cost_duplicates(tmp_path, url):
    spool = tmp_path / "spool"
    speaker = FileFabric(f"file:{spool}").publisher("dead", immediate=True)
    speaker.publish(TaskSubmitted(task=1))
    speaker.close()
    (spool / "consumers").mkdir()
    (spool / "consumers" / "forwarder.json").write_text("{")
    drain(url, spool)
    assert [event.task for event in open_fabric(url).consumer("reader").poll()] == [1]


def test_files_of_others_are_left_alone(tmp_path, url):
    spool = tmp_path / "spool"
    SegmentWriter(spool, "ab")
    spool.mkdir()
    (spool / "notes.txt").write_text("mine")
    (spool / "mine.events").write_text("mine")
    drain(url, spool)
    assert (spool / "notes.txt").exists()
    assert (spool / "mine.events").exists()
