"""Whatever happens to the bytes of a log: no wrong event comes out of it, and no whole one is missed."""

from __future__ import annotations

import itertools
import json
import os
import random
import time
import tracemalloc

import pytest

from parsl_diaspora.events import TaskSubmitted, encode, join
from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.fabric.file.frames import HEADER, MAX_BODY, MAX_FRAME, pack_frame
from parsl_diaspora.fabric.file.segment import SegmentWriter
from parsl_diaspora.fabric.file.verify import verify
from parsl_diaspora.testing.samples import sample_events

ROUNDS = 120


@pytest.fixture
def chance():
    seed = int(os.environ.get("FUZZ_SEED", random.randrange(2**32)))
    print(f"FUZZ_SEED={seed}")
    return random.Random(seed)


class Log:
    """A few segments of real events, and what was published in each frame."""

    def __init__(self, chance):
        self.chance = chance
        self.samples = itertools.cycle(chance.sample(sample_events(), len(sample_events())))
        self.numbers = itertools.count(1)
        self.published = {}
        self.frames = {}  # their bytes: the ids in them
        self.segments = [
            [self.frame(f"boot{segment}") for _ in range(chance.randrange(1, 12))]
            for segment in range(chance.randrange(1, 4))
        ]

    def frame(self, boot):
        batch = [self.event(boot) for _ in range(self.chance.choice([1, 1, 2, 5, 40]))]
        encoded = [encode(event) for event in batch]
        frame = pack_frame(join(encoded), len(batch), batch[0].seq, 1e9 + batch[0].seq)
        self.frames[frame] = {event.id for event in batch}
        self.published.update(zip((event.id for event in batch), encoded, strict=True))
        return frame

    def event(self, boot):
        event = type(next_one := next(self.samples))(
            **{name: getattr(next_one, name) for name in next_one.__struct_fields__}
        )
        event.boot, event.seq = boot, next(self.numbers)
        return event

    def whole_in(self, data):
        """Ids of the events in frames whose bytes all stand in ``data``, one behind the other."""
        return set().union(*(ids for frame, ids in self.frames.items() if frame in data))

    def damaged(self, number):
        """The bytes of one segment after some damage."""
        data = bytearray(b"".join(self.segments[number]))
        for _ in range(self.chance.choice([1, 1, 2, 5])):
            DAMAGE[self.chance.choice(sorted(DAMAGE))](self, data)
        return bytes(data)

    def somewhere(self, data):
        return self.chance.randrange(len(data) + 1)

    def stretch(self, data, longest=2000):
        begin = self.somewhere(data)
        return begin, min(len(data), begin + self.chance.randrange(1, longest))


def flip(log, data):
    for _ in range(log.chance.randrange(1, 6)):
        if data:
            data[log.chance.randrange(len(data))] ^= 1 << log.chance.randrange(8)


def flip_in_a_header(log, data):
    starts = [at for at in range(len(data)) if data.startswith(b"PDe1", at)]
    if starts:
        data[min(len(data) - 1, log.chance.choice(starts) + log.chance.randrange(HEADER.size))] ^= 0xFF


def cut(log, data):
    del data[log.somewhere(data) :]


def drop(log, data):
    begin, end = log.stretch(data)
    del data[begin:end]


def insert(log, data):
    at = log.somewhere(data)
    data[at:at] = log.chance.randbytes(log.chance.randrange(1, 500))


def insert_half_a_header(log, data):
    at = log.somewhere(data)
    data[at:at] = (b"PDe1" + log.chance.randbytes(28))[: log.chance.randrange(4, 33)]


def swap(log, data):
    begin, end = log.stretch(data)
    piece = data[begin:end]
    del data[begin:end]
    at = log.somewhere(data)
    data[at:at] = piece


def zero(log, data):
    begin, end = log.stretch(data)
    data[begin:end] = bytes(end - begin)


def append_garbage(log, data):
    data += log.chance.randbytes(log.chance.randrange(1, 3000))


def append_a_hole(log, data):
    data += bytes(log.chance.choice([100, MAX_BODY, 2 * MAX_FRAME + 5]))


def double_a_frame(log, data):
    at = log.somewhere(data)
    data[at:at] = log.chance.choice(list(log.frames))


def splice(log, data):
    other = b"".join(log.chance.choice(log.segments))
    begin = log.chance.randrange(len(other))
    at = log.somewhere(data)
    data[at : at + log.chance.choice([0, 500])] = other[begin : begin + log.chance.randrange(1, 5000)]


DAMAGE = {
    name: value
    for name, value in list(globals().items())
    if getattr(value, "__module__", "") == __name__ and getattr(value, "__code__", None)
    if value.__code__.co_varnames[:2] == ("log", "data")
}  # fmt: skip


def write(directory, name, data):
    directory.mkdir(exist_ok=True)
    (directory / f"{name}.0000.events").write_bytes(data)


def poll_all(consumer, limit=10_000):
    events = []
    for _ in range(10_000):  # an endless loop would be a failure, not a hang
        if not (batch := consumer.poll(0.0, limit)):
            return events
        events += batch
    pytest.fail("polls never come to an end")


def assert_published(log, events):
    for event in events:
        assert encode(event) == log.published[event.id]


@pytest.mark.parametrize("rounds", [ROUNDS, pytest.param(20 * ROUNDS, marks=pytest.mark.slow)])
def test_damage_never_makes_a_wrong_event_and_never_hides_a_whole_frame(tmp_path, chance, rounds):
    assert len(DAMAGE) == 12
    for number in range(rounds):
        log, directory = Log(chance), tmp_path / str(number)
        data = [log.damaged(segment) for segment in range(len(log.segments))]
        for segment, damaged in enumerate(data):
            write(directory, f"h.{segment}", damaged)
        fabric = FileFabric(f"file:{directory}")
        events = poll_all(fabric.consumer("reader"), chance.choice([1, 3, 10_000]))
        assert_published(log, events)
        expected = set().union(*map(log.whole_in, data))
        assert expected <= {event.id for event in events}
        verdict = verify(directory)
        assert verdict.events >= len(expected)
        assert fabric.consumer("lag").lag() >= len(expected)
        since = fabric.consumer("since", start=1e9)
        assert expected <= {event.id for event in poll_all(since)}


def test_reader_that_watches_a_file_being_damaged_gets_no_wrong_event(tmp_path, chance):
    for number in range(40):
        log, directory = Log(chance), tmp_path / str(number)
        whole = b"".join(log.segments[0])
        write(directory, "h.0", whole[: chance.randrange(len(whole))])
        consumer = FileFabric(f"file:{directory}").consumer("reader")
        events = poll_all(consumer, 1)
        for _ in range(3):
            write(directory, "h.0", log.damaged(0))
            events += poll_all(consumer)
        assert_published(log, events)


def test_damaged_positions_miss_nothing_and_make_nothing_up(tmp_path, chance):
    log, directory = Log(chance), tmp_path / "events"
    for segment, frames in enumerate(log.segments):
        write(directory, f"h.{segment}", b"".join(frames))
    fabric = FileFabric(f"file:{directory}")
    consumer = fabric.consumer("reader")
    read = {event.id for event in consumer.poll(limit=5)}
    consumer.commit()
    path = directory / "consumers" / "reader.json"
    good = path.read_bytes()
    for _ in range(2 * ROUNDS):
        data = bytearray(good)
        flip_or_cut = chance.choice([flip, cut, drop, insert, zero, append_garbage, append_a_hole])
        flip_or_cut(log, data)
        path.write_bytes(data)
        events = poll_all(fabric.consumer("reader"))
        assert_published(log, events)
        if is_beyond_notice(bytes(data), good):
            continue
        assert log.published.keys() <= read | {event.id for event in events}


def is_beyond_notice(data, good):
    """Whether the damage left well-formed positions with other numbers: only a checksum would tell."""
    strip = bytes.maketrans(b"0123456789", b"0000000000")
    return data != good and len(data) <= len(good) and data.translate(strip)[:1] == good[:1] and is_json(data)


def is_json(data):
    try:
        json.loads(data)
    except ValueError:
        return False
    return True


def test_files_beside_the_segments_may_be_anything(tmp_path, chance):
    directory = tmp_path / "events"
    fabric = FileFabric(f"file:{directory}")
    publisher = fabric.publisher("s", immediate=True)
    for number in range(60):
        publisher.publish(TaskSubmitted(task=number, func="x" * 40_000))
    publisher.publish(TaskSubmitted(task=60, func="y" * 200_000))  # set aside, in a file of its own
    publisher.publish(TaskSubmitted(task=61))
    publisher.close()
    others = [path for path in directory.rglob("*") if path.is_file() and path.suffix != ".events"]
    assert len(others) == 2
    good = [path.read_bytes() for path in others]
    for _ in range(20):
        for path, before in zip(others, good, strict=True):
            data = bytearray(before)
            chance.choice([flip, cut, drop, insert, zero])(Log(chance), data)
            path.write_bytes(data)
        for number, start in enumerate((0.0, "earliest")):
            consumer = fabric.consumer(f"reader-{number}", start=start)
            events = poll_all(consumer)
            whole = len(events) == 62
            assert [event.task for event in events] == [*range(60), *([60] if whole else []), 61]
            assert all(set(event.func) <= {"x"} or event.func == "y" * 200_000 for event in events)
            assert consumer.skipped() == (not whole)


def test_damage_costs_bounded_memory_and_time(tmp_path, chance):
    log, directory = Log(chance), tmp_path / "events"
    frames = list(log.frames)
    garbage = [b"PDe1" * 300_000, bytes(3_000_000), chance.randbytes(3_000_000)]
    header = HEADER.pack(b"PDe1", 0, MAX_BODY, 1, 1, 0.0)
    garbage.append(header * 12_000)  # each of them claims a body of half a megabyte
    write(directory, "h.0", b"".join(b"".join(pair) for pair in zip(itertools.cycle(frames), garbage))
          + frames[0])  # fmt: skip
    tracemalloc.start()
    started = time.process_time()
    events = poll_all(FileFabric(f"file:{directory}").consumer("reader"))
    spent = time.process_time() - started
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert_published(log, events)
    assert log.whole_in(b"".join(frames[:4])) <= {event.id for event in events}
    assert peak < 16_000_000
    assert spent < 30


def test_segment_that_is_read_while_it_grows_byte_by_byte_is_read_right(tmp_path, chance):
    log, directory = Log(chance), tmp_path / "events"
    directory.mkdir()
    path = directory / "h.0.0000.events"
    consumer = FileFabric(f"file:{directory}").consumer("reader")
    events = []
    data = b"".join(log.segments[0])
    with path.open("wb", buffering=0) as file:
        at = 0
        while at < len(data):
            step = chance.choice([1, 7, 31, 32, 33, 500, 5000])
            file.write(data[at : at + step])
            at += step
            events += consumer.poll()
    assert_published(log, events)
    assert [event.id for event in events] == sorted(
        log.whole_in(data), key=lambda name: int(name.split("-")[1])
    )
    assert consumer.skipped() == 0


def test_writer_of_this_release_makes_the_frames_that_are_damaged_here(tmp_path, chance):
    log = Log(chance)
    writer = SegmentWriter(tmp_path, "boot")
    encoded = [encode(log.event("boot")) for _ in range(5)]
    writer.append(encoded, 1)
    writer.close()
    (path,) = tmp_path.glob("*.events")
    assert path.read_bytes()[HEADER.size :] == join(encoded)
