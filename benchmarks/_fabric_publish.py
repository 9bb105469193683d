"""Publishing: from object to log at full speed, and what it costs the program at a steady pace."""

from __future__ import annotations

import statistics
import time
from contextlib import closing

from _candidates import ALL, Publisher, candidate
from _events import sample
from _figures import Figure, Measured, Part, Sizes
from _tables import percentile

PACE = 10_000  # events a second


def measure_object_to_log(name: str, place: str, sizes: Sizes) -> Measured:
    """Build, stamp, encode, hand over, append; until the last event is safe.

    All events together must fit into the publisher's buffer of 64 MB: the loop is faster than its thread.
    """
    rate, cpu = _object_to_log(name, place, sizes.events, plain=True)
    found = {"rate": rate, "cpu": cpu}
    if name == "file:":
        found["synced"], _ = _object_to_log(name, f"{place}-synced", sizes.events, plain=False)
    return found


def _object_to_log(name: str, place: str, events: int, *, plain: bool) -> tuple[float, float]:
    with closing(candidate(name, place)) as log:
        publisher = log.publisher(2 * events, plain=plain)
        publisher.publish(sample(0))
        publisher.flush()
        started, used = time.perf_counter(), time.process_time()
        for number in range(events):
            publisher.publish(sample(number))
        publisher.flush(60)
        seconds, cpu = time.perf_counter() - started, time.process_time() - used
        publisher.close()
    return events / seconds, cpu / events * 1e6


def measure_callers_side(name: str, place: str, sizes: Sizes) -> Measured:
    """The time of ``publish()``, and a busy main thread's speed with publishing over that without."""
    with closing(candidate(name, place)) as log:
        publisher = log.publisher()
        publisher.publish(sample(0))
        publisher.flush()
        taken: list[float] = []
        ratios = [_pair(publisher, sizes.seconds, taken, number) for number in range(sizes.pairs)]
        publisher.close(10)
    return {
        "p50": percentile(taken, 0.5) * 1e6,
        "p99": percentile(taken, 0.99) * 1e6,
        "loop": statistics.median(ratios) * 100,
    }


def _pair(publisher: Publisher, seconds: float, taken: list[float], number: int) -> float:
    """Which of the two goes first alternates: a machine that gets slower favours neither."""
    if number % 2:
        without = _loop(None, seconds, taken)
        return _loop(publisher, seconds, taken) / without
    return _loop(publisher, seconds, taken) / _loop(None, seconds, taken)


def _loop(publisher: Publisher | None, seconds: float, taken: list[float]) -> float:
    """Turns a second of a loop that computes, and publishes whenever an event is due."""
    turns = 0
    now = started = time.perf_counter()
    due = started if publisher else float("inf")
    while now < started + seconds:
        if publisher and now >= due:
            due += 1 / PACE
            event = sample(turns)
            before = time.perf_counter()
            publisher.publish(event)
            taken.append(time.perf_counter() - before)
        _work()
        turns += 1
        now = time.perf_counter()
    if publisher:
        publisher.flush(10)
    return turns / seconds


def _work() -> None:
    """Some microseconds of Python."""
    total = 0
    for number in range(50):
        total += number * number


OBJECT_TO_LOG = Part(
    "object",
    "from object to log: build, encode, hand over, append, until all is written",
    ALL,
    measure_object_to_log,
    (
        Figure("rate", "events/s", 500_000),
        Figure("cpu", "CPU us/event of the process", form="{:.2f}"),
        Figure("synced", "until all is on the disk as well, as by default, events/s"),
    ),
)

CALLERS_SIDE = Part(
    "publish",
    "publish() at 10,000 events/s from a main thread that computes",
    ALL,
    measure_callers_side,
    (
        Figure("p50", "publish() p50, us", form="{:.1f}"),
        Figure("p99", "publish() p99, us", 20, "{:.1f}", at_least=False),
        Figure("loop", "the loop's speed, % of that without publishing", 98, "{:.1f}"),
    ),
)
