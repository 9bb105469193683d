"""Whether the program is still there, asked in a process that it has started."""

from __future__ import annotations

import os

import psutil


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
            return not self._program.is_running() or _is_zombie(self._program)
        return os.getppid() != self._parent


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.Error:
        return None  # of another PID namespace; then our own parent has to stand for it


def _is_zombie(process: psutil.Process) -> bool:
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True
