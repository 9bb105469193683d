# ruff: noqa: D102, S101, PLR2004 - a published test suite: names of tests are facts, numbers expected ones
"""The wall clock of a writer steps back."""

from __future__ import annotations

from pathlib import Path

from parsl_diaspora.events import Event
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.testing.fabric_contract.base import ContractBase
from parsl_diaspora.testing.history import check
from parsl_diaspora.testing.history.actors import Writer, play

_STEPS = [0.0, -5.0, -3600.0, -3601.0, 0.0, -7.0]  # seconds off, batch by batch


class Clocks(ContractBase):
    """Order holds by number, and nobody who asks for a time misses what carries it."""

    def test_order_of_a_source_holds_though_its_clock_steps_back(
        self, fabric: Fabric, tmp_path: Path
    ) -> None:
        events = self._stepping(fabric, tmp_path)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        times = [event.time for event in events]
        assert times != sorted(times)

    def test_start_at_a_time_includes_all_events_from_then_on_though_the_clock_stepped_back(
        self, fabric: Fabric, tmp_path: Path
    ) -> None:
        self.need(not self.goes_by_arrival, "goes by the time at which events arrive")
        events = self._stepping(fabric, tmp_path)
        times = sorted(event.time for event in events)
        for number, moment in enumerate(times[:: max(1, len(times) // 12)]):
            expected = {event.id for event in events if event.time >= moment}
            consumer = fabric.consumer(f"from-{number}", start=moment)
            met: set[str] = set()
            while len(expected - met) and (more := consumer.poll(self.patience / 5)):
                met.update(event.id for event in more)
            consumer.close()
            assert expected <= met

    def _stepping(self, fabric: Fabric, tmp_path: Path) -> list[Event]:
        """Events of a process whose clock steps back again and again, in the order of reading."""
        self.need(self.reaches_processes, "reaches no other process")
        assert fabric.node_url is not None
        notes = str(tmp_path / "notes")
        play([Writer(name="stepping", url=fabric.node_url, notes=notes, events=300, clock=_STEPS)])
        safe = check([notes]).safe
        assert safe >= 300
        consumer = fabric.consumer("reader")
        events = self.read(consumer, safe)
        consumer.close()
        assert len(events) == safe
        return events
