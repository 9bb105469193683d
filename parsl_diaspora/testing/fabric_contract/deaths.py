# ruff: noqa: D102, S101, PLR2004 - a published test suite: names of tests are facts, numbers expected ones
"""Writers and readers in other processes are killed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from parsl_diaspora.fabric import Fabric
from parsl_diaspora.testing.fabric_contract.base import ContractBase, new_seed
from parsl_diaspora.testing.history import HistoryReader, HistoryWriter, Notes, Verdict, check
from parsl_diaspora.testing.history.actors import Reader, Writer, play

_SPEAKER = """
import os, signal, sys, time
from parsl_diaspora.events import TaskSubmitted
from parsl_diaspora.fabric import open_fabric
publisher = open_fabric(sys.argv[1]).publisher("another process", immediate=True)
for number in range(5):
    publisher.publish(TaskSubmitted(task=number))
time.sleep(float(sys.argv[2]))
os.kill(os.getpid(), signal.SIGKILL)
"""
_QUIET = 0.2  # seconds without an event after which a reader believes that it has all


class Deaths(ContractBase):
    """What was acknowledged outlives whoever said or read it."""

    def verdict(self, fabric: Fabric, place: Path) -> Verdict:
        """What the notes show after a last life of ``reader`` has read all there is."""
        deadline = time.monotonic() + self.patience
        consumer = fabric.consumer("reader")
        with Notes(place / "reader.last") as notes:
            reader = HistoryReader(consumer, "reader", notes)
            while True:
                reader.drain(_QUIET)
                verdict = self.judged(place)
                if not verdict.lost or time.monotonic() > deadline:
                    break
        consumer.close()
        return verdict

    def test_killed_process_leaves_what_it_published_at_once(self, fabric: Fabric) -> None:
        self.need(self.reaches_processes, "reaches no other process")
        assert fabric.node_url is not None
        command = [sys.executable, "-c", _SPEAKER, fabric.node_url, str(self.last_words)]
        subprocess.run(command, check=False, timeout=60)
        events = self.read_all(fabric, 5)
        assert [(event.source, event.task) for event in events] == [("another process", n) for n in range(5)]

    def test_fabric_that_reaches_no_other_process_says_so(self, fabric: Fabric) -> None:
        self.need(not self.reaches_processes, "reaches other processes")
        assert fabric.node_url is None

    def test_writers_that_are_killed_at_random_moments_leave_all_that_was_acknowledged(
        self, fabric: Fabric, place: Path
    ) -> None:
        self.need(self.reaches_processes, "reaches no other process")
        assert fabric.node_url is not None
        chance = random.Random(new_seed())
        writers = [
            Writer(
                name=f"writer-{life}",
                url=fabric.node_url,
                notes=str(place / f"writer-{life}"),
                seed=chance.randrange(1000),
                immediate=life % 2 == 1,
                seconds=60.0,
                killed_after=chance.uniform(0.0, 0.4),
            )
            for life in range(2 * self.lives)
        ]
        play(writers)
        verdict = self.verdict(fabric, place)
        assert verdict.holds, str(verdict)
        assert verdict.safe

    def test_reader_that_is_killed_between_poll_and_commit_resumes_without_a_gap(
        self, fabric: Fabric, place: Path
    ) -> None:
        self.need(self.reaches_processes and self.reads_elsewhere, "cannot be read by another process")
        chance = random.Random(new_seed())
        with Notes(place / "writer") as notes:
            writer = HistoryWriter(self.speaker(fabric), notes)
            for _ in range(20):
                writer.publish([50] * 10)
                assert writer.flush(self.patience).waiting == 0
        for life in range(self.lives):
            reader = Reader(
                name="reader",
                url=self.reader_url(fabric),
                notes=str(place / f"reader.{life}"),
                limit=10,
                quiet=0.2,
                polls_to_death=chance.randrange(1, 6),
            )
            play([reader])
        assert check(place.glob("reader.*")).read, "the killed readers have read nothing"
        verdict = self.verdict(fabric, place)
        assert verdict.holds, str(verdict)
        assert verdict.read == verdict.safe == 200
