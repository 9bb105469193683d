"""Appending from one process, with the events encoded."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from _candidates import LOGS, candidate
from _events import BATCH, BOOT, encoded
from _figures import Figure, Measured, Part, Sizes

from parsl_diaspora.events import join
from parsl_diaspora.fabric.file.frames import pack_frame
from parsl_diaspora.fabric.file.segment import SegmentWriter


def measure(name: str, place: str, sizes: Sizes) -> Measured:
    """Events a second by size of batch; and with a sync for each batch where the candidate has one."""
    found = {f"batch {size}": _rate(name, f"{place}-{size}", sizes, size) for size in (BATCH, 10, 1)}
    if name != "Kafka":
        found["sync"] = _rate(name, f"{place}-sync", sizes, BATCH, sync=True)
    if name == "file:":
        found["frames"] = _rate_of_frames(f"{place}-frames", sizes)
    return found


def _rate(name: str, place: str, sizes: Sizes, size: int, *, sync: bool = False) -> float:
    with _removed(place), closing(candidate(name, place)) as log:
        writer = log.writer(sync=sync)
        batch = encoded(size)
        writer.append(batch)
        started = time.perf_counter()
        count = repeat(lambda: writer.append(batch), sizes.seconds, stride=max(1, 64 // size)) * size
        writer.close()
        return count / (time.perf_counter() - started)


def _rate_of_frames(place: str, sizes: Sizes) -> float:
    frame = pack_frame(join(encoded()), BATCH, 1, time.time())
    with _removed(place), closing(SegmentWriter(Path(place), BOOT)) as segment:
        segment.append_frames([frame])
        started = time.perf_counter()
        count = repeat(lambda: segment.append_frames([frame]), sizes.seconds, stride=1) * BATCH
        return count / (time.perf_counter() - started)


@contextmanager
def _removed(place: str) -> Iterator[None]:
    """The next figure shall not wait for this one's pages to be written to the disk."""
    yield
    shutil.rmtree(place, ignore_errors=True)


def repeat(act: Callable[[], object], seconds: float, *, stride: int) -> int:
    """Do something over and over for a time, looking at the clock each ``stride`` times; how often it was."""
    count = 0
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for _ in range(stride):
            act()
        count += stride
    return count


PART = Part(
    "append",
    "append from one process, events encoded; no sync unless said",
    LOGS,
    measure,
    (
        Figure("batch 100", "batches of 100, events/s", 2_500_000),
        Figure("batch 10", "batches of 10, events/s"),
        Figure("batch 1", "one by one, events/s", 250_000),
        Figure("sync", "fdatasync for each batch of 100, events/s", 300_000),
        Figure("frames", "ready frames of 100 (a hub's way), events/s"),
    ),
)
