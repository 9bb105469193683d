"""Whether a log is whole, and what is told if it is not."""

from __future__ import annotations

import os
import resource
import subprocess
import sys

import pytest

from parsl_diaspora.events import EventsCompacted
from parsl_diaspora.fabric.file.numbering import LISTED
from parsl_diaspora.fabric.file.verify import verify
from tests.fabric.old_logs import damage, dead_name, dead_pid, segment


def numbered_files(directory, numbers, boot="ab"):
    writer = f"{os.uname().nodename}.{dead_pid()}.{boot}"
    for number in numbers:
        segment(directory, [2], boot=boot, first=2 * number + 1, name=f"{writer}.{number:04d}")
    return writer


def test_what_is_named_like_a_segment_and_is_none_is_told_and_is_no_damage(directory):
    segment(directory, [3])
    (directory / "folder.events").mkdir()
    (directory / "nowhere.events").symlink_to(directory / "gone")
    (directory / "notes.events").write_text("My notes.\n" * 30)
    (directory / "empty.events").touch()
    verdict = verify(directory)
    assert verdict.whole
    assert verdict.foreign == [
        "folder.events: no file",
        "nowhere.events: no file",
        "notes.events: no frame is in it",
    ]


def test_a_segment_by_name_without_a_whole_frame_is_damage(directory):
    path, ends = segment(directory, [1])
    damage(path, ends, 0)
    assert verify(directory).damaged == [f"{path.name} at 0"]


def test_a_segment_that_cannot_be_read_is_counted_and_the_rest_is_checked(directory, run_program):
    segment(directory, [3], boot="aa")
    path, _ = segment(directory, [3], boot="bb")
    path.chmod(0)
    found = run_program(
        """
        from parsl_diaspora.fabric.file.verify import verify
        obey_permissions()
        verdict = verify(directory)
        print(json.dumps([verdict.events, verdict.unreadable, verdict.whole]))
        """
    )
    assert found == [3, [f"{path.name}: Permission denied"], False]


def test_beginnings_that_retention_deleted_are_told_and_are_no_damage(directory):
    numbered_files(directory, [2, 3])
    verdict = verify(directory)
    assert (verdict.whole, verdict.retired, verdict.gaps, verdict.lost) == (True, 2, [], [])


def test_a_hole_in_the_numbers_of_a_writers_files_is_a_lost_file(directory):
    writer = numbered_files(directory, [0, 1, 3, 7])
    verdict = verify(directory)
    assert verdict.lost == [f"{writer}: 0002", f"{writer}: 0004 to 0006"]
    assert verdict.gaps == ["writer: 5-6", "writer: 9-14"]
    assert not verdict.whole


def test_a_thinned_segment_keeps_its_place_in_the_numbers(directory):
    writer = numbered_files(directory, [0, 2])
    segment(directory, [2], first=3, name=f"{writer}.0001c0a1b2c3d")
    assert verify(directory).whole


def test_of_many_findings_the_first_are_listed_and_the_rest_is_counted(directory):
    path, ends = segment(directory, [1] * 601)
    damage(path, ends, *range(0, 600, 2))
    verdict = verify(directory)
    assert len(verdict.damaged) == LISTED
    assert verdict.unlisted["damaged"] == 300 - LISTED
    assert len(verdict.gaps) == LISTED
    assert verdict.events == 301


def test_numbers_that_a_compaction_dropped_are_no_gap_but_others_are(directory):
    def make(number):
        if number == 4:
            return EventsCompacted(source="w", boot="ab", seq=9, run="r", first=3, last=9, dropped=5)
        return EventsCompacted(source="w", boot="ab", seq=[0, 1, 2, 5, 0, 10][number], run="r", dropped=1)

    segment(
        directory, [5], make=make
    )  # numbers 1, 2, 5, 9, 10: 3, 4, 6, 7 (and 9 itself) were dropped, 8 not
    verdict = verify(directory)
    assert verdict.gaps == ["w: 1 up to 10"]
    assert verdict.compacted == 9


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_AS"), reason="no limit on memory")
def test_a_log_larger_than_the_memory_that_is_allowed_is_checked(directory):
    boots = [f"b{number}" for number in range(3)]
    for boot in boots:
        segment(directory, [300] * 120, boot=boot, text="y" * 150)
    size = sum(path.stat().st_size for path in directory.glob("*.events"))
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from parsl_diaspora.fabric.file.verify import verify\n"
        "used = int(Path('/proc/self/statm').read_text().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 16_000_000,) * 2)\n"
        "print(verify(Path(sys.argv[1])).events)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, directory], capture_output=True, text=True, check=True)
    assert size > 20_000_000
    assert int(done.stdout) == 3 * 300 * 120


def test_a_name_of_nobody_has_no_number(directory):
    assert dead_name().endswith(".0000")
    segment(directory, [2], name="relay.000001-ab")
    verdict = verify(directory)
    assert (verdict.whole, verdict.retired) == (True, 0)


def test_a_log_that_nobody_has_begun_is_whole(directory):
    verdict = verify(directory)
    assert (verdict.whole, verdict.segments) == (True, 0)
