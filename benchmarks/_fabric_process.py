"""What benchmarks of the fabric run in processes of their own; each role prints JSON lines.

python _fabric_process.py ROLE CANDIDATE PLACE [NUMBER]
"""

from __future__ import annotations

import ctypes
import json
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from _candidates import candidate
from _events import BATCH, encoded, sample

PR_SET_PDEATHSIG = 1
SILENCE = 5.0  # seconds without an event after which a reader gives up
STEP = 10_000  # events between commits, or between flushes
REPORT_EVERY = 0.01  # seconds


def read_paced(name: str, place: str, number: int) -> None:
    """Read events as they come; the seconds since their publication."""
    taken: list[float] = []
    with closing(candidate(name, place).reader()) as reader:
        say({"ready": True})
        heard = time.monotonic()
        while len(taken) < number and time.monotonic() < heard + SILENCE:
            events = reader.poll(0.1)
            now = time.time()
            taken.extend(now - event.time for event in events)
            heard = time.monotonic() if events else heard
    say({"seconds": taken})


def read_all(name: str, place: str, number: int) -> None:
    """Read, decode and commit; the peak of this process's memory."""
    with closing(candidate(name, place).reader()) as reader:
        base = peak_bytes()
        count = 0
        while count < number and (events := reader.poll(SILENCE)):
            count += len(events)
            reader.commit()
    say({"base": base, "peak": peak_bytes(), "events": count})


def write_all(name: str, place: str, number: int) -> None:
    """Publish as fast as events are written, 10,000 of them in memory at most; the peak of the memory."""
    publisher = candidate(name, place).publisher()
    base = peak_bytes()
    for count in range(1, number + 1):
        publisher.publish(sample(count))
        if count % STEP == 0:
            publisher.flush(60)
    publisher.flush(60)
    publisher.close()
    say({"base": base, "peak": peak_bytes(), "events": number})


def hold(name: str, place: str, number: int) -> None:
    """Be inside a transaction, or keep appending where there is no such thing, until killed."""
    del number
    writer = candidate(name, place).writer()
    batch = encoded()
    writer.append(batch)
    in_transaction = writer.begin()
    say({"ready": True})
    while True:
        if in_transaction:
            signal.pause()
        writer.append(batch)
        time.sleep(0.001)


def append_on(name: str, place: str, number: int) -> None:
    """Open, and append from the first line of input on until killed; say how many events it were so far."""
    writer = candidate(name, place).writer()
    batch = encoded()
    say({"ready": True})
    sys.stdin.readline()
    due = time.monotonic()
    while True:
        writer.append(batch)
        number += BATCH
        if time.monotonic() >= due:
            due = time.monotonic() + REPORT_EVERY
            say({"events": number})


def peak_bytes(pid: str = "self") -> int:
    """The most memory that a process had resident since its program began."""
    status = Path(f"/proc/{pid}/status").read_text("ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def say(message: dict[str, object]) -> None:
    """One line of JSON."""
    print(json.dumps(message), flush=True)


ROLES: dict[str, Callable[[str, str, int], None]] = {
    role.__name__: role for role in (read_paced, read_all, write_all, hold, append_on)
}


def main() -> None:
    """Play the role; end with the benchmark, however that ends."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    role, name, place, number = sys.argv[1:]
    ROLES[role](name, place, int(number))


if __name__ == "__main__":
    main()
