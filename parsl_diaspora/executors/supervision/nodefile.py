"""What the submit side tells the supervisors of an executor's nodes: one file, read when they start."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import msgspec

#: Name of the file in the executor's log directory.
NAME = "node.json"


class NodeFile(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """How a supervisor is to do its work. Fields that another release knows are ignored.

    Attributes:
        run: Parsl's run id.
        executor: label.
        url: fabric that supervisors publish to; empty for none.
        orders: directory in which orders for supervisors appear; empty for none.
        beat: seconds between two signs of life.
        sample: seconds between two samples of what is in use; 0 for none.
        restarts: how many pools that were killed are replaced within five minutes.
        run_dir: Parsl's run directory.
        submit_host: host of the program.
        submit_pid: its process.
        submit_start: when that began, in the kernel's ticks since boot, so that it is not taken for another.

    Example:
        >>> read_node_file(b'{"run": "r", "executor": "cpu", "later": 1}').beat
        1.0
    """

    run: str
    executor: str
    url: str = ""
    orders: str = ""
    beat: float = 1.0
    sample: float = 5.0
    restarts: int = 3
    run_dir: str = ""
    submit_host: str = ""
    submit_pid: int = 0
    submit_start: int = 0


#: The reader of the file's bytes; raises `msgspec.DecodeError` for what is no such file.
read_node_file = msgspec.json.Decoder(NodeFile).decode


def write_node_file(path: Path, file: NodeFile) -> None:
    """Write the file for this user only: it may name keys, and no node may read half of it.

    Raises:
        OSError: it cannot be written.
    """
    write_private(path, msgspec.json.encode(file))


def write_private(path: Path, data: bytes) -> None:
    """Write a file at once and for this user only.

    Raises:
        OSError: it cannot be written.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "wb") as file:
            file.write(data)
        beside.replace(path)
    except BaseException:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
        raise
