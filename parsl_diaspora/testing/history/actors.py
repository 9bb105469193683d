"""Writers and readers in processes of their own, which are killed, or kill themselves, when they are told to.

One program forks them all, so that each starts within milliseconds: :func:`play`.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

import msgspec

from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.testing.history.reader import HistoryReader
from parsl_diaspora.testing.history.records import Notes
from parsl_diaspora.testing.history.writer import HistoryWriter

_FAILED = 70
_LARGEST_BATCH = 40


class Actor(msgspec.Struct, kw_only=True):
    """Base of both.

    Attributes:
        name: the source of a writer, the name of a reader.
        url: of the fabric.
        notes: path of the file for notes.
        seed: of what is random.
        killed_after: seconds after its second note, when it has met something; None to let it end by itself.
    """

    name: str
    url: str
    notes: str
    seed: int = 0
    killed_after: float | None = None

    def act(self) -> None:
        """Do all that there is to do."""
        raise NotImplementedError


class Writer(Actor, kw_only=True, tag="writer"):
    """Publishes events in batches and flushes after each.

    Attributes:
        events: how many at least.
        seconds: for how long at least.
        immediate: publish at once.
        clock: seconds that the wall clock is off, batch by batch, over and over.
        pause: seconds between two batches, at most.
    """

    events: int = 0
    seconds: float = 0.0
    immediate: bool = False
    clock: list[float] = []
    pause: float = 0.005

    def act(self) -> None:
        """Publish until there are enough."""
        chance, real = random.Random(self.seed), time.time
        fabric = open_fabric(self.url)
        publisher = fabric.publisher(self.name, immediate=self.immediate)
        writer = HistoryWriter(publisher, Notes(self.notes))
        batch, until = 0, time.monotonic() + self.seconds
        while writer.number < self.events or time.monotonic() < until:
            if self.clock:
                off = self.clock[batch % len(self.clock)]
                time.time = lambda off=off: real() + off  # type: ignore[misc]
            writer.publish([chance.randrange(200) for _ in range(chance.randrange(1, _LARGEST_BATCH))])
            writer.flush()
            time.sleep(chance.uniform(0.0, self.pause))
            batch += 1
        publisher.close(10.0)
        fabric.close()


class Reader(Actor, kw_only=True, tag="reader"):
    """Polls and commits.

    Attributes:
        limit: of each poll.
        polls_to_death: polls after the last of which it kills itself without a commit; 0: it does not.
        quiet: seconds without an event after which it ends by itself.
    """

    limit: int = 10_000
    polls_to_death: int = 0
    quiet: float = 1.0

    def act(self) -> None:
        """Read until there is nothing, or death."""
        reader = HistoryReader(open_fabric(self.url).consumer(self.name), self.name, Notes(self.notes))
        for _ in range(self.polls_to_death - 1):
            reader.poll(0.1, self.limit)
            reader.commit()
        if self.polls_to_death:
            reader.poll(self.quiet, self.limit)
            os.kill(os.getpid(), signal.SIGKILL)
        reader.drain(self.quiet)


class _Play(msgspec.Struct):
    actors: list[Writer | Reader]


def play(actors: Sequence[Writer | Reader], timeout: float = 60.0, within: Sequence[str] = ()) -> None:
    """Start all actors at once, and wait until each has ended or was killed.

    Args:
        actors: who acts.
        timeout: seconds.
        within: a command that runs the command behind it elsewhere, as ``ip netns exec node-1``.

    Raises:
        RuntimeError: one of them failed.
        subprocess.TimeoutExpired: one of them went on too long; all are killed then.

    Example:
        >>> import tempfile
        >>> from parsl_diaspora.testing.history import check
        >>> place = tempfile.mkdtemp()
        >>> play([Writer(name="w", url=f"file:{place}/events", notes=f"{place}/w", events=5)])
        >>> check([f"{place}/w"]).safe >= 5
        True
    """
    command = [*within, sys.executable, "-W", "ignore", "-m", "parsl_diaspora.testing.history.actors"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
    ) as stage:
        try:
            _, said = stage.communicate(msgspec.json.encode(_Play(list(actors))), timeout)
        except BaseException:
            os.killpg(stage.pid, signal.SIGKILL)
            raise
    if stage.returncode:
        message = f"An actor failed:\n{said.decode(errors='replace')}"
        raise RuntimeError(message)


def _stage() -> int:
    """Fork all, kill those that are to be killed; whether any has failed."""
    actors = msgspec.json.decode(sys.stdin.buffer.read(), type=_Play).actors
    pids = {_fork(actor): actor for actor in actors}
    doomed = {pid: one for pid, one in pids.items() if one.killed_after is not None}
    due: dict[int, float] = {}
    while doomed:
        due.update(
            (pid, time.monotonic() + (one.killed_after or 0.0))
            for pid, one in doomed.items()
            if pid not in due and _has_noted(one)
        )
        for pid in [pid for pid in doomed if time.monotonic() >= due.get(pid, float("inf"))]:
            os.kill(pid, signal.SIGKILL)
            del doomed[pid]
        time.sleep(0.002)
    statuses = [os.waitpid(pid, 0)[1] for pid in pids]
    return any(os.WIFEXITED(status) and os.WEXITSTATUS(status) for status in statuses)


def _has_noted(actor: Actor) -> bool:
    path = Path(actor.notes)
    return path.exists() and path.read_bytes().count(b"\n") > 1


def _fork(actor: Actor) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            actor.act()
            os._exit(0)
        except BaseException:  # noqa: BLE001 - a fork must never come back
            traceback.print_exc()
        finally:
            os._exit(_FAILED)
    return pid


if __name__ == "__main__":
    sys.exit(_stage())
