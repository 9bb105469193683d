# ruff: noqa: D102, S101, PLR2004 - a published test suite: names of tests are facts, numbers expected ones
"""Where a named reader goes on."""

from __future__ import annotations

from parsl_diaspora.fabric import Fabric
from parsl_diaspora.testing.fabric_contract.base import ContractBase


class Positions(ContractBase):
    """Commits and names."""

    def test_consumer_resumes_after_its_last_commit_under_the_same_name(self, fabric: Fabric) -> None:
        publisher = self.speaker(fabric)
        self.say(publisher, range(5))
        first = fabric.consumer("reader")
        assert len(self.read(first, 5)) == 5
        first.commit()
        first.close()
        self.say(publisher, range(5, 8))
        assert [event.task for event in self.read_all(fabric, 3)] == [5, 6, 7]

    def test_what_was_polled_but_not_committed_is_read_again(self, fabric: Fabric) -> None:
        publisher = self.speaker(fabric)
        self.say(publisher, range(2))
        first = fabric.consumer("reader")
        self.read(first, 2)
        first.commit()
        self.say(publisher, range(2, 6))
        assert len(self.read(first, 4)) == 4
        first.close()
        assert [event.task for event in self.read_all(fabric, 4)] == [2, 3, 4, 5]

    def test_commit_before_any_poll_moves_nothing(self, fabric: Fabric) -> None:
        self.say(self.speaker(fabric), range(3))
        first = fabric.consumer("reader")
        first.commit()
        first.close()
        assert [event.task for event in self.read_all(fabric, 3)] == [0, 1, 2]

    def test_another_name_begins_anew(self, fabric: Fabric) -> None:
        self.say(self.speaker(fabric), range(3))
        first = fabric.consumer("first")
        self.read(first, 3)
        first.commit()
        assert [event.task for event in self.read_all(fabric, 3, name="second")] == [0, 1, 2]
        first.close()

    def test_two_consumers_read_all_events_each(self, fabric: Fabric) -> None:
        consumers = [fabric.consumer("one"), fabric.consumer("two")]
        self.say(self.speaker(fabric), range(50))
        for consumer in consumers:
            assert [event.task for event in self.read(consumer, 50)] == list(range(50))
            consumer.close()

    def test_events_and_positions_are_there_when_the_url_is_opened_again(self, fabric: Fabric) -> None:
        self.need(self.reopens, "does not outlive its object")
        publisher = self.speaker(fabric)
        self.say(publisher, range(4))
        publisher.close()
        consumer = fabric.consumer("reader")
        self.read(consumer, 4)
        consumer.commit()
        consumer.close()
        again = self.reopen(fabric)
        self.say(self.speaker(again), range(4, 6))
        assert [event.task for event in self.read_all(again, 2)] == [4, 5]
        assert len(self.read_all(again, 6, name="new")) == 6
        again.close()
