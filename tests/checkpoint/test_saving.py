"""What a save writes, when it counts, and what it leaves behind."""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsl_diaspora.checkpoint import DirectoryLevel, Fetched, Heard, Store, restore
from parsl_diaspora.checkpoint.packing import zstd
from parsl_diaspora.checkpoint.store.manifest import CHUNK
from parsl_diaspora.errors import CheckpointFenced, CheckpointTooLarge, StateNotSavable
from tests.checkpoint.states import restored, same, save, saved_once, saver_of, store_at
from tests.small_disk import small_disk

MB = 1024 * 1024


class Listener(Heard):
    """Remembers what it is told."""

    def __init__(self):
        self.safe, self.faults = [], []

    def saved(self, saved):
        self.safe.append(saved)

    def failed(self, reason, error):
        self.faults.append((reason, error))


@pytest.fixture
def heard():
    return Listener()


@pytest.fixture
def store(tmp_path):
    return store_at(tmp_path / "store")


def noise(size, seed=1):
    """Bytes that do not compress and do not repeat."""
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def touch(array, at=0):
    """Change one element."""
    array[at : at + 1] += 1


def files(place):
    """All files below a place, hidden ones too."""
    return sorted(path.name for path in place.rglob("*") if path.is_file())


# --- only what is new ---


def test_a_save_with_a_twentieth_of_its_chunks_changed_writes_little_more(store, heard):
    array = noise(100 * CHUNK)
    saver = saver_of(store, heard=heard)
    save(saver, {"x": array, "step": 1})
    assert array.nbytes <= heard.safe[0].written < array.nbytes * 1.01
    for chunk in range(0, 100, 20):
        touch(array, chunk * CHUNK)
    save(saver, {"x": array, "step": 2})
    assert heard.safe[1].written < 0.08 * array.nbytes
    assert heard.safe[1].size >= array.nbytes
    assert same(restored(store), {"x": array, "step": 2})


def test_equal_chunks_are_stored_once(store, heard):
    chunk = noise(CHUNK)
    state = {"x": np.tile(chunk, 20), "again": np.tile(chunk, 3), "zeros": np.zeros(5 * MB)}
    save(saver_of(store, heard=heard), state)
    assert heard.safe[0].written < 3 * CHUNK
    assert same(restored(store), state)


def test_a_state_that_has_not_changed_writes_only_its_description(store, heard):
    saver = saver_of(store, heard=heard)
    state = {"x": noise(4 * MB)}
    save(saver, state)
    save(saver, state)
    assert heard.safe[1].written < 10_000


@pytest.mark.skipif(zstd() is None, reason="zstandard is not there")
def test_compression_is_used_where_it_pays_and_only_there(store):
    from parsl_diaspora.checkpoint.packing import Packing

    easy, hard = memoryview(b"text and text " * 20_000), memoryview(noise(CHUNK).tobytes())
    slow, fast = Packing(1e6, zstd()), Packing(1e15, zstd())
    assert slow.pack(easy)[1]
    assert not slow.pack(hard)[1]
    assert not fast.pack(easy)[1]
    assert not Packing(0.0, zstd()).pack(easy)[1]
    assert not Packing(1e6, None).pack(easy)[1]


@pytest.mark.skipif(zstd() is None, reason="zstandard is not there")
def test_compressed_chunks_come_back(store, heard, monkeypatch):
    monkeypatch.setattr("parsl_diaspora.checkpoint.packing.Packing._pays", lambda self, chunk: True)
    saver = saver_of(store, heard=heard)
    save(saver, {"first": 1})
    state = {"x": np.arange(300_000), "noise": noise(CHUNK), "text": "abc" * 100_000}
    save(saver, state)
    assert heard.safe[1].written < state["x"].nbytes / 2
    assert same(restored(store), state)


# --- what is kept ---

STEP = st.tuples(st.sampled_from(["change", "grow", "shrink", "same", "again"]), st.integers(0, 2**16))


@settings(max_examples=25)
@given(st.lists(STEP, min_size=1, max_size=12), st.integers(1, 3))
def test_every_save_that_is_kept_can_be_restored_to_the_bit(tmp_path_factory, steps, keep):
    store = store_at(tmp_path_factory.mktemp("store"))
    states, array, launch = {}, noise(3 * CHUNK + 17), 1
    saver = saver_of(store, keep=keep)
    for what, number in steps:
        if what == "change":
            touch(array, number % len(array))
        elif what == "grow":
            array = np.concatenate([array, noise(number, number)])
        elif what == "shrink":
            array = array[: max(1, len(array) // 2)].copy()
        elif what == "again":
            saver.close()
            launch += 1
            store.begin(launch)
            saver = saver_of(store, launch, keep=keep)
        save(saver, {"x": array, "n": number})
        states[max(store.saves())] = {"x": array.copy(), "n": number}
        kept = store.saves()[:keep]
        for each in kept:
            fetched = Fetched(store)
            fetched.update(store.manifest(each))
            assert same(fetched.state(), states[each])
    saver.close()


def test_what_no_kept_save_needs_is_removed(store, tmp_path):
    saver = saver_of(store, keep=2)
    for seed in range(6):
        save(saver, {"x": noise(CHUNK, seed)})
    assert [each.number for each in store.saves()] == [6, 5]


def test_room_stays_within_bounds_while_parts_change_for_ever(store, heard, tmp_path):
    array, random = noise(64 * CHUNK), np.random.default_rng(7)
    saver = saver_of(store, heard=heard)
    most = 0
    for _ in range(80):
        for chunk in random.choice(64, 3, replace=False):
            touch(array, chunk * CHUNK)
        save(saver, {"x": array})
        most = max(most, sum(path.stat().st_size for path in (tmp_path / "store").rglob("*.save")))
    assert same(restored(store), {"x": array})
    assert most < 3.5 * array.nbytes


# --- what does not fit ---


def test_a_state_that_grows_past_its_quota_leaves_the_one_before(store, heard, tmp_path):
    saver = saver_of(store, heard=heard, quota=2 * MB)
    save(saver, {"x": noise(MB)})
    save(saver, {"x": noise(3 * MB)})
    assert [type(error) for _, error in heard.faults] == [CheckpointTooLarge]
    assert "2 MB" in str(heard.faults[0][1]) or "2.1 MB" in str(heard.faults[0][1])
    assert same(restored(store), {"x": noise(MB)})
    assert len(files(tmp_path)) == 1
    save(saver, {"x": noise(MB // 2)})
    assert same(restored(store), {"x": noise(MB // 2)})


def test_a_disk_that_is_full_costs_a_save_and_nothing_else(tmp_path, heard):
    with small_disk(tmp_path / "disk", "4m") as disk:
        store = store_at(disk)
        saver = saver_of(store, heard=heard)
        save(saver, {"x": noise(MB)})
        save(saver, {"x": noise(8 * MB)})
        assert "No space left" in str(heard.faults[0][1])
        assert same(restored(store), {"x": noise(MB)})
        assert len(files(disk)) == 1
        save(saver, {"x": noise(MB, 2)})
        assert same(restored(store), {"x": noise(MB, 2)})


def test_a_store_that_cannot_be_reached_is_told_and_a_later_save_is_taken(tmp_path, heard):
    place = tmp_path / "store"
    store = store_at(place)
    place.write_text("a file stands where the store should be")
    saver = saver_of(store, heard=heard)
    save(saver, {"x": 1})
    assert len(heard.faults) == 1
    place.unlink()
    save(saver, {"x": 2})
    assert len(heard.safe) == 1
    assert restored(store) == {"x": 2}


def test_a_store_that_was_cleared_gets_all_of_the_next_state(store, heard, tmp_path):
    saver = saver_of(store, heard=heard)
    array = noise(8 * CHUNK)
    save(saver, {"x": array})
    shutil.rmtree(tmp_path / "store")
    touch(array)
    save(saver, {"x": array})
    assert len(heard.safe) == 2
    assert same(restored(store), {"x": array}), "a save that was told to be safe cannot be restored"


def test_a_part_that_cannot_be_described_is_told_and_not_only_logged(store, heard, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr("parsl_diaspora.checkpoint.writing.pack", broken)
    for copy in (True, False):
        saver = saver_of(store, heard=heard, copy=copy)
        assert saver.save({"x": 1}) is copy  # written behind, nobody knows yet
        saver.wait(10.0)
    assert [type(error) for _, error in heard.faults] == [ZeroDivisionError] * 2


def test_what_cannot_be_saved_is_raised_where_it_is_said(store):
    saver = saver_of(store)
    with pytest.raises(StateNotSavable):
        saver.save({"f": lambda: 1})
    save(saver, {"f": 1})


# --- several places ---


def test_a_save_counts_at_a_place_only_if_all_of_it_is_there(tmp_path, heard):
    near, far = tmp_path / "near", tmp_path / "far"
    store = store_at(near, far)
    far.write_text("away")
    saver = saver_of(store, heard=heard)
    array = noise(8 * CHUNK)
    save(saver, {"x": array})
    assert (heard.safe[0].levels, heard.safe[0].level) == (1, str(near))
    far.unlink()
    touch(array)
    save(saver, {"x": array})
    assert heard.safe[1].levels == 1, "the far place lacks what was saved while it was away"
    touch(array)
    save(saver, {"x": array})
    assert heard.safe[2].levels == 2
    shutil.rmtree(near)
    assert same(restored(store_at(far)), {"x": array})
    touch(array)
    save(saver, {"x": array})
    assert heard.safe[3].levels == 2
    touch(array)
    save(saver, {"x": array})
    assert heard.safe[4].written < 2 * CHUNK


def test_a_place_that_is_always_full_does_not_make_each_save_a_whole_one(tmp_path, heard):
    with small_disk(tmp_path / "disk", "1m") as disk:
        saver = saver_of(store_at(disk, tmp_path / "far"), heard=heard)
        array = noise(16 * CHUNK)
        for _ in range(6):
            touch(array)
            save(saver, {"x": array})
        assert len(heard.safe) == 6
        assert sum(each.written for each in heard.safe) < 4 * array.nbytes


# --- the task goes on ---


def test_what_changes_after_save_has_returned_is_not_what_is_saved(store):
    saver = saver_of(store)
    for turn in range(5):
        array = noise(8 * MB, turn)
        fortran, parts = np.asfortranarray(array.reshape(64, -1)), array[::2]
        nested = [array.copy()]
        expected = {"f": fortran.copy("F"), "parts": parts.copy(), "nested": [array.copy()]}
        assert saver.save({"f": fortran, "parts": parts, "nested": nested})
        array[:] = 0
        fortran[:] = 0
        nested[0][:] = 0
        assert saver.wait(60.0)
        assert same(restored(store), expected)


class SlowLevel(DirectoryLevel):
    """Takes a save only when it is let go."""

    def __init__(self, path):
        super().__init__(path)
        self.begun, self.go_on = threading.Event(), threading.Event()

    def write(self, key, name, parts):
        def held():
            for part in parts:
                yield part
                if name.endswith(".save"):
                    self.begun.set()
                    assert self.go_on.wait(60.0)

        super().write(key, name, held())


def test_while_one_save_is_written_another_is_not_taken_unless_it_is_the_last(tmp_path, heard):
    level = SlowLevel(tmp_path / "store")
    store = Store([level], "key")
    saver = saver_of(store, heard=heard)
    assert saver.save({"n": 1})
    assert saver.is_busy
    assert not saver.save({"n": 2})
    threading.Timer(0.1, level.go_on.set).start()
    assert saver.save({"n": 3}, final=True)
    assert saver.wait(60.0)
    assert [each.final for each in heard.safe] == [False, True]
    assert restored(store) == {"n": 3}


def test_a_save_that_is_given_up_leaves_no_file(tmp_path, heard):
    level = SlowLevel(tmp_path / "store")
    saver = saver_of(Store([level], "key"), heard=heard)
    saver.save({"x": noise(CHUNK)})
    assert level.begun.wait(60.0)
    closing = threading.Thread(target=saver.close)
    closing.start()
    while not saver._closed:
        time.sleep(0.001)
    level.go_on.set()
    closing.join()
    assert files(tmp_path) == []
    assert heard.safe == heard.faults == []
    assert not saver.save({"x": 1})


MEASURE = """
import sys, numpy as np
from parsl_diaspora.checkpoint import DirectoryLevel, Identity, Saver, Store

def peak():
    return next(int(line.split()[1]) * 1024 for line in open("/proc/self/status") if line.startswith("VmHWM"))

size, copy, layout, place = int(sys.argv[1]), sys.argv[2] == "copy", *sys.argv[3:]
identity = Identity(run="r", task=0, attempt=0, launch=1)
saver = Saver(Store([DirectoryLevel(place)], "key"), identity, copy=copy)
saver.save({"x": np.zeros(10)}); saver.wait(None)
array = np.random.default_rng(1).integers(0, 256, size, dtype=np.uint8)
state = {"x": array if layout == "plain" else array.reshape(-1, 64)[:, :32]}
before = peak()
for _ in range(3):
    saver.save(state); saver.wait(None)
print((peak() - before) / state["x"].nbytes)
"""


@pytest.mark.parametrize(
    ("way", "layout", "most"), [("copy", "plain", 1.2), ("direct", "plain", 0.2), ("copy", "strided", 1.2)]
)
def test_memory_beside_the_state_is_one_copy_at_most(tmp_path, way, layout, most):
    size = 128 * MB
    command = [sys.executable, "-c", MEASURE, str(size), way, layout, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    print(f"copies of the state, {way}, {layout}: {float(done.stdout):.2f}")
    assert float(done.stdout) < most


# --- two tries at once ---


def test_of_two_tries_that_save_at_once_the_later_one_counts(store, heard):
    older, newer = saver_of(store, 1, heard), saver_of(store, 2)
    store.begin(1)
    save(older, {"by": "older"})
    store.begin(2)
    save(older, {"by": "older again"})
    assert older.is_fenced
    assert [type(error) for _, error in heard.faults] == [CheckpointFenced]
    assert not older.save({"by": "older"})
    save(newer, {"by": "newer"})
    assert restored(store) == {"by": "newer"}


@pytest.mark.parametrize("keep", [1, 2])
def test_a_try_that_was_stopped_in_the_middle_of_a_save_takes_nothing_from_its_successor(
    tmp_path, keep, heard
):
    level = SlowLevel(tmp_path / "store")
    level.go_on.set()
    orphans, store = Store([level], "key"), store_at(tmp_path / "store")
    array = noise(8 * CHUNK)
    orphans.begin(1)
    orphan = saver_of(orphans, 1, heard, keep=keep)
    save(orphan, {"x": array, "step": 1})
    level.go_on.clear()
    level.begun.clear()
    orphan.save({"x": noise(8 * CHUNK, 2), "step": 2})
    assert level.begun.wait(60.0)

    store.begin(2)
    found = restore(store, launch=2)
    assert found.state["step"] == 1
    successor = saver_of(store, 2, keep=keep)
    successor.go_on_from(found.save, found.manifest)
    touch(array)
    save(successor, {"x": array, "step": 3})

    level.go_on.set()
    assert orphan.wait(60.0)
    assert orphan.is_fenced or heard.faults
    assert len(heard.safe) == 1, "an orphan's save was told to be safe"
    assert same(restored(store), {"x": array, "step": 3})


def test_what_a_successor_saves_does_not_build_on_files_of_the_try_before(tmp_path):
    """An orphan that has not seen its fence yet, as directories are cached, may remove files of its own."""
    store = store_at(tmp_path / "store")
    array = noise(8 * CHUNK)
    saved_once(store, {"x": array})
    store.begin(2)
    found = restore(store, launch=2)
    successor = saver_of(store, 2)
    successor.go_on_from(found.save, found.manifest)
    touch(array)
    save(successor, {"x": array})
    for path in (tmp_path / "store").rglob("0000000000000001-*"):
        path.unlink()
    assert same(restored(store), {"x": array})


def test_what_a_killed_try_left_unfinished_is_removed_when_the_next_one_begins(tmp_path):
    place = tmp_path / "store"
    program = f"""
import os, signal
from parsl_diaspora.checkpoint import DirectoryLevel
def parts():
    yield b"x" * 1000
    os.kill(os.getpid(), signal.SIGKILL)
DirectoryLevel({str(place)!r}).write("key", "0000000000000001-000001.save", parts())
"""
    subprocess.run([sys.executable, "-c", program], check=False, timeout=60)
    assert len(files(place)) == 1
    store_at(place).begin(2)
    assert files(place) == ["0000000000000002.begun"]
