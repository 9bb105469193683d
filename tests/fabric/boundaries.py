"""Kills a process before, in and after each of its writing system calls in turn, and judges what is left.

    python -m tests.fabric.boundaries DIRECTORY SCRIPT

The script runs in a fork whose n-th call on a file is its last, for every n there is; each time in a new
directory. Prints how many deaths that were, and what the judge found.
"""

from __future__ import annotations

import errno
import io
import json
import os
import resource
import signal
import stat
import sys
import traceback
from functools import partial
from pathlib import Path

from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.file.verify import verify
from parsl_diaspora.fabric.relay import Hub, make_keys
from parsl_diaspora.testing.history import HistoryReader, HistoryWriter, Notes, check
from tests.fabric.relay_help import free_port

ON_DESCRIPTORS = ("write", "writev", "pwrite", "ftruncate", "fdatasync", "fsync", "lseek", "close")
ON_PATHS = ("open", "rename", "replace", "link", "unlink", "mkdir")
WHEN = ("before", "middle", "after")


def set_trap(at: int, when: str) -> None:
    """Let the ``at``-th call on a file from now on be this process's last."""
    left = at

    def due() -> bool:
        nonlocal left
        left -= 1
        return left == 0

    def trapped(call, name, *arguments, **options):
        fatal = due() if name in ON_PATHS or is_file(arguments[0]) else False
        if fatal and when == "middle" and name == "write":
            call(arguments[0], arguments[1][: len(arguments[1]) // 2])
        if fatal and when != "after":
            die()
        result = call(*arguments, **options)
        if fatal:
            die()
        return result

    for name in (*ON_DESCRIPTORS, *ON_PATHS):
        setattr(os, name, partial(trapped, getattr(os, name), name))
    io.open = partial(trapped, io.open, "open")


def is_file(descriptor: int) -> bool:
    try:
        return stat.S_ISREG(os.fstat(descriptor).st_mode)
    except OSError:
        return False


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


# --- what is done -----------------------------------------------------------------------------------------


def write(directory: Path, spring, *, at_once: bool) -> None:
    notes = Notes(directory / "notes.writer")
    spring()
    fabric = fabric_of(directory, "none" if at_once else "batch")
    writer = HistoryWriter(fabric.publisher("w", immediate=at_once), notes)
    for sizes in ([10], [20, 30, 10], [800], [1, 1]):
        writer.publish(sizes)
        writer.flush()
    writer._publisher.close()


def write_on_a_full_disk(directory: Path, spring) -> None:
    notes = Notes(directory / "notes.writer")
    spring()
    writer = HistoryWriter(fabric_of(directory).publisher("w", immediate=True), notes)
    writer.publish([10])
    writer.flush()
    real, os.write = os.write, short_write(os.write)
    writer.publish([10, 10])
    writer.flush()
    os.write = real
    writer.publish([10, 10])
    writer.flush()


def short_write(write):
    """As on a disk with room for 20 bytes: some bytes of a frame, then none."""

    def limited(descriptor, data):
        if len(data) < 100:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(descriptor, data[:20])

    return limited


def read(directory: Path, spring) -> None:
    write(directory, lambda: None, at_once=True)
    notes = Notes(directory / "notes.reader.1")
    spring()
    reader = HistoryReader(fabric_of(directory).consumer("reader"), "reader", notes)
    while reader.poll(limit=1):
        reader.commit()


def relay(directory: Path, spring) -> None:
    """The hub is the one that dies; another takes its place, and the client goes on."""
    address, keys = f"127.0.0.1:{free_port()}", directory / "keys"
    make_keys(keys)
    client = os.fork()
    if client == 0:
        speak(directory, f"relay:{address}?key={keys / 'client.key'}")
    first = os.fork()
    if first == 0:
        in_child(partial(serve, directory, address, spring))
    _, status = os.waitpid(first, 0)
    second = os.fork()
    if second == 0:
        in_child(partial(serve, directory, address, lambda: None, for_ever=True))
    assert os.waitpid(client, 0)[1] == 0
    os.kill(second, signal.SIGKILL)
    os.waitpid(second, 0)
    os._exit(0 if os.WIFEXITED(status) else 1)


def speak(directory: Path, url: str) -> None:
    def work() -> None:
        writer = HistoryWriter(open_fabric(url).publisher("w"), Notes(directory / "notes.writer"))
        for sizes in ([10], [20, 300]):
            writer.publish(sizes)
            assert writer.flush(20).waiting == 0

    in_child(work)


def serve(directory: Path, address: str, spring, *, for_ever: bool = False) -> None:
    spring()
    hub = Hub(f"file:{directory / 'events'}", directory / "keys", listen=address)
    reader = fabric_of(directory).consumer("watch")
    seen = 0
    while for_ever or seen < 3:  # all that the client says
        seen += len(reader.poll(0.1))
    hub.close()


def fabric_of(directory: Path, durability: str = "none"):
    return open_fabric(f"file:{directory / 'events'}?roll=1kB&durability={durability}")


SCRIPTS = {
    "immediate": partial(write, at_once=True),
    "queued": partial(write, at_once=False),
    "full disk": write_on_a_full_disk,
    "reader": read,
    "relay": relay,
}


# --- each death -------------------------------------------------------------------------------------------


def in_child(work) -> None:
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(70)
    os._exit(0)


def dies(directory: Path, script: str, at: int, when: str) -> bool:
    """Whether the script died of this; no error ends it else."""
    directory.mkdir()
    child = os.fork()
    if child == 0:
        in_child(lambda: SCRIPTS[script](directory, partial(set_trap, at, when)))
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 70:
        message = f"{script} failed {when} call {at}"
        raise RuntimeError(message)
    return status != 0


def judge(directory: Path) -> str:
    """What is wrong with what is left."""
    with Notes(directory / "notes.reader.2") as notes:
        HistoryReader(fabric_of(directory).consumer("reader"), "reader", notes).drain(quiet=0.0)
    verdict = check(sorted(directory.glob("notes.*")))
    if not verdict.holds:
        return str(verdict)
    found = verify(directory / "events")
    return "" if found.whole and not found.duplicates else str(found)


def main() -> None:
    directory, script = Path(sys.argv[1]), sys.argv[2]
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    deaths, wrong = 0, []
    for when in WHEN:
        at = 1
        while dies(place := directory / f"{when}-{at}", script, at, when):
            deaths += 1
            if found := judge(place):
                wrong.append(f"{when} call {at}: {found}")
            at += 1
    print(json.dumps([deaths, wrong]))


if __name__ == "__main__":
    main()
