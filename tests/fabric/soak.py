"""A nursery: forks writers, readers and a hub, kills them when a seed says so, and forks them anew.

A program of its own, so that each fork starts within milliseconds and from a process without threads:

    python -m tests.fabric.soak DIRECTORY SEED KILLS

It leaves the log in DIRECTORY/events and the notes of all lives in DIRECTORY/notes, named so that their order
is that of the lives, and prints how many of which kind it has killed.
"""

from __future__ import annotations

import gc
import json
import os
import random
import signal
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.fabric.relay import Hub
from parsl_diaspora.testing.history import HistoryReader, HistoryWriter, Notes
from tests.fabric.relay_help import free_port

PAUSES = (0.0, 0.002, 0.05, 0.15, 0.3)  # seconds between two kills, at most
ROLES = {
    "writer-queued-1": "file queued",
    "writer-immediate-1": "file immediate",
    "writer-queued-2": "file queued",
    "writer-immediate-2": "file immediate",
    "relayed-queued": "relay queued",
    "relayed-immediate": "relay immediate",
    "reader-1": "reader",
    "reader-2": "reader",
    "hub": "hub",
}


class Nursery:
    def __init__(self, directory: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.seed = seed
        self.directory = directory
        self.log = f"file:{directory / 'events'}?roll=20kB"
        self.keys = directory / "keys"
        self.address = f"127.0.0.1:{free_port()}"
        self.relay = f"relay:{self.address}?key={self.keys / 'client.key'}"
        self.lives = Counter()
        self.kills = Counter()
        self.pids = {}
        (directory / "notes").mkdir()

    def bear(self, name: str) -> None:
        """Fork the next life of this name."""
        self.lives[name] += 1
        pid = os.fork()
        if pid == 0:
            self._live(name, self.lives[name])
        self.pids[name] = pid

    def _live(self, name: str, life: int) -> None:
        try:
            gc.freeze()
            role, _, way = ROLES[name].partition(" ")
            if role == "hub":
                serve(self)
            notes = Notes(self.directory / "notes" / f"{name}.{life:05d}")
            chance = random.Random(f"{self.seed} {name} {life}")
            if role == "reader":
                read(open_fabric(self.log).consumer(name), name, notes, chance)
            fabric = open_fabric(self.log if role == "file" else self.relay)
            write(fabric.publisher(f"{name}.{life}", immediate=way == "immediate"), notes, chance)
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(70)

    def kill(self, name: str) -> None:
        pid = self.pids.pop(name)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSIGNALED(status):
            message = f"{name} ended by itself, life {self.lives[name]}"
            raise RuntimeError(message)
        self.kills[ROLES[name]] += 1

    def drain(self, name: str) -> None:
        """A last life of a reader, which ends by itself."""
        self.lives[name] += 1
        notes = self.directory / "notes" / f"{name}.{self.lives[name]:05d}"
        HistoryReader(open_fabric(self.log).consumer(name), name, Notes(notes)).drain(quiet=0.1)


def serve(nursery: Nursery) -> None:
    Hub(nursery.log, nursery.keys, listen=nursery.address)
    while True:
        signal.pause()


def write(speaker, notes: Notes, chance: random.Random) -> None:
    writer = HistoryWriter(speaker, notes)
    last = chance.randrange(1, 30) if chance.random() < 0.3 else 0  # a death when most is still on its way
    while True:
        sizes = [chance.randrange(200) for _ in range(chance.randrange(1, 20))]
        if chance.random() < 0.01:
            sizes.append(chance.randrange(100_000))
        writer.publish(sizes)
        last -= 1
        if last == 0:
            writer.publish([1000] * 200)
            writer.flush(0.0)
            os.kill(os.getpid(), signal.SIGKILL)
        if chance.random() < 0.7:
            writer.flush(chance.uniform(0.0, 0.2))
        time.sleep(chance.uniform(0.0, 0.02))


def read(consumer, name: str, notes: Notes, chance: random.Random) -> None:
    reader = HistoryReader(consumer, name, notes)
    while True:
        reader.poll(chance.uniform(0.0, 0.02), limit=chance.choice([1, 10, 100, 1000]))
        if chance.random() < 0.5:
            reader.commit()


def main() -> None:
    directory, seed, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    nursery = Nursery(directory, seed)
    for name in ROLES:
        nursery.bear(name)
    time.sleep(0.3)
    for victim in victims(nursery.chance, kills):
        time.sleep(nursery.chance.uniform(0.0, nursery.chance.choice(PAUSES)))
        nursery.kill(victim)
        nursery.bear(victim)
    time.sleep(0.5)  # for the last lives to say something
    for name in [*(name for name in ROLES if name != "hub"), "hub"]:
        nursery.kill(name)
    for name in ("reader-1", "reader-2"):
        nursery.drain(name)
    print(json.dumps(nursery.kills))


def victims(chance: random.Random, kills: int) -> list[str]:
    """Who dies, in what order: each its share, the hub as often as all writers to it."""
    names = [*ROLES, "hub"]
    rounds = -(-kills // len(names))
    return chance.sample(names * rounds, rounds * len(names))[:kills]


if __name__ == "__main__":
    main()
