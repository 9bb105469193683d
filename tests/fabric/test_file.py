"""What is special to the embedded log: files, processes, and what happens to both."""

from __future__ import annotations

import multiprocessing
import os
import random
import resource
import shutil
import threading
import tracemalloc
from collections import Counter
from contextlib import contextmanager

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from parsl_diaspora.errors import FabricError, FabricUnavailable
from parsl_diaspora.events import EventsLost, TaskSubmitted, encode
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file import FileFabric, large
from parsl_diaspora.fabric.file.frames import (
    HEADER,
    LARGEST_FRAME,
    MAX_BODY,
    TARGET_BODY,
    Scan,
    pack_frame,
    scan_frames,
)
from parsl_diaspora.fabric.file.segment import SegmentWriter
from parsl_diaspora.fabric.file.verify import verify


def numbered(number, boot="ab", text="x"):
    return TaskSubmitted(source="writer", boot=boot, seq=number, task=number, func=text)


def write_segment(directory, frames, boot="ab"):
    """A segment of whole frames; where each frame ends."""
    directory.mkdir(exist_ok=True)
    writer = SegmentWriter(directory, boot)
    ends, number = [0], 0
    for count in frames:
        batch = [encode(numbered(number + i + 1, boot)) for i in range(count)]
        writer.append(batch, number + 1)
        number += count
        ends.append(segment_of(directory, boot).stat().st_size)
    writer.close()
    return ends


def segment_of(directory, boot):
    (path,) = directory.glob(f"*.{boot}.0000.events")
    return path


def read(directory, name="reader", **options):
    """Everything that a new consumer gets, and how many stretches it passed over."""
    consumer = FileFabric(f"file:{directory}").consumer(name, **options)
    events = []
    while batch := consumer.poll():
        events.extend(batch)
    return events, consumer.skipped()


def tasks(directory, **options):
    return [event.task for event in read(directory, **options)[0]]


# --- processes that die ---------------------------------------------------------------------------------


def test_what_flush_called_safe_is_there_after_kills_at_random_moments(directory, run_program, tmp_path):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    run_program(
        """
        seed, kills = int(arguments[0]), int(arguments[1])
        said = os.open(arguments[2], os.O_APPEND | os.O_WRONLY)
        small_segments(30_000)

        def live(life):
            chance = random.Random(f"{seed} {life}")
            speaker = open_fabric(url).publisher(f"life-{life}", immediate=life % 2 == 1)
            number = 0
            while True:
                for _ in range(chance.randrange(1, 150)):
                    number += 1
                    speaker.publish(TaskSubmitted(task=number, func="x" * chance.randrange(400)))
                os.write(said, b"%d %d\\n" % (life, speaker.flush().safe))

        chance = random.Random(seed)
        for life in range(kills):
            before = os.fstat(said).st_size
            child = os.fork()
            if child == 0:
                live(life)
            while life % 8 and os.fstat(said).st_size == before:
                time.sleep(0.001)
            time.sleep(chance.uniform(0, 0.03))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        """,
        seed,
        40,
        _touched(tmp_path / "said"),
    )
    safe = Counter()
    for line in (tmp_path / "said").read_text().splitlines():
        life, count = map(int, line.split())
        safe[f"life-{life}"] = count
    events, skipped = read(directory)
    assert len(safe) >= 35
    assert skipped == 0
    assert verify(directory).whole
    assert all(event.task == event.seq and set(event.func) <= {"x"} for event in events)
    for source, count in safe.items():
        numbers = [event.seq for event in events if event.source == source]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= count


def test_program_that_ends_without_closing_loses_nothing(directory, run_program):
    run_program(
        """
        speaker = open_fabric(url).publisher("s")
        for number in range(3000):
            speaker.publish(TaskSubmitted(task=number))
        """
    )
    assert tasks(directory) == list(range(3000))


def test_reader_that_is_killed_at_random_moments_misses_nothing(directory, run_program, tmp_path):
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    with_many_frames(directory, 3000)
    run_program(
        """
        chance, met = random.Random(int(arguments[0])), os.open(arguments[1], os.O_APPEND | os.O_WRONLY)

        def live():
            consumer = open_fabric(url).consumer("reader")
            while events := consumer.poll(limit=10):
                os.write(met, b"".join(b"%d\\n" % event.task for event in events))
                consumer.commit()
            os._exit(0)

        for _ in range(20):
            child = os.fork()
            if child == 0:
                live()
            time.sleep(chance.uniform(0.001, 0.01))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        """,
        seed,
        _touched(tmp_path / "met"),
    )
    met = {int(line) for line in (tmp_path / "met").read_text().split()}
    assert met | set(tasks(directory)) == set(range(1, 3001))


def test_reader_that_is_killed_between_poll_and_commit_reads_that_again(directory, run_program):
    with_many_frames(directory, 5)
    program = """
        consumer = open_fabric(url).consumer("reader")
        assert [event.task for event in consumer.poll(limit=2)] == [1, 2]
        consumer.commit()
        assert [event.task for event in consumer.poll(limit=2)] == [3, 4]
        os.kill(os.getpid(), signal.SIGKILL)
        """
    run_program(program, expect=-9)
    assert tasks(directory)[-3:] == [3, 4, 5]  # and perhaps what was written just before


def test_forked_child_writes_a_segment_of_its_own_with_its_own_boot(directory, run_program):
    run_program(
        """
        speakers = [open_fabric(url).publisher("s", immediate=at_once) for at_once in (False, True)]
        for speaker in speakers:
            speaker.publish(TaskSubmitted(task=1))
            speaker.flush()
            speaker.publish(TaskSubmitted(task=2))  # may still wait in memory: it is the parent's to write
        child = os.fork()
        for speaker in speakers:
            speaker.publish(TaskSubmitted(task=3 if child else 30))
            assert speaker.close().waiting == 0
        if child:
            assert os.waitpid(child, 0)[1] == 0
        """
    )
    events, skipped = read(directory)
    lives = {}
    for event in events:
        lives.setdefault(event.boot, []).append((event.seq, event.task))
    assert sorted(lives.values()) == [[(1, 1), (2, 2), (3, 3)]] * 2 + [[(1, 30)]] * 2
    assert len({path.name.split(".")[-4] for path in directory.glob("*.events")}) == 2
    assert skipped == 0


def test_publisher_that_was_closed_before_a_fork_stays_closed_in_the_child(directory, run_program):
    run_program(
        """
        speaker = open_fabric(url).publisher("s")
        speaker.close()
        child = os.fork()
        speaker.publish(TaskSubmitted(task=30))
        assert speaker.flush().lost == 1
        if child:
            assert os.waitpid(child, 0)[1] == 0
        """
    )
    assert tasks(directory) == []


def speak_once(url, number):
    speaker = open_fabric(url).publisher("spawned", immediate=True)
    speaker.publish(TaskSubmitted(task=number))
    speaker.close()


def test_spawned_process_writes_a_segment_of_its_own(directory, url):
    speak_once(url, 1)
    child = multiprocessing.get_context("spawn").Process(target=speak_once, args=(url, 2))
    child.start()
    child.join(30)
    assert child.exitcode == 0
    child.close()
    assert sorted(tasks(directory)) == [1, 2]
    assert len(list(directory.glob("*.events"))) == 2


# --- torn and damaged segments --------------------------------------------------------------------------


def test_torn_tail_hides_nothing_wherever_the_writer_was_cut_off(directory):
    ends = write_segment(directory, [1, 2, 1])
    write_segment(directory, [2], boot="later")
    torn = segment_of(directory, "ab")
    data = torn.read_bytes()
    whole_events = {0: 0, ends[1]: 1, ends[2]: 3, ends[3]: 4}
    for size in range(len(data) + 1):
        torn.write_bytes(data[:size])
        last_whole = max(end for end in ends if end <= size)
        events, skipped = read(directory)
        assert [event.task for event in events if event.boot == "ab"] == list(
            range(1, whole_events[last_whole] + 1)
        )
        assert [event.task for event in events if event.boot == "later"] == [1, 2]
        assert skipped == 0
        assert verify(directory).torn == ([torn.name] if size > last_whole else [])


def test_torn_frame_in_the_middle_is_passed_over_once_a_whole_one_follows(directory):
    ends = write_segment(directory, [1, 1, 1])
    path = segment_of(directory, "ab")
    data = path.read_bytes()
    path.write_bytes(data[: ends[2] - 7])
    consumer = FileFabric(f"file:{directory}").consumer("reader")
    assert [event.task for event in consumer.poll()] == [1]
    assert consumer.skipped() == 0
    path.write_bytes(data[: ends[2] - 7] + data[ends[2] :])
    assert [event.task for event in consumer.poll()] == [3]
    assert consumer.skipped() == 1


def test_frame_that_takes_the_place_of_a_torn_one_of_the_same_size_is_read(directory):
    ends = write_segment(directory, [1, 1])
    path = segment_of(directory, "ab")
    data = path.read_bytes()
    path.write_bytes(data[:-1] + b"?")
    consumer = FileFabric(f"file:{directory}").consumer("reader")
    changed = path.stat().st_mtime_ns
    assert [event.task for event in consumer.poll()] == [1]
    path.write_bytes(data)
    os.utime(path, ns=(changed, changed))  # as a file system with coarse times shows it
    assert [event.task for event in consumer.poll()] == [2]
    assert path.stat().st_size == ends[-1]


def test_flipped_bit_costs_its_own_frame_only_wherever_it_is(directory):
    ends = write_segment(directory, [2, 1, 2])
    path = segment_of(directory, "ab")
    data = bytearray(path.read_bytes())
    frames = [[1, 2], [3], [4, 5]]
    chance = random.Random(7)
    for position in range(len(data)):
        hit = next(i for i in range(3) if position < ends[i + 1])
        bit = 1 << chance.randrange(8)
        data[position] ^= bit
        path.write_bytes(data)
        events, skipped = read(directory)
        data[position] ^= bit
        assert [event.task for event in events] == [
            n for i, frame in enumerate(frames) if i != hit for n in frame
        ]
        assert skipped == (1 if hit < 2 else 0)


@st.composite
def damaged_segments(draw):
    """Numbers of intact frames, and garbage in between; and where the reader looks for the first time."""
    parts = draw(st.lists(st.one_of(st.none(), st.binary(min_size=1, max_size=300)), min_size=1, max_size=12))
    return parts, draw(st.floats(0, 1))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damaged_segments())
def test_reader_gets_exactly_the_intact_frames_between_any_garbage(tmp_path_factory, damaged):
    parts, share = damaged
    directory = tmp_path_factory.mktemp("log") / "events"
    ends = write_segment(directory, [1] * len(parts))
    path = segment_of(directory, "ab")
    frames = path.read_bytes()
    pieces = [
        frames[ends[i] : ends[i + 1]] if garbage is None else garbage for i, garbage in enumerate(parts)
    ]
    data = b"".join(pieces)
    consumer = FileFabric(f"file:{directory}").consumer("reader")
    path.write_bytes(data[: int(share * len(data))])
    events = consumer.poll()
    path.write_bytes(data)
    events += consumer.poll()
    assert events == [numbered(i + 1) for i, garbage in enumerate(parts) if garbage is None]
    followed = [garbage is not None and None in parts[i:] for i, garbage in enumerate(parts)]
    runs = sum(now and not before for before, now in zip([False, *followed], followed, strict=False))
    assert consumer.skipped() == runs


def test_long_damage_is_passed_over_once_in_bounded_memory(directory):
    ends = write_segment(directory, [1, 1])
    path = segment_of(directory, "ab")
    data = path.read_bytes()
    path.write_bytes(data[: ends[1]] + bytes(20 * MAX_BODY) + data[ends[1] :])
    tracemalloc.start()
    events, skipped = read(directory)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [event.task for event in events] == [1, 2]
    assert skipped == 1
    assert peak < 6 * MAX_BODY


def test_largest_event_behind_an_almost_full_batch_fits_into_a_frame():
    assert HEADER.size + 5 + TARGET_BODY + large.LIMIT <= LARGEST_FRAME


def test_frame_that_no_reader_would_look_for_is_not_made():
    with pytest.raises(ValueError, match="may have"):
        pack_frame(bytes(MAX_BODY + 1), 1, 1, 1.0)


def test_many_events_that_are_written_together_lie_in_several_frames(directory):
    directory.mkdir()
    writer = SegmentWriter(directory, "ab")
    writer.append([encode(numbered(number, text="x" * 1000)) for number in range(1, 501)], 1)
    writer.close()
    frames = list(scan_frames(segment_of(directory, "ab").read_bytes(), 0, Scan(0)))
    assert max(frame.end - frame.start for frame in frames) <= LARGEST_FRAME
    counts = [frame.count for frame in frames]
    assert [frame.first for frame in frames] == [1 + sum(counts[:n]) for n in range(len(counts))]
    assert tasks(directory) == list(range(1, 501))


def test_files_and_directories_of_others_among_the_segments_are_ignored(directory):
    write_segment(directory, [1, 1])
    (directory / "notes.txt").write_text("not ours")
    (directory / "a-directory.events").mkdir()
    (directory / "z-loop.events").symlink_to("z-loop.events")
    (directory / "z-nowhere.events").symlink_to("gone")
    (directory / "empty.events").touch()
    (directory / "junk.events").write_bytes(random.Random(1).randbytes(3 * MAX_BODY))
    os.mkfifo(directory / "pipe.events")
    consumer = FileFabric(f"file:{directory}").consumer("reader", start=0.0)
    assert consumer.lag() == 2
    assert [event.task for event in consumer.poll()] == [1, 2]
    assert verify(directory).events == 2


def test_verify_finds_damage_gaps_duplicates_and_torn_tails(directory):
    ends = write_segment(directory, [1, 1, 1, 1])
    data = segment_of(directory, "ab").read_bytes()
    frame = [data[ends[i] : ends[i + 1]] for i in range(4)]
    segment_of(directory, "ab").write_bytes(frame[0] + frame[0] + b"?" * 9 + frame[2] + frame[3][:-1])
    verdict = verify(directory)
    assert (verdict.segments, verdict.events, verdict.duplicates) == (1, 3, 1)
    assert verdict.damaged == [f"{segment_of(directory, 'ab').name} at {2 * ends[1]}"]
    assert verdict.gaps == ["writer: 2-2"]
    assert verdict.torn == [segment_of(directory, "ab").name]
    assert not verdict.whole


# --- positions of consumers -----------------------------------------------------------------------------


@pytest.mark.parametrize("kept", ["null", "[1]", '{"a": -5}', '{"a": "b"}', '{"a": 1.5}', "{}x", "\udcff"])
def test_damaged_positions_count_as_the_beginning_so_that_nothing_is_missed(directory, kept):
    write_segment(directory, [1, 1])
    (directory / "consumers").mkdir()
    (directory / "consumers" / "reader.json").write_bytes(kept.encode("utf-8", "surrogateescape"))
    assert tasks(directory, start="latest") == [1, 2]


def test_truncated_positions_never_make_a_consumer_miss_anything(directory):
    write_segment(directory, [1, 1, 1])
    consumer = FileFabric(f"file:{directory}").consumer("reader")
    consumer.poll(limit=2)
    consumer.commit()
    path = directory / "consumers" / "reader.json"
    data = path.read_bytes()
    for size in range(len(data)):
        path.write_bytes(data[:size])
        assert tasks(directory) == [1, 2, 3]
    path.write_bytes(data)
    assert tasks(directory) == [3]


def test_commit_leaves_no_other_files_behind(directory):
    write_segment(directory, [1])
    consumer = FileFabric(f"file:{directory}").consumer("reader")
    for _ in range(3):
        consumer.commit()
    assert os.listdir(directory / "consumers") == ["reader.json"]


def test_commit_puts_new_positions_in_place_of_the_old_in_one_step(directory, tmp_path):
    write_segment(directory, [1, 1])
    consumer = FileFabric(f"file:{directory}").consumer("reader")
    positions, old = directory / "consumers" / "reader.json", tmp_path / "old.json"
    consumer.poll(limit=1)
    consumer.commit()
    before = positions.read_bytes()
    old.hardlink_to(positions)
    consumer.poll(limit=1)
    consumer.commit()
    assert old.read_bytes() == before != positions.read_bytes()


def test_commit_on_a_full_disk_is_an_error_and_leaves_the_last_one_in_force(small_disk):
    directory = small_disk / "events"
    write_segment(directory, [1, 1, 1])
    consumer = FileFabric(f"file:{directory}").consumer("reader")
    consumer.poll(limit=1)
    consumer.commit()
    with pytest.raises(OSError, match="No space"):
        (small_disk / "filler").write_bytes(bytes(1024 * 1024))
    consumer.poll()
    with pytest.raises(FabricUnavailable, match="No space left"):
        consumer.commit()
    assert os.listdir(directory / "consumers") == ["reader.json"]
    assert tasks(directory) == [2, 3]


def test_commit_that_cannot_be_kept_is_an_error_that_names_the_file(directory):
    write_segment(directory, [1])
    (directory / "consumers").write_text("in the way")
    consumer = FileFabric(f"file:{directory}").consumer("reader")
    consumer.poll()
    with pytest.raises(FabricUnavailable, match=r"consumers/reader\.json"):
        consumer.commit()


@pytest.mark.parametrize("name", ["", "a/b", "a b", "é", "x" * 65, "a\n"])
def test_name_that_is_no_file_name_is_refused(url, name):
    with pytest.raises(FabricError, match="no name for a consumer"):
        open_fabric(url).consumer(name)


def test_two_readers_do_not_disturb_each_other(directory):
    with_many_frames(directory, 6)
    one, two = (FileFabric(f"file:{directory}").consumer(name) for name in ("one", "two"))
    assert [event.task for event in one.poll(limit=4)] == [1, 2, 3, 4]
    one.commit()
    assert [event.task for event in two.poll(limit=3)] == [1, 2, 3]
    assert [event.task for event in one.poll()] == [5, 6]
    two.commit()
    assert tasks(directory, name="one") == [5, 6]
    assert tasks(directory, name="two") == [4, 5, 6]


def test_small_limit_lets_every_writer_have_its_turn(directory):
    for boot in ("a", "b", "c"):
        write_segment(directory, [1] * 5, boot)
    consumer = FileFabric(f"file:{directory}").consumer("reader")
    assert [consumer.poll(limit=1)[0].boot for _ in range(6)] == ["a", "b", "c", "a", "b", "c"]


def test_poll_reads_a_publishers_segments_in_the_order_of_writing_whatever_the_limit(directory):
    directory.mkdir()
    for boot in ("a", "b"):
        writer = SegmentWriter(directory, boot, roll_bytes=1)
        for number in range(1, 6):
            writer.append([encode(numbered(number, boot))], number)
        writer.close()
    for limit in (1, 2, 3, 100):
        consumer = FileFabric(f"file:{directory}").consumer(f"reader-{limit}")
        events = [event for _ in range(20) for event in consumer.poll(limit=limit)]
        for boot in ("a", "b"):
            assert [event.seq for event in events if event.boot == boot] == [1, 2, 3, 4, 5]


def test_reading_alone_makes_no_directory(directory):
    consumer = FileFabric(f"file:{directory}").consumer("reader")
    assert consumer.poll() == []
    assert consumer.lag() == 0
    assert not directory.exists()


def test_directory_that_cannot_be_read_is_an_error_with_its_path(directory):
    directory.mkdir()
    consumer = FileFabric(f"file:{directory}").consumer("reader")
    directory.rmdir()
    directory.write_text("a file in its place")
    with pytest.raises(FabricUnavailable, match=f"{directory} cannot be read: Not a directory"):
        consumer.poll()


def test_segment_that_may_not_be_read_now_hides_no_other_and_is_read_later(directory, run_program):
    write_segment(directory, [1], boot="a")
    write_segment(directory, [1], boot="b")
    met = run_program(
        """
        obey_permissions()
        consumer = open_fabric(url).consumer("reader")
        (locked,) = directory.glob("*.a.0000.events")
        locked.chmod(0)
        met = [[event.boot for event in consumer.poll()]]
        locked.chmod(0o600)
        met.append([event.boot for event in consumer.poll()])
        print(json.dumps(met))
        """
    )
    assert met == [["b"], ["a"]]


# --- disks that are full, directories that go away ------------------------------------------------------


@pytest.mark.parametrize("at_once", [0, 1])
def test_events_outlast_a_limit_that_lets_no_file_grow(directory, run_program, at_once):
    down, up = run_program(
        """
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        speaker = open_fabric(url).publisher("s", buffer=50, immediate=arguments[0] == "1")
        for number in range(200):
            speaker.publish(TaskSubmitted(run="r", task=number))
        down = speaker.flush(0.1)
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        speaker.publish(TaskSubmitted(run="r", task=200))
        speaker.flush()
        print(json.dumps([counts(down), counts(speaker.close())]))
        """,
        at_once,
    )
    events, skipped = read(directory)
    said = sum(event.count for event in events if isinstance(event, EventsLost))
    kept = [event.task for event in events if isinstance(event, TaskSubmitted)]
    assert down == ([0, 0, 200] if at_once else [0, 50, 150])
    assert up == [len(events), 0, said]
    assert len(kept) + said == 201
    assert kept[:50] == ([200] if at_once else list(range(50)))
    assert {event.run for event in events} == {"r"}
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert skipped == 0


@pytest.mark.parametrize("at_once", [0, 1])
def test_limit_on_the_size_of_a_file_costs_no_event(directory, run_program, at_once):
    report = run_program(
        """
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
        speaker = open_fabric(url).publisher("s", immediate=arguments[0] == "1")
        for number in range(1000):
            speaker.publish(TaskSubmitted(task=number))
            if number % 50 == 0:
                speaker.flush()
        print(json.dumps(counts(speaker.close())))
        """,
        at_once,
    )
    assert report == [1000, 0, 0]
    assert tasks(directory) == list(range(1000))
    assert len(list(directory.glob("*.events"))) > 3
    assert verify(directory).whole


@pytest.mark.parametrize("immediate", [False, True])
def test_full_disk_loses_nothing_silently_and_is_written_again_when_there_is_room(small_disk, immediate):
    filler = small_disk / "filler"
    speaker = FileFabric(f"file:{small_disk / 'events'}").publisher("s", buffer=300, immediate=immediate)
    for number in range(100):
        speaker.publish(TaskSubmitted(task=number, func="x" * 1000))
    assert speaker.flush().safe == 100
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(1024 * 1024))
    for number in range(100, 600):
        speaker.publish(TaskSubmitted(task=number, func="x" * 100))
    down = speaker.flush(0.1)
    assert down.waiting + down.lost > 400
    filler.unlink()
    speaker.publish(TaskSubmitted(task=600))
    speaker.flush()
    up = speaker.close()
    assert up.waiting == 0
    events, skipped = read(small_disk / "events")
    said = sum(event.count for event in events if isinstance(event, EventsLost))
    kept = [event.task for event in events if isinstance(event, TaskSubmitted)]
    assert kept == sorted(kept)
    assert (len(kept) + said, said) == (601, up.lost)
    assert up.safe == len(events)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert skipped == 0
    assert verify(small_disk / "events").whole


@pytest.mark.parametrize("immediate", [False, True])
def test_directory_that_is_removed_is_made_again_for_what_follows(directory, immediate):
    speaker = FileFabric(f"file:{directory}").publisher("s", immediate=immediate)
    for number in range(6):
        if number == 3:
            shutil.rmtree(directory)
        speaker.publish(TaskSubmitted(task=number))
        speaker.flush()
    assert speaker.close().safe == 6
    assert tasks(directory)[-3:] == [3, 4, 5]  # and perhaps what was written just before


def test_write_that_fails_leaves_no_byte_behind(directory):
    (_, end) = write_segment(directory, [1])
    writer = SegmentWriter(directory, "cd")
    writer.append([encode(numbered(1, "cd"))], 1)
    with files_no_longer_than(end + 50), pytest.raises(OSError, match="File too large"):
        writer.append([encode(numbered(2, "cd", "x" * 1000))], 2)
    assert sorted(path.stat().st_size for path in directory.glob("*.cd.*")) == [0, end]
    writer.append([encode(numbered(2, "cd"))], 2)
    writer.close()
    assert sorted(path.stat().st_size for path in directory.glob("*.cd.*")) == [end, end]


@contextmanager
def files_no_longer_than(size):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_segment_that_is_removed_is_followed_by_another(directory):
    speaker = FileFabric(f"file:{directory}").publisher("s", immediate=True)
    speaker.publish(TaskSubmitted(task=0))
    next(directory.glob("*.events")).unlink()
    speaker.publish(TaskSubmitted(task=1))
    speaker.close()
    assert tasks(directory)[-1:] == [1]  # and perhaps what was written just before


def test_events_wait_while_the_place_of_the_directory_is_gone(tmp_path):
    place = tmp_path / "scratch"
    directory = place / "events"
    speaker = FileFabric(f"file:{directory}").publisher("s")
    shutil.rmtree(place)
    for number in range(5):
        speaker.publish(TaskSubmitted(task=number))
    assert speaker.flush(0.1).waiting == 5
    assert not place.exists()
    place.mkdir()
    assert speaker.flush().safe == 5
    speaker.close()
    assert tasks(directory) == [0, 1, 2, 3, 4]


def test_directory_that_becomes_unwritable_makes_events_wait_until_it_is_writable_again(
    directory, run_program
):
    before, locked, after = run_program(
        """
        obey_permissions()
        small_segments(1)
        speaker = open_fabric(url).publisher("s")
        reports = []
        for mode in (0o700, 0o500, 0o700):
            directory.chmod(mode)
            speaker.publish(TaskSubmitted(task=mode))
            reports.append(counts(speaker.flush(0.2 if mode == 0o500 else 5)))
        speaker.close()
        print(json.dumps(reports))
        """
    )
    assert (before, locked, after) == ([1, 0, 0], [1, 1, 0], [3, 0, 0])
    assert tasks(directory) == [0o700, 0o500, 0o700]


def test_writer_whose_descriptors_are_closed_for_it_writes_to_no_file_of_others(
    directory, tmp_path, run_program
):
    report = run_program(
        """
        speaker = open_fabric(url).publisher("s", immediate=True)
        speaker.publish(TaskSubmitted(task=0))
        os.closerange(3, 64)
        speaker.publish(TaskSubmitted(task=1))
        os.closerange(3, 64)
        others = [os.open(arguments[0], os.O_WRONLY) for _ in range(3, 64)]
        speaker.publish(TaskSubmitted(task=2))
        for fd in others:
            os.fstat(fd)
        print(json.dumps(counts(speaker.close())))
        """,
        _touched(tmp_path / "other"),
    )
    assert report == [3, 0, 0]
    assert tasks(directory) == [0, 1, 2]
    assert (tmp_path / "other").read_bytes() == b""


def test_buffer_holds_no_more_events_than_it_was_told(run_program):
    reports = run_program(
        """
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        speaker = open_fabric(url).publisher("s", buffer=10)
        reports = []
        for number in range(30):
            speaker.publish(TaskSubmitted())
            speaker.forward(TaskSubmitted(boot="ab", seq=number))
            reports.append(counts(speaker.report()))
        print(json.dumps([*reports, counts(speaker.close(0.1))]))
        """
    )
    assert [waiting for _, waiting, _ in reports[:-1]] == [2, 4, 6, 8] + [10] * 26
    assert reports[-2:] == [[0, 10, 50], [0, 0, 61]]  # 60, and the event that said so


def test_buffer_holds_no_more_bytes_than_memory_should_have(run_program):
    (waiting, lost), peak = run_program(
        """
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        speaker = open_fabric(url).publisher("s")
        for number in range(1000):
            speaker.publish(TaskSubmitted(func="x" * 250_000))
        report = speaker.report()
        status = Path("/proc/self/status").read_text().split()
        peak = int(status[status.index("VmHWM:") + 1])
        print(json.dumps([[report.waiting, report.lost], peak]))
        speaker.close(0)
        """
    )
    assert waiting + lost == 1000
    assert 200 < waiting < 300
    assert peak < 160_000  # kB; all of them would be 250 000


def test_close_says_losses_that_nothing_was_written_after(directory):
    speaker = FileFabric(f"file:{directory}").publisher("s")
    speaker.publish(TaskSubmitted(run="r", func="x" * (large.LARGEST + 1)))
    assert speaker.close().lost == 1
    (event,) = read(directory)[0]
    assert (event.run, event.count, event.seq) == ("r", 1, 1)
    assert "task.submitted" in event.why


def test_publisher_that_gets_no_thread_keeps_its_events_for_the_next_try(directory, monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    speaker = FileFabric(f"file:{directory}").publisher("s")
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        speaker.publish(TaskSubmitted(task=0))
        assert speaker.flush(0.01).waiting == 1
    speaker.publish(TaskSubmitted(task=1))
    assert speaker.close().safe == 2
    assert tasks(directory) == [0, 1]


def test_failing_directory_is_logged_once(tmp_path, caplog):
    for immediate in (False, True):
        caplog.clear()
        place = tmp_path / str(immediate)
        speaker = FileFabric(f"file:{place / 'events'}").publisher("s", immediate=immediate)
        shutil.rmtree(place)
        for _ in range(3):
            speaker.publish(TaskSubmitted())
            speaker.flush(0.06)
        speaker.close(0)
        assert [record.message.count(str(place)) for record in caplog.records] == [1]


# --- segments -------------------------------------------------------------------------------------------


def test_segment_is_rolled_at_its_size(directory):
    directory.mkdir()
    writer = SegmentWriter(directory, "ab", roll_bytes=400)
    for number in range(1, 21):
        writer.append([encode(numbered(number))], number)
    writer.close()
    sizes = [path.stat().st_size for path in sorted(directory.glob("*.events"))]
    assert len(sizes) > 3
    assert max(sizes) <= 400
    assert tasks(directory) == list(range(1, 21))


def test_frame_larger_than_the_size_to_roll_at_gets_a_segment_of_its_own(directory):
    directory.mkdir()
    writer = SegmentWriter(directory, "ab", roll_bytes=10)
    for number in (1, 2):
        writer.append([encode(numbered(number))], number)
    writer.close()
    assert len(list(directory.glob("*.events"))) == 2


def test_consumer_follows_a_writer_from_segment_to_segment(directory):
    directory.mkdir()
    writer = SegmentWriter(directory, "ab", roll_bytes=300)
    consumer = FileFabric(f"file:{directory}").consumer("reader")
    for number in range(1, 30):
        writer.append([encode(numbered(number))], number)
        assert [event.task for event in consumer.poll()] == [number]
    writer.close()


def test_segment_is_readable_by_others_of_the_system_but_writable_by_its_owner_only(directory):
    write_segment(directory, [1])
    assert segment_of(directory, "ab").stat().st_mode & 0o022 == 0


# --- opening --------------------------------------------------------------------------------------------


def test_relative_path_is_taken_from_the_current_directory_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fabric = open_fabric("file:./events")
    monkeypatch.chdir("/")
    speaker = fabric.publisher("s", immediate=True)
    speaker.publish(TaskSubmitted(task=1))
    speaker.close()
    assert fabric.url == f"file:{tmp_path}/events"
    assert tasks(tmp_path / "events") == [1]


def test_home_directory_is_filled_in(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_fabric("file:~/events").url == f"file:{tmp_path}/events"


def test_unknown_home_directory_is_an_error_of_ours():
    with pytest.raises(FabricError, match="home directory"):
        open_fabric("file:~nobody-of-that-name/events")


def test_url_without_a_path_gets_a_hint():
    with pytest.raises(FabricError) as caught:
        open_fabric("file:")
    assert str(caught.value) == "A file fabric needs a directory. Try 'file:./events'."


def test_path_that_is_a_file_is_said_so(tmp_path):
    path = tmp_path / "events"
    path.write_text("something else")
    with pytest.raises(FabricUnavailable) as caught:
        open_fabric(f"file:{path}")
    assert caught.value.message == f"{path} is a file, not a directory for events."
    assert caught.value.url == f"file:{path}"


@pytest.mark.parametrize("below", ["events", "deep/events"])
def test_path_below_a_file_is_said_so(tmp_path, below):
    (tmp_path / "file").write_text("something else")
    fabric = open_fabric(f"file:{tmp_path}/file/{below}")
    with pytest.raises(FabricUnavailable, match="cannot be made: Not a directory"):
        fabric.publisher("s")


def test_path_that_no_file_system_takes_is_unavailable():
    for path in ("/tmp/a\0b", "/tmp/" + "x" * 300):
        with pytest.raises(FabricUnavailable, match="cannot be made"):
            open_fabric(f"file:{path}").publisher("s")


def test_unwritable_directory_is_said_at_once_with_a_way_out(directory, run_program):
    sentences = run_program(
        """
        from parsl_diaspora.errors import FabricUnavailable
        obey_permissions()
        directory.mkdir()
        directory.chmod(0o500)
        sentences = []
        for place in (url, url + "/below"):
            try:
                open_fabric(place).publisher("s")
            except FabricUnavailable as error:
                sentences.append(str(error))
        directory.chmod(0o000)
        try:
            open_fabric(url + "/below").publisher("s")
        except FabricUnavailable as error:
            sentences.append(str(error))
        directory.chmod(0o700)
        print(json.dumps(sentences))
        """
    )
    way_out = "Give another one, as in resilient(config, fabric='file:/path')."
    assert sentences == [
        f"The events directory {directory} cannot be written. {way_out}",
        f"The events directory {directory}/below cannot be made: Permission denied. {way_out}",
        f"The events directory {directory}/below cannot be made: Permission denied. {way_out}",
    ]


def with_many_frames(directory, count):
    write_segment(directory, [1] * count)


def _touched(path):
    path.touch()
    return path
