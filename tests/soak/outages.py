"""Services that are killed and come back, and interchanges that are killed: what `Chaos` does not know."""

from __future__ import annotations

import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Protocol

import psutil


class Service(Protocol):
    """A service in a process of its own."""

    def kill(self) -> object: ...

    def start(self) -> object: ...


def kill_interchange(program: int, dice: random.Random) -> bool:
    """End one of a program's interchanges; whether there was one."""
    victims = []
    for child in psutil.Process(program).children():
        try:
            # Its title says so; before it has one, its command does.
            if child.status() != psutil.STATUS_ZOMBIE and "interchange" in " ".join(child.cmdline()):
                victims.append(child)
        except psutil.Error:
            continue
    if not victims:
        return False
    dice.choice(sorted(victims, key=lambda process: process.pid)).send_signal(signal.SIGKILL)
    return True


class Outages:
    """Kills by progress, in a thread of its own: interchanges of a program, and services, which come back.

    Args:
        seed: decides moments, victims, and how long a service is away.
        program: pid of the program.
        services: by name.
        counts: how often each is killed; ``interchange`` is one of the names.
        progress: tells the share that is done.
    """

    def __init__(
        self,
        seed: int,
        program: int,
        services: Mapping[str, Service],
        counts: Mapping[str, int],
        progress: Callable[[], float],
    ) -> None:
        self._dice = random.Random(seed)
        self._program, self._services, self._progress = program, services, progress
        names = [name for name, count in counts.items() for _ in range(count)]
        self._plan = sorted((self._dice.uniform(0.02, 0.95), name) for name in names)
        self.kills: Counter[str] = Counter()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outages", daemon=True)
        self.error: Exception | None = None

    def __enter__(self) -> Outages:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        try:
            for share, name in self._plan:
                while self._progress() < share:
                    if self._stop.wait(0.1):
                        return
                self._happen(name)
        except Exception as error:
            self.error = error

    def _happen(self, name: str) -> None:
        if name == "interchange":
            while not kill_interchange(self._program, self._dice):
                if self._stop.wait(0.2):
                    return
        else:
            service = self._services[name]
            service.kill()
            self._stop.wait(self._dice.uniform(0.1, 3.0))
            service.start()
        self.kills[name] += 1
