"""End to end: from publish() to a reader in another process; and from publish() to its acknowledgement."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing

from _candidates import ALL, candidate
from _events import BATCH, sample
from _fabric_relay import Relay, ready_frames
from _figures import Figure, Measured, Part, Sizes
from _processes import Helper
from _tables import percentile

WARM_UP = 100  # events that are not counted
CONNECTING = {"Kafka": 4.0}  # seconds until a consumer's group has settled


def measure_end_to_end(name: str, place: str, sizes: Sizes) -> Measured:
    """Milliseconds from the event's own time to its arrival, by the clock of this machine."""
    found: Measured = {}
    for pace in (1_000, 10_000):
        taken = _end_to_end(name, f"{place}-{pace}", pace, int(pace * sizes.paced_seconds))
        found[f"p50 {pace}"] = percentile(taken, 0.5) * 1e3
        found[f"p99 {pace}"] = percentile(taken, 0.99) * 1e3
    return found


def _end_to_end(name: str, place: str, pace: int, count: int) -> list[float]:
    with closing(candidate(name, place)) as log:
        publisher = log.publisher()
        publisher.publish(sample(0))
        publisher.flush()
        with Helper("read_paced", name, place, count + 1) as reader:
            reader.hear()
            time.sleep(CONNECTING.get(name, 0.1))
            for number in paced(pace, count):
                publisher.publish(sample(number))
            publisher.close()
            taken: list[float] = reader.hear()["seconds"]
    assert len(taken) == count + 1, f"{count + 1 - len(taken)} events did not arrive"
    return taken[1:][min(WARM_UP, count // 2) :]


def measure_acknowledged(name: str, place: str, sizes: Sizes) -> Measured:
    """What is acknowledged, and how soon; for a log an acknowledgement is that the event is written."""
    found = {}
    with closing(candidate(name, place)) as log:
        if isinstance(log, Relay):
            found["rate"] = ready_frames(log.start(), "a" * 16, 2 * sizes.events // BATCH * BATCH)
        publisher = log.publisher(plain=True)
        publisher.publish(sample(0))
        publisher.flush()
        taken: list[float] = []
        for number in paced(1_000, int(1_000 * sizes.paced_seconds)):
            started = time.perf_counter()
            publisher.publish(sample(number))
            publisher.flush()
            taken.append(time.perf_counter() - started)
        publisher.close()
    return {**found, "p50": percentile(taken, 0.5) * 1e3, "p99": percentile(taken, 0.99) * 1e3}


def paced(pace: int, count: int) -> Iterator[int]:
    """Numbers, so many a second; a late one does not put off those behind it."""
    due = time.perf_counter()
    for number in range(count):
        due += 1 / pace
        time.sleep(max(0.0, due - time.perf_counter()))
        yield number


END_TO_END = Part(
    "latency",
    "end to end, from publish() to a reader in another process",
    ALL,
    measure_end_to_end,
    (
        Figure("p50 1000", "1,000 events/s, p50, ms", form="{:.3f}"),
        Figure("p99 1000", "1,000 events/s, p99, ms", form="{:.3f}"),
        Figure("p50 10000", "10,000 events/s, p50, ms", 0.2, "{:.3f}", at_least=False),
        Figure("p99 10000", "10,000 events/s, p99, ms", 2, "{:.3f}", at_least=False),
    ),
)

ACKNOWLEDGED = Part(
    "relay",
    "acknowledged: by the relay's hub; by a log, when the event is written",
    ALL,
    measure_acknowledged,
    (
        Figure("rate", "ready frames of 100, events/s", 500_000, judged="relay"),
        Figure(
            "p50", "from publish(), 1,000 events/s, p50, ms", 0.3, "{:.3f}", at_least=False, judged="relay"
        ),
        Figure("p99", "from publish(), 1,000 events/s, p99, ms", form="{:.3f}"),
    ),
)
