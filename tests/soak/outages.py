"""Services that are killed and come back, and interchanges that are killed: what `Chaos` does not know."""

from __future__ import annotations

import random
import signal
import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import Protocol

import psutil

from parsl_diaspora.executors.alive import is_alive


class Service(Protocol):
    """A service in a process of its own."""

    def kill(self) -> object: ...

    def start(self) -> object: ...


def interchanges_of(program: int) -> list[psutil.Process]:
    """Those of a program that are there, by number; none if it has ended."""
    try:
        children = psutil.Process(program).children()
    except psutil.NoSuchProcess:
        return []
    return sorted(filter(_is_interchange, children), key=lambda process: process.pid)


def _is_interchange(process: psutil.Process) -> bool:
    try:  # its title says so; before it has one, its command does
        return is_alive(process) and "interchange" in " ".join(process.cmdline())
    except psutil.Error:
        return False


class Outages:
    """Kills by progress: interchanges of a program, and services, which come back.

    In the caller's thread: a broker dies with the thread that has started it.

    Args:
        seed: decides moments, victims, and how long a service is away.
        program: pid of the program.
        services: by name.
        counts: how often each is killed; ``interchange`` is one of the names.
    """

    def __init__(
        self, seed: int, program: int, services: Mapping[str, Service], counts: Mapping[str, int]
    ) -> None:
        self._dice = random.Random(seed)
        self._program, self._services = program, services
        names = [name for name, count in counts.items() for _ in range(count)]
        self._plan = deque(sorted((self._dice.uniform(0.02, 0.95), name) for name in names))
        self.kills: Counter[str] = Counter()

    def look(self, share: float) -> None:
        """Let happen what is due when this share of the tasks has ended."""
        while self._plan and self._plan[0][0] <= share and self._happens(self._plan[0][1]):
            self.kills[self._plan.popleft()[1]] += 1

    def _happens(self, name: str) -> bool:
        if name == "interchange":
            return self._kill_interchange()
        service = self._services[name]
        service.kill()
        time.sleep(self._dice.uniform(0.1, 3.0))
        service.start()
        return True

    def _kill_interchange(self) -> bool:
        """Whether there was one to be killed."""
        if not (victims := interchanges_of(self._program)):
            return False
        self._dice.choice(victims).send_signal(signal.SIGKILL)
        return True
