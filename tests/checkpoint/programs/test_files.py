"""Files of programs that know nothing of us: which they are, and whether they were read as one."""

from __future__ import annotations

import os
import threading

import pytest

from parsl_diaspora.checkpoint import StateFile
from parsl_diaspora.checkpoint.programs import looks_of, read_whole, remove_others, whole
from parsl_diaspora.checkpoint.state import flatten


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*patterns):
    return list(looks_of(patterns))


def test_files_are_found_by_name_by_pattern_and_by_their_directory(place):
    (place / "deep" / "er").mkdir(parents=True)
    for name in ("state.bin", "log.1", "log.2", "deep/a", "deep/er/b", "other"):
        (place / name).write_text(name)
    assert names("state.bin") == ["state.bin"]
    assert names("log.*", "absent") == ["log.1", "log.2"]
    assert names("deep") == ["deep/a", "deep/er/b"]
    assert names(str(place / "other")) == [str(place / "other")]
    assert names("**/b") == ["deep/er/b"]


def test_what_is_no_file_and_what_is_being_written_back_belongs_to_no_state(place):
    os.mkfifo(place / "pipe")
    (place / ".state.bin.7.restoring").write_text("half")
    (place / "state.bin.restoring").write_text("half")
    assert names("*", ".*") == []


def change_in_place(path):
    path.write_bytes(b"other")


def replace(path):
    beside = path.with_name("new")
    beside.write_bytes(b"12345")
    stat = path.stat()
    os.utime(beside, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    beside.replace(path)


def change_and_lie_about_the_time(path):
    stat = path.stat()
    path.write_bytes(b"other")
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


@pytest.mark.parametrize("change", [change_in_place, replace, change_and_lie_about_the_time])
def test_a_file_of_the_same_size_that_was_changed_looks_different(place, change):
    (place / "state.bin").write_bytes(b"12345")
    before = looks_of(["state.bin"])
    threading.Event().wait(0.02)  # a file system's clock ticks every few milliseconds
    change(place / "state.bin")
    assert looks_of(["state.bin"]) != before


def test_a_renamed_file_looks_sealed_and_one_that_is_written_does_not(place):
    with open(place / "state.new", "wb") as file:
        file.write(b"1")
        file.flush()
        assert not looks_of(["state.new"])["state.new"].is_sealed
    threading.Event().wait(0.02)
    (place / "state.new").rename("state.bin")
    assert looks_of(["state.bin"])["state.bin"].is_sealed


def test_files_are_read_with_their_modes_under_the_names_that_they_go_by(place):
    (place / "a").write_bytes(b"12")
    (place / "b").write_bytes(b"")
    (place / "a").chmod(0o750)
    looks, files = read_whole(["a", "b"])
    assert list(looks) == list(files) == ["a", "b"]
    assert files["a"].read() == (b"12", 0o750)
    pieces = flatten(files)
    assert [(piece.leaf.kind, piece.leaf.about["path"], piece.leaf.sizes) for piece in pieces] == [
        ("file", "a", (2,)),
        ("file", "b", (0,)),
    ]


@pytest.mark.parametrize("limit", [1, 1 << 30], ids=["beside itself", "into memory"])
def test_what_was_read_stays_as_it_was_when_the_file_goes_on(place, monkeypatch, limit):
    monkeypatch.setattr(whole, "_LARGE", limit)
    (place / "state.bin").write_bytes(b"before" * 100_000)
    _, files = read_whole(["state.bin"])
    (place / "state.bin").write_bytes(b"after")
    assert bytes(files["state.bin"].read()[0]) == b"before" * 100_000
    assert os.listdir(place) == ["state.bin"]


@pytest.mark.parametrize("limit", [1, 1 << 30], ids=["beside itself", "into memory"])
@pytest.mark.parametrize("change", ["first", "second", "both", "a third", "gone"])
def test_files_that_change_while_they_are_read_are_not_taken(place, monkeypatch, change, limit):
    (place / "a").write_bytes(b"1" * 10)
    (place / "b").write_bytes(b"1" * 10)
    read = whole._read
    monkeypatch.setattr(whole, "_LARGE", limit)

    def interrupted(name, directory):
        found = read(name, directory)
        if name == "a":
            if change == "gone":
                (place / "b").unlink()
            if change in ("first", "both"):
                (place / "a").write_bytes(b"2" * 11)
            if change in ("second", "both"):
                (place / "b").write_bytes(b"")
            if change == "a third":
                (place / "c").write_bytes(b"2")
        return found

    monkeypatch.setattr(whole, "_read", interrupted)
    assert read_whole(["?"]) is None


def test_a_plain_file_of_a_state_is_still_read_when_it_is_saved(place):
    (place / "a").write_bytes(b"12")
    (piece,) = flatten({"a": StateFile("a")})
    assert bytes(piece.buffers[0]) == b"12"


def test_files_that_came_after_a_restored_state_are_removed_and_no_others(place):
    for name in ("state.1", "state.2", "input"):
        (place / name).write_text(name)
    assert remove_others(["state.*"], ["state.1"]) == ["state.2"]
    assert sorted(os.listdir(place)) == ["input", "state.1"]
