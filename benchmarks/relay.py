"""What a relay carries: acknowledged events a second, and how long an acknowledgement takes.

    python benchmarks/relay.py

The hub runs over loopback, encrypted, into the embedded log: first in a process of its own, then as a thread
of a program that computes meanwhile, as in a run. Run it on two quiet cores; figures are printed, never
asserted.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from parsl_diaspora.events import TaskSubmitted, encode
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.relay import Hub, make_keys
from parsl_diaspora.fabric.relay.address import read_url
from parsl_diaspora.fabric.relay.keys import load_client_keys
from parsl_diaspora.fabric.relay.link import Link
from parsl_diaspora.fabric.relay.wake import Wake
from parsl_diaspora.fabric.relay.window import Window
from parsl_diaspora.fabric.relay.wire import Ack, Batch, pack, unpack_at_client

RUN = "0c8d9d3e-6f0e-4b52-9d5c-2a9f6f1f7c11"
BOOT = "b" * 16
BATCH = 100
PAD = "f" * 180  # makes an event of about 300 bytes
BUSY_SECONDS = 3.0


@contextmanager
def hub() -> Iterator[str]:
    """The URL of a hub in a process of its own."""
    with tempfile.TemporaryDirectory() as place:
        keys = make_keys(Path(place) / "keys").parent
        command = [sys.executable, "-m", "parsl_diaspora.fabric.relay"]
        command += ["--to", f"file:{place}/events", "--keys", str(keys)]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            try:
                yield json.loads(process.stdout.readline())["url"]
            finally:
                process.terminate()


@contextmanager
def hub_beside() -> Iterator[str]:
    """The URL of a hub that is a thread of this process."""
    with tempfile.TemporaryDirectory() as place:
        keys = make_keys(Path(place) / "keys").parent
        with Hub(f"file:{place}/events", keys) as beside:
            yield beside.url


def sample(number: int) -> TaskSubmitted:
    """An event of about 300 bytes."""
    return TaskSubmitted(
        source="submit:host:1", boot=BOOT, seq=number, run=RUN, task=number, executor="htex", func=PAD
    )


def ready_frames(url: str, boot: str, events: int) -> float:
    """Acknowledged events a second of a client that has its events encoded, in batches of 100."""
    address, key = read_url(url)
    wake, window = Wake(), Window()
    link = Link(address.endpoint, load_client_keys(key), wake.fd)
    encoded = [encode(sample(number)) for number in range(1, BATCH + 1)]
    while not link.is_up:
        link.wait(1.0)
        list(link.changes())
    packed = acknowledged = 0
    started = time.perf_counter()
    while acknowledged < events:
        while not window.is_full and packed < events:
            window.add(encoded, packed + 1)
            packed += BATCH
        base = window.base
        while (batch := window.next_to_send()) is not None:
            if not link.send(pack(Batch(boot, batch.number, base)), batch.frame):
                window.take_back()
                break
        link.wait(1.0)
        for message in link.messages():
            said = unpack_at_client(message)
            if isinstance(said, Ack):
                acknowledged += sum(batch.count for batch in window.acknowledge(said.number))
    seconds = time.perf_counter() - started
    link.close()
    wake.close()
    return events / seconds


def whole_way(url: str, events: int) -> float:
    """Acknowledged events a second from ``publish()`` on: stamp, encode, queue, thread, hub, log.

    All events together must fit into the publisher's buffer of 64 MB: the loop is faster than its thread.
    """
    publisher = open_fabric(url).publisher("benchmark", buffer=2 * events)
    started = time.perf_counter()
    for number in range(events):
        publisher.publish(sample(number))
    assert publisher.flush(60).safe == events
    seconds = time.perf_counter() - started
    publisher.close()
    return events / seconds


def latencies(url: str, events: int, *, pace: float = 1000.0) -> tuple[float, float]:
    """Median and 99th percentile of the time from ``publish()`` to its acknowledgement, milliseconds."""
    publisher = open_fabric(url).publisher("benchmark")
    publisher.publish(sample(0))
    publisher.flush()
    taken = []
    due = time.perf_counter()
    for number in range(events):
        due += 1 / pace
        time.sleep(max(0.0, due - time.perf_counter()))
        started = time.perf_counter()
        publisher.publish(sample(number))
        publisher.flush()
        taken.append((time.perf_counter() - started) * 1e3)
    publisher.close()
    taken.sort()
    return taken[events // 2], taken[int(events * 0.99)]


def compute(seconds: float) -> float:
    """Rounds a second of a loop that never lets go of the interpreter by itself."""
    rounds, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(1000):
            rounds += 1
    return rounds / seconds


def beside_a_busy_program(url: str) -> tuple[float, list[str]]:
    """The share of its speed that a computing main thread keeps, and a client's latencies meanwhile."""
    told: list[str] = []
    count = int(BUSY_SECONDS * 1000)
    script = f"import relay; print(*relay.latencies({url!r}, {count}))"
    command = [sys.executable, "-c", script]
    place = Path(__file__).parent

    def client() -> None:
        told.extend(
            subprocess.run(command, check=True, capture_output=True, text=True, cwd=place).stdout.split()
        )

    alone = compute(1.0)
    thread = threading.Thread(target=client)
    thread.start()
    kept = compute(BUSY_SECONDS) / alone
    thread.join()
    return kept, told


def main() -> None:
    """Measure and print."""
    with hub() as url:
        frames = [ready_frames(url, f"{life:016x}", 300_000) for life in range(3)]
    with hub() as url:
        whole = [whole_way(url, 150_000) for _ in range(3)]
        p50, p99 = latencies(url, 3000)
    print(f"event, encoded                 {len(encode(sample(1))):10,} bytes")
    print(f"ready frames of {BATCH} events     {max(frames):10,.0f} events/s acknowledged (best of 3)")
    print(f"from publish() on              {max(whole):10,.0f} events/s acknowledged (best of 3)")
    print(f"publish() to acknowledgement   {p50:10.3f} ms p50, {p99:.3f} ms p99 at 1,000 events/s")
    with hub_beside() as url:
        kept, (p50_busy, p99_busy) = beside_a_busy_program(url)
    print(f"hub in a computing program     {float(p50_busy):10.3f} ms p50, {float(p99_busy):.3f} ms p99")
    print(f"speed that the program keeps   {kept:10.0%} of its own, client and hub on the same cores")


if __name__ == "__main__":
    main()
