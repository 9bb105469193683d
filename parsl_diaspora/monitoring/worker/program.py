"""The processes that a bash app has started: asked to save, and ended."""

from __future__ import annotations

import signal

from parsl_diaspora.monitoring.node import kernel
from parsl_diaspora.monitoring.worker.children import begun, young_processes


class Program:
    """All that this process has started since this was made.

    They share their process group with the worker, as Parsl starts them, so each is signalled alone. Only
    those are that have a handler: a shell in between would be ended by what is meant for the program that it
    waits for.

    Example:
        >>> import subprocess
        >>> program = Program()
        >>> child = subprocess.Popen(["sleep", "60"])
        >>> program.ask(signal.SIGUSR1)
        0
        >>> program.end()
        1
        >>> child.wait()
        -9
    """

    def __init__(self) -> None:
        self._since = begun()

    def ask(self, number: int) -> int:
        """Send a signal to all that have a handler for it; how many these are."""
        pids = [pid for pid in young_processes(self._since) if kernel.catches(pid, number)]
        kernel.send(pids, number)
        return len(pids)

    def end(self) -> int:
        """Kill them all, so that whoever waits for them sees that; how many they were."""
        found: set[int] = set()
        while new := set(young_processes(self._since)) - found:
            kernel.send(new, signal.SIGSTOP)  # so that none starts another meanwhile
            found |= new
        kernel.send(found, signal.SIGKILL)
        return len(found)
