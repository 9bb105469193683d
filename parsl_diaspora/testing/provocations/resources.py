"""Failures for want of memory, space, descriptors: limits of the kernel, met for real.

Limits are lowered for the time of the call only, as the worker goes on with other tasks.
"""

from __future__ import annotations

import os
import resource
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from parsl_diaspora.testing.provocations.application import BEFORE_A_CRASH

MEBIBYTE = 2**20
CGROUPS_V1 = Path("/sys/fs/cgroup/memory")


@contextmanager
def lowered(limit: int, value: int) -> Iterator[None]:
    """A lower soft limit for the time of a block."""
    before = resource.getrlimit(limit)
    resource.setrlimit(limit, (value, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(limit, before)


def address_space() -> int:
    """Bytes of address space that this process has."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def exceed_address_space(directory: str) -> int:
    """Ask for a gibibyte where 64 mebibytes more are allowed."""
    with lowered(resource.RLIMIT_AS, address_space() + 64 * MEBIBYTE):
        return len(bytearray(1024 * MEBIBYTE))


def map_too_much(directory: str) -> int:
    """Ask the kernel itself for a gibibyte, as array libraries do."""
    import mmap

    with lowered(resource.RLIMIT_AS, address_space() + 64 * MEBIBYTE):
        return len(mmap.mmap(-1, 1024 * MEBIBYTE))


def open_too_many_files(directory: str) -> None:
    """Open files until the process may have no more."""
    with lowered(resource.RLIMIT_NOFILE, 64), ExitStack() as files:
        while True:
            files.enter_context(tempfile.TemporaryFile(dir=directory))


def write_too_large_a_file(directory: str) -> None:
    """Write more than a file may hold."""
    with lowered(resource.RLIMIT_FSIZE, 4096), Path(directory, "large").open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def write_to_a_full_device(directory: str) -> None:
    """Write to the device that is always full."""
    with Path("/dev/full").open("w") as file:
        file.write("results")
        file.flush()


def kill_own_worker(directory: str) -> None:
    """Be killed as an administrator, or a stranger, kills."""
    time.sleep(BEFORE_A_CRASH)
    os.kill(os.getpid(), signal.SIGKILL)


def can_limit_memory() -> bool:
    """Whether control groups (version 1) can be made here in which the kernel kills for want of memory."""
    return os.access(CGROUPS_V1, os.W_OK) and (CGROUPS_V1 / "memory.limit_in_bytes").exists()


def fill_the_memory(directory: str) -> None:
    """Take memory until the kernel ends it: only for workers of a pool in a control group of its own."""
    assert f"/{GROUP_PREFIX}" in Path("/proc/self/cgroup").read_text()  # noqa: S101 - else the machine is filled
    hold = []
    while True:
        hold.append(os.urandom(MEBIBYTE))


def enter_group(name: str, limit: int) -> str:
    """A line for a provider's ``worker_init``: the pool enters a control group that may have so many bytes.

    Args:
        name: of the group; `remove_groups` removes it once it is empty.
        limit: bytes.
    """
    group = CGROUPS_V1 / f"{GROUP_PREFIX}{name}"
    return (
        f"mkdir -p {group} && echo {limit} > {group}/memory.limit_in_bytes && echo $$ > {group}/cgroup.procs"
    )


GROUP_PREFIX = "parsl-diaspora-provocation-"

ALLOCATE_TOO_MUCH = "ulimit -v 200000; head -c 1G /dev/zero | tail"

WRITE_TOO_MUCH = "ulimit -f 4; head -c 1M /dev/zero > large"

FILL_A_SMALL_DISK = """\
unshare --user --map-root-user --mount sh -c \
'mkdir small && mount -t tmpfs -o size=64k none small &&
dd if=/dev/zero of=small/results bs=1k count=100'"""


def can_mount() -> bool:
    """Whether a user may mount a small file system of its own here."""
    import subprocess

    script = "mount -t tmpfs -o size=64k none /mnt"
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script]
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def remove_groups() -> None:
    """Remove the control groups that provocations have left."""
    for group in CGROUPS_V1.glob(f"{GROUP_PREFIX}*"):
        group.rmdir()
