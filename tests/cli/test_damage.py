"""Logs that are not as they should be: whatever can be read is read, and the rest is said."""

from __future__ import annotations

import json
import re

import pytest


@pytest.fixture
def segments(log):
    """The segments of the submit side and of the worker."""
    paths = sorted(log.directory.glob("*.events"), key=lambda path: -path.stat().st_size)
    assert len(paths) == 2
    return paths


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0xFF
    path.write_bytes(data)


def middle(path):
    """Inside the frame of the third failed try: something that a report would miss."""
    return path.read_bytes().rindex(b"task.try_failed") + 5


def test_a_damaged_stretch_is_reported_and_the_rest_is_read(call, segments):
    flip(segments[0], middle(segments[0]))
    answer = call("report")
    assert answer.status == 0
    assert "2 succeeded 1 failed" in answer.words
    assert "The log is not whole 1 event missing between others of the same source" in answer.words
    assert "1 damaged stretch passed over" in answer.words
    assert f"damaged: {segments[0].name} at " in answer.words
    health = json.loads(call("report", "--json").out)["health"]
    assert (health["missing"], health["skipped"], len(health["damaged"])) == (1, 1, 1)


def test_verify_finds_the_damaged_stretch(call, segments):
    flip(segments[0], middle(segments[0]))
    answer = call("events", "verify")
    assert answer.status == 1
    assert "NOT WHOLE: 24 events in 2 segments" in answer.words
    assert "gaps submit:h:1: " in answer.words
    assert f"damaged {segments[0].name} at " in answer.words


def test_other_commands_read_the_rest(call, log, segments):
    flip(segments[0], middle(segments[0]))
    assert "1 have" not in call("report").words
    assert json.loads(call("runs", "--json").out)[0]["failed_tries"] == 2
    assert "It succeeded" in call("explain", 2).out
    assert len(call("events", "export").lines) == 24


def test_a_damaged_beginning_does_not_hide_the_run(call, log, segments):
    flip(segments[0], 40)
    (run,) = json.loads(call("runs", "--json").out)
    assert (run["run"], run["program"], run["done"]) == (log.run, "", 2)


def test_a_torn_tail_is_told_but_nothing_that_was_safe_is_lost(call, segments):
    data = segments[0].read_bytes()
    segments[0].write_bytes(data[:-7])
    answer = call("report")
    assert answer.status == 0
    assert f"its end is incomplete: {segments[0].name}" in answer.words
    assert "interrupted?" in answer.lines[0]
    verified = call("events", "verify")
    assert verified.status == 0
    assert f"torn tails {segments[0].name}" in verified.words
    assert "whole: 24 events" in verified.words


def test_a_writer_in_the_middle_of_a_frame_is_no_damage_while_it_runs(call, make_log, here):
    import time

    log = make_log(t0=time.time(), **here).start()
    (segment,) = log.directory.glob("*.events")
    segment.write_bytes(segment.read_bytes() + b"PDe1\x00\x00")
    assert "its end is incomplete" not in call("report").out


def test_events_that_came_twice_count_once_and_are_told(call, log, segments):
    (log.directory / "copy.events").write_bytes(segments[0].read_bytes())
    answer = call("report")
    assert "20 events came twice and counted once" in answer.words
    assert "2 succeeded 1 failed" in answer.words
    verified = call("events", "verify")
    assert verified.status == 0
    assert "duplicates 20" in verified.words


def test_a_missing_segment_in_the_middle_is_a_gap(call, log, segments):
    data = segments[0].read_bytes()
    first = data.index(b"PDe1", 4)
    second = data.index(b"PDe1", first + 4)
    segments[0].write_bytes(data[:first] + data[second:])
    assert call("events", "verify").status == 1
    assert "1 event missing" in call("report").words


def test_foreign_files_are_left_alone(call, log):
    (log.directory / "README.txt").write_text("not ours")
    (log.directory / "data.h5").write_bytes(bytes(5000))
    (log.directory / "consumers").mkdir()
    (log.directory / "empty.events").touch()
    answer = call("report")
    assert answer.status == 0
    assert "is not whole" not in answer.out
    assert call("events", "verify").status == 0


def test_a_foreign_file_with_our_suffix_is_told_and_the_rest_is_read(call, log):
    (log.directory / "notes.events").write_text("These are my own notes on what happened.\n" * 3)
    answer = call("report")
    assert answer.status == 0
    assert "2 succeeded 1 failed" in answer.words
    assert "notes.events" in answer.words


def test_only_foreign_files_with_our_suffix_hold_no_run(call, tmp_path):
    (tmp_path / "notes.events").write_text("These are my own notes on what happened.\n" * 3)
    answer = call("report", "--fabric", f"file:{tmp_path}")
    assert answer.status == 1
    assert "There is no run in" in answer.err


# --- repair and compact, in the words of the command ---


@pytest.fixture
def left(log, segments):
    """The same log, written by processes that are dead."""
    import subprocess
    import sys

    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    for path in segments:
        host, _, boot, number, suffix = path.name.rsplit(".", 4)
        path.rename(path.with_name(f"{host}.{process.pid}.{boot}.{number}.{suffix}"))
    return sorted(log.directory.glob("*.events"), key=lambda path: -path.stat().st_size)


def test_repair_tells_what_it_cut_out_and_a_report_tells_of_it_afterwards(call, left):
    flip(left[0], middle(left[0]))
    answer = call("events", "repair")
    assert answer.status == 0
    assert f"repaired {left[0].name} cut out " in answer.words
    assert "with at least 1 event" in answer.words
    assert "kept damaged/" in answer.words
    report = call("report")
    assert f"a repair took out what was damaged: {left[0].name} at " in report.words
    assert "took 1 min 0 s" in report.words
    assert "damaged stretch" not in report.words
    verified = call("events", "verify")
    assert (verified.status, "damaged none" in verified.words) == (1, True)  # a gap stays a gap
    assert "nothing to repair" in call("events", "repair").words


def test_a_torn_tail_is_repaired_and_the_log_is_whole(call, left):
    left[0].write_bytes(left[0].read_bytes()[:-7])
    told = call("events", "repair", "--dry-run")
    assert told.status == 1
    assert f"to repair {left[0].name} damaged " in told.words
    assert "an incomplete frame at the end" in told.words
    assert call("events", "repair").status == 0
    verified = call("events", "verify")
    assert (verified.status, "torn tails none" in verified.words) == (0, True)


def test_repair_leaves_what_is_still_written_and_says_why(call, segments):
    flip(segments[0], middle(segments[0]))
    answer = call("events", "repair")
    assert answer.status == 1
    assert "because its writer lives" in answer.words
    (found,) = json.loads(call("events", "repair", "--json").out)
    assert [each["left"] for each in found["segments"]] == ["its writer lives"]


def test_verify_tells_of_files_that_are_missing_or_none_of_ours(call, log, left):
    left[0].rename(left[0].with_name(left[0].name.replace(".0000.", ".0002.")))
    (log.directory / "notes.events").write_text("My notes.\n" * 30)
    (log.directory / "folder.events").mkdir()
    answer = call("events", "verify")
    assert answer.status == 0
    assert "folder.events: no file notes.events: no frame is in it" in answer.words
    assert "retired 2 files at the beginning, as retention leaves it" in answer.words


def test_compact_tells_what_it_saved_and_people_are_told_the_same(call, log, make_log):
    other = make_log(1, "b" * 8).start()
    for number in range(40):
        other.good_task(number, at=number)
    other.bad_task(50)
    other.end(done=40)
    questions = [
        ("runs", "--json"),
        ("report", "bbbb"),
        ("explain", "bbbb", 50),
        ("report", "bbbb", "--json"),
    ]
    before = [call(*each).out for each in questions]
    assert "its writer may still write" in call("events", "compact").words
    for path in other.directory.glob("*.events"):
        host, _, boot, number, suffix = path.name.rsplit(".", 4)
        path.rename(
            path.with_name(f"{host}.4194304.{boot}.{number}.{suffix}")
        )  # no process has so high a number
    told = call("events", "compact", "--dry-run", "--run-dir", "runinfo")
    (number,) = re.findall(r"would drop (\d+) events from 2 segments", told.words)
    assert int(number) in (79, 80)  # 40 starts and ends; what first tells of the place stays
    answer = call("events", "compact")
    assert answer.status == 0
    assert f"dropped {number} events from 2 segments saved " in answer.words
    assert "the old segments are in before-compact/" in answer.words
    assert [call(*each).out for each in questions] == before
    assert "its details were compacted" in call("explain", "bbbb", 7).words
    assert f"compacted {number} events dropped" in call("events", "verify").words
    assert call("events", "verify").status == 0


def test_a_stream_without_files_can_be_neither_repaired_nor_compacted(call):
    for command in ("repair", "compact"):
        answer = call("events", command, "--fabric", "memory:cli-repair")
        assert answer.status == 2
        assert "has no segments. This command is for logs that lie in directories" in answer.err
