"""What the adapter to the stream API costs: its file driver through the adapter, and in a bare loop.

    python benchmarks/_fabric_stream.py [EVENTS]

Both store the same bytes, in batches of the same size, and wait for each confirmation. The bare loop is given
ready metadata; a second one encodes its events as the adapter must. Without the real binding the tests'
stand-in serves. Sides alternate, and the ratio of the best rounds is printed, never asserted.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from parsl_diaspora.events import Event, TaskSubmitted, decode
from parsl_diaspora.fabric.diaspora_stream import StreamFabric
from parsl_diaspora.fabric.diaspora_stream.link import close_links
from parsl_diaspora.fabric.diaspora_stream.records import encode_record, read_record

STAND_IN = Path(__file__).parents[1] / "tests" / "services" / "diaspora_stream"
BATCH = 1024
ROUNDS = 5
RUN = "0c8d9d3e-6f0e-4b52-9d5c-2a9f6f1f7c11"
PAD = "f" * 180  # makes an event of about 300 bytes


def sample(number: int) -> TaskSubmitted:
    """An event of about 300 bytes."""
    return TaskSubmitted(
        source="submit:host:1", boot="b" * 16, seq=number, time=1e9, run=RUN, task=number, func=PAD
    )


def main(count: int) -> None:
    """Print events a second of each side, and ratios."""
    real = importlib.util.find_spec("diaspora_stream") is not None
    if not real:
        sys.path.insert(0, str(STAND_IN))
    events = [sample(number) for number in range(1, count + 1)]
    ready = [encode_record(event, 40_000).decode() for event in events]
    sides: dict[str, Callable[[Path], tuple[float, float]]] = {
        "bare loop, ready bytes": lambda place: bare(place, lambda: ready),
        "bare loop that encodes": lambda place: bare(
            place, lambda: [encode_record(event, 40_000).decode() for event in events]
        ),
        "adapter": lambda place: adapter(place, events),
    }
    best = dict.fromkeys(sides, (0.0, 0.0))
    with tempfile.TemporaryDirectory() as place:
        for turn, (name, side) in enumerate(list(sides.items()) * ROUNDS):
            (own := Path(place) / str(turn)).mkdir()
            wrote, read = side(own)
            best[name] = max(best[name][0], count / wrote), max(best[name][1], count / read)
        close_links()
    print(f"{count} events, {'the real binding' if real else 'the stand-in'}, file driver, best of {ROUNDS}")
    for name, (written, read) in best.items():
        print(f"{name:24} {written:10,.0f} stored/s {read:10,.0f} read/s")
    adapted = best.pop("adapter")
    for name, (written, read) in best.items():
        print(f"adapter / {name:24} {adapted[0] / written:5.2f} stored {adapted[1] / read:5.2f} read")


def bare(place: Path, make: Callable[[], Sequence[str]]) -> tuple[float, float]:
    """Seconds for storing and for reading, with nothing between us and the client."""
    from diaspora_stream.api import Driver

    driver = Driver(backend="files", options={"root_path": str(place)})
    driver.create_topic("t")
    topic = driver.open_topic("t")
    started = time.perf_counter()
    producer = topic.producer(batch_size=BATCH)
    records = make()
    for first in range(0, len(records), BATCH):
        futures = [producer.push(record) for record in records[first : first + BATCH]]
        producer.flush()
        for future in futures:
            future.wait(timeout_ms=1000)
    stored = time.perf_counter()
    read = read_bare(topic.consumer("reader", batch_size=64), len(records))
    assert read[-1].seq == len(records)
    return stored - started, time.perf_counter() - stored


def read_bare(consumer: Any, count: int) -> list[Event]:
    """So many events, decoded."""
    events: list[Event] = []
    while len(events) < count:
        event = consumer.pull().wait(timeout_ms=1000)
        text = read_record(event.metadata, b"").text
        assert text is not None
        events.append(decode(text, "json"))
    return events


def adapter(place: Path, events: Sequence[Event]) -> tuple[float, float]:
    """The same through the adapter; its process is running already, as it is in a program."""
    fabric = StreamFabric(f"files+diaspora:{place}?topic=t")
    publisher = fabric.publisher("benchmark", buffer=2 * len(events))
    reader = fabric.consumer("reader")
    reader.poll(0.0)
    reader.close()
    started = time.perf_counter()
    for event in events:
        publisher.forward(event)
    assert publisher.flush(60.0).safe == len(events)
    stored = time.perf_counter()
    consumer = fabric.consumer("second")
    read: list[Event] = []
    while len(read) < len(events):
        read += consumer.poll(1.0)
    assert read == list(events)
    taken = time.perf_counter() - stored
    publisher.close()
    consumer.close()
    return stored - started, taken


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
