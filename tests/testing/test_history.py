"""The judge of histories finds each violation when it is made on purpose, and nothing in a clean one."""

from __future__ import annotations

import msgspec
import pytest

from parsl_diaspora.events import EventsLost, TaskSubmitted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.testing.history import (
    HistoryReader,
    HistoryWriter,
    Notes,
    check,
    judge,
    read_notes,
    sealed_event,
    sealed_number,
)
from parsl_diaspora.testing.history.reader import met
from parsl_diaspora.testing.history.records import Committed, Drained, Intends, Met, Read, Safe


def events(numbers, source="w", boot="b"):
    return [Met(source, boot, number, number) for number in numbers]


def history(*lives, safe=5, intended=5, reader="r", drained=True):
    """One writer, and lives of one reader which commit all that they read."""
    notes = [Intends("w", intended), Safe("w", "b", safe)]
    for number, life in enumerate(lives):
        notes += [Read(reader, str(number), life), Committed(reader, str(number))]
    return [*notes, *([Drained(reader)] if drained else [])]


def test_history_without_faults_holds_and_says_so():
    verdict = judge(history(events([1, 2, 3]), events([4, 5])))
    assert verdict.holds
    assert str(verdict) == "5 events acknowledged, 5 read: nothing lost, wrong, out of order or doubled."


@pytest.mark.parametrize(
    ("notes", "violation", "words"),
    [
        (history(events([1, 2, 3, 4])), "lost", ["w b-5"]),
        (history(events([1, 2, 4, 5])), "lost", ["w b-3"]),
        ([*history(events([1, 2, 3, 4, 5])), Drained("other")], "missed", ["other b-1"]),
        (history([*events([1, 2]), Met("w", "b", 3, -1), *events([4, 5])]), "wrong", ["seal"]),
        (history(events([1, 2, 3, 4, 5, 6])), "wrong", ["b-6: never published"]),
        (history(events([1, 2, 3, 4, 5]), events([1], "stranger", "c")), "wrong", ["stranger c-1: never"]),
        (
            [*history(events([1, 2, 3, 4, 5])), Read("q", "0", [Met("w", "b", 3, 2)])],
            "wrong",
            ["two contents"],
        ),
        (history(events([1, 3, 2, 4, 5])), "disorder", ["b-2 after 3"]),
        (history([Met("w", "b", 1, 2), Met("w", "b", 2, 1)], safe=2), "disorder", ["b-2 after 1"]),
        (history(events([1, 2, 4, 5])), "gaps", ["r w: 3-3"]),
        (history([Met("w", "b", 1, 1), Met("w", "b", 3, 2)], safe=1), "gaps", ["r b: 2-2"]),
        (history(events([1, 2, 3, 3, 4, 5])), "duplicates", ["b-3"]),
        (history(events([1, 2, 3]), events([3, 4, 5])), "repeated", ["b-3"]),
    ],
)  # fmt: skip
def test_each_violation_is_found_and_named(notes, violation, words):
    verdict = judge(notes)
    found = verdict.violations[violation]
    assert not verdict.holds
    assert violation in str(verdict)
    assert all(any(word in said for said in found) for word in words)


def test_damage_that_a_reader_passed_over_is_a_violation():
    notes = [*history(events([1, 2, 3, 4, 5])), Read("r", "0", [], skipped=2)]
    assert judge(notes).violations == {"skipped": ["r: 2"]}


def test_event_that_was_read_but_not_committed_may_come_again():
    first = [Intends("w", 5), Safe("w", "b", 5), Read("r", "0", events([1, 2]))]
    assert judge([*first, Read("r", "1", events([1, 2, 3, 4, 5]))]).holds


def test_event_that_was_not_acknowledged_may_be_missing_or_there():
    assert judge(history(events([1, 2, 3]), safe=3)).holds
    assert judge(history(events([1, 2, 3, 4]), safe=3)).holds


def test_gap_that_is_said_is_none():
    said = Met("w", "b", 3, 0, lost=2)
    assert judge(history([*events([1, 2]), said, Met("w", "b", 4, 5)], safe=4)).holds
    assert (
        "gaps" in judge(history([*events([1, 2]), said, Met("w", "b", 4, 6)], safe=4, intended=6)).violations
    )


def test_long_lists_are_cut_in_the_report_only():
    verdict = judge(history(safe=500))
    assert len(verdict.lost) == 500
    assert "and 490 more" in str(verdict)
    assert len(str(verdict)) < 1000


def test_note_that_was_cut_off_is_left_out_and_garbage_is_an_error(tmp_path):
    path = tmp_path / "notes"
    with Notes(path) as notes:
        notes.add(Intends("w", 5))
        notes.add(Drained("r"))
    path.write_bytes(path.read_bytes()[:-5])
    assert list(read_notes([path])) == [Intends("w", 5)]
    path.write_bytes(b"{}\n")
    with pytest.raises(msgspec.MsgspecError):
        list(read_notes([path]))


@pytest.mark.parametrize("change", [{"task": 8}, {"func": "xx"}, {"source": "you"}, {"task": None}])
def test_seal_breaks_with_any_change(change):
    event = sealed_event("me", 7, size=30)
    event.source = "me"
    assert sealed_number(event) == 7
    assert sealed_number(msgspec.structs.replace(event, **change)) == -1
    assert sealed_number(EventsLost(count=1)) == -1


def test_writer_and_reader_note_what_happens_to_them(tmp_path):
    fabric = open_fabric("memory:")
    with Notes(tmp_path / "w") as said, Notes(tmp_path / "r") as read:
        writer = HistoryWriter(fabric.publisher("w"), said)
        writer.publish([10, 20])
        assert writer.flush().safe == 2
        HistoryReader(fabric.consumer("r"), "r", read).drain(quiet=0.0)
    intends, safe = read_notes([tmp_path / "w"])
    assert (intends, safe.upto) == (Intends("w", 2), 2)
    kinds = [type(note).__name__ for note in read_notes([tmp_path / "r"])]
    assert kinds == ["Read", "Committed", "Drained"]
    assert check([tmp_path / "w", tmp_path / "r"]).holds


def test_loss_is_met_with_its_count():
    assert met(EventsLost(source="w", boot="b", seq=3, count=9)) == Met("w", "b", 3, 0, 9)
    assert met(TaskSubmitted(source="w", boot="b", seq=3)).number == -1
