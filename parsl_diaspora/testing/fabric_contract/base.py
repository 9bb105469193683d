# ruff: noqa: S101 - a published test suite: names of tests are facts, numbers expected ones
"""The flags of a backend, and help for the tests."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from parsl_diaspora.events import Event, TaskSubmitted
from parsl_diaspora.fabric import Consumer, Fabric, Publisher, Start, open_fabric
from parsl_diaspora.testing.history import Verdict, check


class ContractBase:
    """The flags of a backend, its fabric, and help for the tests.

    Attributes:
        patience: seconds that a published event may take to arrive before a test gives up.
        slack: seconds that a poll without events may last beyond its timeout.
        largest: bytes of text in one event that the backend must carry.
        reopens: events and positions are still there when the fabric is closed and its URL opened again.
        reaches_processes: other processes can publish under ``node_url``.
        reads_elsewhere: other processes can read under what `reader_url` gives.
        may_double: a reader may meet an event again, as at-least-once delivery allows.
        hands_over: what a killed process leaves goes on by way of another one, so that a reader may meet it
            before what the dead had handed on itself.
        last_words: seconds that a process lives on after its last immediate publish before it is killed,
            where that waits for a short while only, whatever a busy machine needs.
        goes_by_arrival: a start at a time goes by when events arrived, not by when they were published.
        can_break: the class has an `outage`.
        can_slow: the class has a `slowness`.
        has_positions: consumers tell their position, and others start there.
        lives: processes of each sort that the tests kill.
        backlog: events that a reader is behind in the test of a reader far behind.
        poll_memory: bytes that one poll with a limit of 1000 small events may take for a while.
    """

    patience: float = 5.0
    slack: float = 1.0
    largest: int = 200_000
    reopens: bool = True
    reaches_processes: bool = True
    reads_elsewhere: bool = True
    may_double: bool = False
    hands_over: bool = False
    last_words: float = 0.0
    goes_by_arrival: bool = False
    can_break: bool = False
    can_slow: bool = False
    has_positions: bool = True
    lives: int = 3
    backlog: int = 200_000
    poll_memory: int = 16_000_000

    @pytest.fixture
    def fabric_url(self) -> str:
        """URL of a fabric on which nothing has been published. Override it."""
        raise NotImplementedError

    @pytest.fixture
    def fabric(self, fabric_url: str) -> Iterator[Fabric]:
        """The fabric under test; its publishers are closed after the test."""
        self._publishers: list[Publisher] = []
        fabric = open_fabric(fabric_url)
        yield fabric
        for publisher in self._publishers:
            publisher.close()
        fabric.close()

    @pytest.fixture
    def place(self, tmp_path: Path) -> Path:
        """A directory for the notes of a history."""
        (tmp_path / "notes").mkdir()
        return tmp_path / "notes"

    @pytest.fixture(params=[False, True], ids=["queued", "immediate"])
    def immediate(self, request: pytest.FixtureRequest) -> bool:
        """Both ways to publish."""
        return bool(request.param)

    def reopen(self, fabric: Fabric) -> Fabric:
        """The same fabric as a program that starts later sees it."""
        fabric.close()
        return open_fabric(fabric.url)

    def outage(self, fabric: Fabric) -> AbstractContextManager[None]:
        """Make the backend unavailable for writers within a ``with`` block. Override it with `can_break`."""
        raise NotImplementedError

    def slowness(self, fabric: Fabric) -> AbstractContextManager[None]:
        """Let the backend take 100 ms for each write within a ``with`` block. Override it with `can_slow`."""
        raise NotImplementedError

    def reader_url(self, fabric: Fabric) -> str:
        """The URL under which another process reads. Override it where it is not the fabric's own."""
        return fabric.url

    # --- help for the tests ---

    def speaker(self, fabric: Fabric, source: str = "speaker", **options: Any) -> Publisher:
        """A publisher that is closed after the test."""
        publisher = fabric.publisher(source, **options)
        self._publishers.append(publisher)
        return publisher

    def say(self, publisher: Publisher, numbers: range) -> None:
        """Publish events that are told apart by ``task``, and bring them to safety."""
        speak(publisher, numbers)
        assert publisher.flush(self.patience).waiting == 0

    def read(self, consumer: Consumer, count: int, limit: int = 10_000) -> list[Event]:
        """The next ``count`` different events, each once: delivery is at least once."""
        events: dict[str, Event] = {}
        deadline = time.monotonic() + self.patience
        while len(events) < count and time.monotonic() < deadline:
            for event in consumer.poll(0.1, limit):
                events.setdefault(event.id, event)
        return list(events.values())

    def read_all(
        self, fabric: Fabric, count: int, name: str = "reader", start: Start = "earliest"
    ) -> list[Event]:
        """The first ``count`` events of a new consumer, and no more are there."""
        consumer = fabric.consumer(name, start=start)
        events = self.read(consumer, count)
        ids = {event.id for event in events}
        surplus = [event for event in consumer.poll(0.0) if event.id not in ids]
        consumer.close()
        assert not surplus
        return events

    def judged(self, notes: Path) -> Verdict:
        """What the files in this directory show, in the order of their names."""
        verdict = check(sorted(notes.iterdir()))
        if self.may_double:
            verdict = msgspec.structs.replace(verdict, duplicates=[], repeated=[])
        if self.hands_over:
            verdict = msgspec.structs.replace(verdict, disorder=[])
        return verdict

    def need(self, ability: bool, why: str) -> None:
        """Skip the test without this ability."""
        if not ability:
            pytest.skip(f"this fabric {why}")

    def becomes(self, look: Callable[[], int], expected: int) -> bool:
        """Whether it is so in time."""
        deadline = time.monotonic() + self.patience
        while look() != expected and time.monotonic() < deadline:
            time.sleep(0.01)
        return look() == expected


def speak(publisher: Publisher, numbers: range, worker: int = 0) -> None:
    """Publish events that are told apart by ``task``."""
    for number in numbers:
        publisher.publish(TaskSubmitted(task=number, worker=worker))


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Work with each number at the same time."""
    with ThreadPoolExecutor(count) as threads:
        for done in [threads.submit(work, number) for number in range(count)]:
            done.result()


def counts(publisher: Publisher) -> tuple[int, int, int]:
    """How many are safe, waiting, lost."""
    report = publisher.flush(0.1)
    return report.safe, report.waiting, report.lost


def new_seed() -> int:
    """A seed for what is random in a test; that of the variable ``FABRIC_SEED`` to have it again."""
    seed = int(os.environ.get("FABRIC_SEED", random.randrange(2**32)))
    print(f"FABRIC_SEED={seed}")  # noqa: T201 - pytest shows it with a failure
    return seed
