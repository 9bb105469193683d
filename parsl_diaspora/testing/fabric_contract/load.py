# ruff: noqa: D102, S101 - a published test suite: names of tests are facts, numbers expected ones
"""Many processes at once, and a reader that is far behind."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.testing.fabric_contract.base import ContractBase, speak
from parsl_diaspora.testing.history.actors import Reader, Writer, play

_CHUNK = 20_000  # events; no buffer of a publisher is as small
_LIMIT = 1000
_EACH = 100


class Load(ContractBase):
    """Nothing is missed, doubled or mixed up, and memory is bounded."""

    def test_ten_writers_and_three_readers_in_processes_of_their_own_meet_everything_once(
        self, fabric: Fabric, place: Path
    ) -> None:
        self.need(self.reaches_processes and self.reads_elsewhere, "reaches no other process")
        assert fabric.node_url is not None
        writers = [
            Writer(
                name=f"writer-{number}",
                url=fabric.node_url,
                notes=str(place / f"writer-{number}"),
                seed=number,
                immediate=number % 2 == 1,
                events=_EACH,
            )
            for number in range(10)
        ]
        readers = [
            Reader(
                name=f"reader-{number}",
                url=self.reader_url(fabric),
                notes=str(place / f"reader-{number}"),
                limit=[10, 100, 10_000][number],
                quiet=max(1.5, self.patience / 5),
            )
            for number in range(3)
        ]
        play([*readers, *writers])
        verdict = self.judged(place)
        assert verdict.holds, str(verdict)
        assert verdict.read == verdict.safe >= 10 * _EACH

    def test_reader_that_is_far_behind_reads_in_bounded_bites_and_memory(self, fabric: Fabric) -> None:
        publisher = self.speaker(fabric)
        for begin in range(0, self.backlog, _CHUNK):
            speak(publisher, range(begin, min(begin + _CHUNK, self.backlog)))
            assert publisher.flush(4 * self.patience).waiting == 0
        consumer = fabric.consumer("reader")
        assert self.becomes(consumer.lag, self.backlog)
        read = largest = 0
        tracemalloc.start()
        try:
            for _ in range(20):
                events = consumer.poll(self.patience, _LIMIT)
                assert [event.task for event in events] == list(range(read, read + len(events)))
                largest, read = max(largest, len(events)), read + len(events)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        while events := consumer.poll(0.0 if read >= self.backlog else self.patience, _LIMIT):
            assert isinstance(events[0], TaskSubmitted)
            assert (events[0].task, events[-1].task) == (read, read + len(events) - 1)
            largest, read = max(largest, len(events)), read + len(events)
            consumer.commit()
        assert (read, consumer.lag()) == (self.backlog, 0)
        assert largest <= 10 * _LIMIT
        assert peak < self.poll_memory
