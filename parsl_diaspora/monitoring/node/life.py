"""One pool's process: how it is started and how it is ended."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress

from parsl_diaspora.executors.supervision.board import VARIABLE as BOARD
from parsl_diaspora.executors.supervision.board import Board
from parsl_diaspora.monitoring.node import kernel
from parsl_diaspora.monitoring.node.command import PoolCommand
from parsl_diaspora.monitoring.node.deaths import DeathReports
from parsl_diaspora.monitoring.node.pool import VARIABLE as POOL

#: Python ignores these in its own process, and what it starts would inherit that.
_IGNORED = (signal.SIGPIPE, signal.SIGXFSZ)
_GRACE = 2.0  # seconds between SIGTERM and SIGKILL
_POLL = 0.02  # seconds


class Pool:
    """A worker pool that runs.

    Args:
        command: with the manager's id.
        board: for its workers.
        environ: of its process.

    Attributes:
        uid: the manager's id.
        pid: of its process.
        since: monotonic time of its start.
        reports: of its dead workers.
        exit_code: once it has ended; negative for a signal.

    Raises:
        OSError: it cannot be started.
    """

    def __init__(self, command: PoolCommand, board: Board, environ: Mapping[str, str]) -> None:
        self.uid = command.uid
        self.since = time.monotonic()
        self.exit_code: int | None = None
        reading, reports = os.pipe2(os.O_CLOEXEC)
        life, self._life = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(reading, False)
        self.reports = DeathReports(reading)
        try:
            os.set_inheritable(reports, True)
            os.set_inheritable(life, True)
            told = {**environ, BOARD: str(board.path), POOL: f"{reports}:{life}:{os.getpid()}"}
            self.pid = _spawn(command, told)
        except BaseException:
            self.close()
            raise
        finally:
            os.close(reports)
            os.close(life)

    def end(self, number: int = signal.SIGTERM, grace: float = _GRACE) -> int:
        """End the pool and all that belongs to it: by the signal first, by SIGKILL after ``grace`` seconds.

        Returns:
            How many processes had to be killed.
        """
        if number != signal.SIGKILL:
            if not self.has_ended:
                with suppress(OSError):
                    os.killpg(self.pid, number)
            self._await_end(time.monotonic() + grace)
        killed, codes = kernel.kill_all()
        self.note(codes)
        return killed

    def _await_end(self, deadline: float) -> None:
        while time.monotonic() < deadline and kernel.descendants():
            time.sleep(_POLL)
            self.note(kernel.reap())

    @property
    def has_ended(self) -> bool:
        """Whether its process has ended."""
        return self.exit_code is not None

    def close(self) -> None:
        """Close what connects to it. The pool must have ended: it would end now."""
        self.reports.close()
        os.close(self._life)

    def note(self, codes: Mapping[int, int]) -> None:
        """Take note of children that have ended."""
        if self.pid in codes:
            self.exit_code = codes[self.pid]


def _spawn(command: PoolCommand, environ: Mapping[str, str]) -> int:
    """Start the pool in a process group of its own, so that a signal to the batch job's reaches us first."""
    arguments = command.around() or command.stock()
    return os.posix_spawnp(arguments[0], arguments, environ, setpgroup=0, setsigdef=_IGNORED, setsigmask=())
