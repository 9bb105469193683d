"""Reading a log: its events decoded, its position committed each 10,000 events."""

from __future__ import annotations

import time
from contextlib import closing

from _candidates import LOGS, candidate
from _events import BATCH, encoded
from _figures import Figure, Measured, Part, Sizes

PATIENCE = 10.0  # seconds without an event
LIMIT = 1_000  # events a poll: more of them outgrow the caches of a core
STEP = 10_000  # events between commits


def measure(name: str, place: str, sizes: Sizes) -> Measured:
    """Events a second of one reader."""
    events = 2 * sizes.events // BATCH * BATCH
    with closing(candidate(name, place)) as log:
        writer = log.writer()
        batch = encoded()
        for _ in range(events // BATCH):
            writer.append(batch)
        writer.close()
        with closing(log.reader()) as reader:
            count = len(reader.poll(PATIENCE)) if name == "Kafka" else 0  # until its group has settled
            started, before = time.perf_counter(), count
            while count < events and (found := reader.poll(PATIENCE, LIMIT)):
                if (count + len(found)) // STEP > count // STEP:
                    reader.commit()
                count += len(found)
            seconds = time.perf_counter() - started
    assert count == events, f"{count} of {events} events were read"
    return {"rate": (count - before) / seconds}


PART = Part(
    "read",
    "read, decode and commit the position each 10,000 events",
    LOGS,
    measure,
    (Figure("rate", "events/s", 1_000_000),),
)
