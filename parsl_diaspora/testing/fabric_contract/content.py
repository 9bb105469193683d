# ruff: noqa: D102, S101 - a published test suite: names of tests are facts, numbers expected ones
"""What arrives is what was said."""

from __future__ import annotations

import msgspec
import pytest

from parsl_diaspora.events import (
    KINDS,
    Failure,
    TaskEnded,
    TryFailed,
    Unknown,
    decode,
)
from parsl_diaspora.fabric import Fabric
from parsl_diaspora.testing.fabric_contract.base import ContractBase
from parsl_diaspora.testing.samples import sample_event


class Content(ContractBase):
    """Each kind of event, any text, any size."""

    @pytest.mark.parametrize("kind", sorted(KINDS))
    def test_each_kind_of_event_survives_the_trip_unchanged(self, fabric: Fabric, kind: str) -> None:
        said = sample_event(KINDS[kind])
        self.speaker(fabric).forward(said)
        assert self.read_all(fabric, 1) == [said]

    def test_kind_and_version_of_a_newer_release_come_through_whole(self, fabric: Fabric) -> None:
        new_kind = {"kind": "task.teleported", "boot": "ab", "seq": 1, "version": 3, "speed": {"c": [0.5]}}
        new_version = {
            "kind": "task.ended",
            "boot": "ab",
            "seq": 2,
            "version": 99,
            "run": "r",
            "mood": "good",
        }
        publisher = self.speaker(fabric)
        for fields in (new_kind, new_version):
            publisher.forward(decode(msgspec.msgpack.encode(fields)))
        events = self.read_all(fabric, 2)
        assert [type(event) for event in events] == [Unknown, Unknown]
        assert [event.data for event in events if isinstance(event, Unknown)] == [new_kind, new_version]
        assert [(event.boot, event.seq) for event in events] == [("ab", 1), ("ab", 2)]

    def test_large_event_survives_the_trip(self, fabric: Fabric, immediate: bool) -> None:
        text = "".join(f"{number:06d} \N{SNOWMAN}" for number in range(self.largest // 10))
        publisher = self.speaker(fabric, immediate=immediate)
        publisher.publish(TaskEnded(error=text))
        assert publisher.flush(self.patience).lost == 0
        (event,) = self.read_all(fabric, 1)
        assert isinstance(event, TaskEnded)
        assert event.error == text

    @pytest.mark.parametrize(
        "text",
        ["Grüße, \U0001f30d", "שלום", "a\x00b\r\n\t\x1b[0m", "\u2028\ufeff\U0010ffff", '"\\{}', "PDe1"],
    )
    def test_any_unicode_text_survives_the_trip(self, fabric: Fabric, text: str) -> None:
        said = TryFailed(boot="ab", seq=1, run=text, node=text, cause=(text,), failure=Failure(message=text))
        self.speaker(fabric, text).forward(said)
        assert self.read_all(fabric, 1) == [said]
