"""Logs whose writers are dead, made by hand: whole, damaged, read in part."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from parsl_diaspora.events import TaskSubmitted, encode
from parsl_diaspora.fabric.file import FileFabric
from parsl_diaspora.fabric.file.segment import SegmentWriter


def dead_pid():
    """The number of a process that has just ended."""
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    return done.pid


def dead_name(boot="ab", number=0, host=""):
    return f"{host or os.uname().nodename}.{dead_pid()}.{boot}.{number:04d}"


def segment(directory: Path, frames, *, boot="ab", first=1, name="", text="x", make=None):
    """A segment of somebody who is dead; its path and where each frame ends."""
    directory.mkdir(exist_ok=True)
    stem = name or dead_name(boot)
    writer = SegmentWriter(directory, boot, name=lambda _: stem)
    path, ends, number = directory / f"{stem}.events", [0], first
    make = make or (
        lambda n: TaskSubmitted(source="writer", boot=boot, seq=n, time=n, run="r", task=n, func=text)
    )
    for count in frames:
        writer.append([encode(make(number + i)) for i in range(count)], number)
        number += count
        ends.append(path.stat().st_size)
    writer.close()
    return path, ends


def damage(path: Path, ends, *which):
    """Flip a byte in the middle of each of these frames."""
    data = bytearray(path.read_bytes())
    for number in which:
        data[(ends[number] + ends[number + 1]) // 2] ^= 0xFF
    path.write_bytes(data)


def read(directory: Path, name="reader", *, commit=False, limit=10_000, once=False):
    """What a consumer is given that it has not had."""
    consumer = FileFabric(f"file:{directory}").consumer(name)
    events = []
    while batch := consumer.poll(limit=limit):
        events.extend(batch)
        if once:
            break
    if commit:
        consumer.commit()
    consumer.close()
    return events


def tasks(events):
    return [event.task for event in events if event.task is not None]
