"""Processes that a benchmark starts: each is gone when its block ends."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType
from typing import Any

PATIENCE = 60.0  # seconds
PROGRAM = Path(__file__).with_name("_fabric_process.py")


class Helper:
    """A role of ``_fabric_process.py`` in a process of its own, killed at the end of the block."""

    def __init__(self, role: str, name: str, place: str, number: int = 0) -> None:
        command = [sys.executable, str(PROGRAM), role, name, place, str(number)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Helper:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        with self._process:  # closes its pipes and waits
            pass

    def hear(self) -> dict[str, Any]:
        """The next message.

        Raises:
            RuntimeError: the process ended without it, or had to be ended after a minute of silence.
        """
        assert self._process.stdout is not None
        patience = threading.Timer(PATIENCE, self._process.kill)
        patience.start()
        line = self._process.stdout.readline()
        patience.cancel()
        if not line:
            message = "A process of the benchmark ended early."
            raise RuntimeError(message)
        heard: dict[str, Any] = json.loads(line)
        return heard

    def tell(self) -> None:
        """One line for it to go on."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        """Let it stand still where it is."""
        self._process.send_signal(signal.SIGSTOP)

    def kill(self) -> list[dict[str, Any]]:
        """End it, and give what it had still said."""
        self._process.kill()
        assert self._process.stdout is not None
        return [json.loads(line) for line in self._process.stdout if line.endswith("\n")]
