# ruff: noqa: D102, S101, PLR2004 - a published test suite: names of tests are facts, numbers expected ones
"""Where a reader without a position begins."""

from __future__ import annotations

import json
import time

import pytest

from parsl_diaspora.errors import FabricError
from parsl_diaspora.events import Event
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.testing.fabric_contract.base import ContractBase


class Starts(ContractBase):
    """Earliest, latest, a time, a position."""

    def test_consumer_begins_with_the_earliest_event_by_default(self, fabric: Fabric) -> None:
        self.say(self.speaker(fabric), range(3))
        assert [event.task for event in self.read(fabric.consumer("reader"), 3)] == [0, 1, 2]

    def test_consumer_that_starts_at_latest_reads_only_what_comes_after_it(self, fabric: Fabric) -> None:
        publisher = self.speaker(fabric)
        self.say(publisher, range(3))
        consumer = fabric.consumer("reader", start="latest")
        assert consumer.poll(0.0) == []
        self.say(publisher, range(3, 5))
        self.say(self.speaker(fabric, "newcomer"), range(5, 6))
        assert sorted(event.task or 0 for event in self.read(consumer, 3)) == [3, 4, 5]

    def test_consumer_that_starts_at_a_time_reads_what_was_published_from_then_on(
        self, fabric: Fabric
    ) -> None:
        publisher = self.speaker(fabric)
        self.say(publisher, range(3))
        time.sleep(0.05)
        moment = time.time()
        time.sleep(0.05)
        self.say(publisher, range(3, 6))
        assert [event.task for event in self.read_all(fabric, 3, start=moment)] == [3, 4, 5]
        assert self.read_all(fabric, 0, name="tomorrow", start=time.time() + 86_400) == []
        assert len(self.read_all(fabric, 6, name="long-ago", start=0.0)) == 6

    def test_committed_position_counts_more_than_the_start(self, fabric: Fabric) -> None:
        publisher = self.speaker(fabric)
        self.say(publisher, range(2))
        first = fabric.consumer("reader")
        self.read(first, 2)
        first.commit()
        first.close()
        self.say(publisher, range(2, 4))
        assert [event.task for event in self.read_all(fabric, 2, start="latest")] == [2, 3]

    def test_start_that_is_no_start_is_an_error(self, fabric: Fabric) -> None:
        with pytest.raises(FabricError, match="newest"):
            fabric.consumer("reader", start="newest")

    def test_consumer_can_start_where_another_stands(self, fabric: Fabric) -> None:
        self.need(self.has_positions, "tells no positions")
        publisher = self.speaker(fabric)
        self.say(publisher, range(5))
        first = fabric.consumer("first")
        assert len(self.read(first, 5)) == 5
        place = json.loads(json.dumps(first.position()))
        self.say(publisher, range(5, 8))
        self.say(self.speaker(fabric, "newcomer"), range(8, 10))
        second = fabric.consumer("second", start=place)
        assert sorted(event.task or 0 for event in self.read(second, 5)) == [5, 6, 7, 8, 9]
        assert len(self.read(first, 5)) == 5

    def test_position_moves_with_polls_and_misses_nothing_wherever_it_was_taken(self, fabric: Fabric) -> None:
        self.need(self.has_positions, "tells no positions")
        for begin in range(0, 40, 4):
            self.say(self.speaker(fabric, f"writer-{begin % 3}"), range(begin, begin + 4))
        reader = fabric.consumer("reader")
        before: list[Event] = []
        for number in range(10):
            others = fabric.consumer(f"other-{number}", start=reader.position())
            missing = set(range(40)) - {event.task for event in before}
            deadline = time.monotonic() + self.patience
            while missing and time.monotonic() < deadline:  # some that the reader has met may come again
                missing -= {event.task for event in others.poll(0.1)}
            assert not missing
            before += reader.poll(self.patience, limit=1)
            if len(before) == 40:
                break

    def test_committed_position_counts_more_than_a_position_to_start_at(self, fabric: Fabric) -> None:
        self.need(self.has_positions, "tells no positions")
        self.say(self.speaker(fabric), range(3))
        first = fabric.consumer("reader")
        beginning = first.position()
        self.read(first, 3)
        first.commit()
        first.close()
        assert self.read_all(fabric, 0, start=beginning) == []
