# ruff: noqa: D102, S101, PLR2004 - a published test suite: names of tests are facts, numbers expected ones
"""What a publisher says of its events, and how it ends."""

from __future__ import annotations

from parsl_diaspora.events import (
    TaskSubmitted,
)
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.testing.fabric_contract.base import ContractBase, counts


class Flushing(ContractBase):
    """Flushing and closing."""

    def test_flush_tells_the_truth(self, fabric: Fabric, immediate: bool) -> None:
        publisher = self.speaker(fabric, immediate=immediate)
        assert counts(publisher) == (0, 0, 0)
        for number in range(100):
            publisher.publish(TaskSubmitted(task=number))
        report = publisher.flush(self.patience)
        assert (report.safe, report.waiting, report.lost) == (100, 0, 0)
        assert len(self.read_all(fabric, 100)) == 100

    def test_close_brings_everything_to_safety(self, fabric: Fabric, immediate: bool) -> None:
        publisher = self.speaker(fabric, immediate=immediate)
        for number in range(100):
            publisher.publish(TaskSubmitted(task=number))
        report = publisher.close(self.patience)
        assert (report.safe, report.waiting, report.lost) == (100, 0, 0)
        assert len(self.read_all(fabric, 100)) == 100

    def test_closing_again_changes_nothing(self, fabric: Fabric, immediate: bool) -> None:
        publisher = self.speaker(fabric, immediate=immediate)
        publisher.publish(TaskSubmitted())
        report = publisher.close(self.patience)
        assert publisher.close() == report
        consumer = fabric.consumer("reader")
        consumer.close()
        consumer.close()
        fabric.close()
        fabric.close()

    def test_publisher_that_said_nothing_can_be_closed(self, fabric: Fabric, immediate: bool) -> None:
        assert self.speaker(fabric, immediate=immediate).close().safe == 0

    def test_publish_after_close_does_not_raise_and_is_kept_or_counted(
        self, fabric: Fabric, immediate: bool
    ) -> None:
        publisher = self.speaker(fabric, immediate=immediate)
        publisher.publish(TaskSubmitted(task=1))
        publisher.close(self.patience)
        publisher.publish(TaskSubmitted(task=2))
        publisher.forward(TaskSubmitted(boot="ab", seq=1, task=3))
        report = publisher.flush(self.patience)
        assert report.safe + report.lost == 3
        assert len(self.read_all(fabric, report.safe)) == report.safe
