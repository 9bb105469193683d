"""Whether the program is still there, asked in a process that it has started."""

from __future__ import annotations

import os

import psutil

from parsl_diaspora.executors.alive import is_alive


class Parent:
    """The program that started this process, itself or through a wrapper.

    Args:
        pid: of the program, as it knows itself.
    """

    def __init__(self, pid: int) -> None:
        self._parent = os.getppid()
        self._program = None if self._parent == pid else _process(pid)

    @property
    def gone(self) -> bool:
        """It has ended, so nobody waits for what this process does."""
        if self._program is not None:
            return not is_alive(self._program)
        return os.getppid() != self._parent


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None  # of another PID namespace; then our own parent has to stand for it
