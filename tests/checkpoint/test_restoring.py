"""What a new try goes on from: the newest state that is whole, never a wrong one."""

from __future__ import annotations

import os
import shutil

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parsl_diaspora.checkpoint import Save, restore
from parsl_diaspora.checkpoint.store import manifest as manifests
from parsl_diaspora.checkpoint.store.manifest import CHUNK
from parsl_diaspora.errors import CheckpointDamaged, StateChanged
from tests.checkpoint.states import restored, same, save, saved_once, saver_of, store_at


def state_of(step):
    """What a task holds after so many steps: most of it stays as it was."""
    array = np.random.default_rng(1).integers(0, 256, 3 * CHUNK // 2, dtype=np.uint8)
    array[:step] = step
    return {"step": step, "x": array, "text": "word " * step}


@pytest.fixture(scope="module")
def three_saves(tmp_path_factory):
    """A store with three saves, which share chunks; it is copied, never changed."""
    place = tmp_path_factory.mktemp("saves") / "store"
    saver = saver_of(store_at(place), keep=3)
    for step in (1, 2, 3):
        save(saver, state_of(step))
    saver.close()
    return place


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("scratch")


def objects(place):
    return sorted((place / "key").glob("*.save"))


def fresh_copy(place, scratch):
    shutil.rmtree(scratch / "store", ignore_errors=True)
    shutil.copytree(place, scratch / "store")
    return scratch / "store"


def flip(path, at, bit):
    data = bytearray(path.read_bytes())
    data[at % len(data)] ^= 1 << bit
    path.write_bytes(data)


def cut(path, at, _):
    os.truncate(path, at % path.stat().st_size)


def remove(path, *_):
    path.unlink(missing_ok=True)


def lengthen(path, at, _):
    with path.open("ab") as file:
        file.write(bytes(at % 200 + 1))


def swap(path, at, _):
    """A file that holds what another one should."""
    others = objects(path.parent.parent)
    path.write_bytes(others[at % len(others)].read_bytes())


DAMAGE = st.tuples(
    st.sampled_from([flip, cut, remove, lengthen, swap]),
    st.integers(0, 2),
    st.one_of(st.integers(0, 2**20), st.integers(1, 400).map(lambda back: -back)),
    st.integers(0, 7),
)


@settings(max_examples=150)
@given(st.lists(DAMAGE, min_size=1, max_size=3))
def test_whatever_happens_to_files_a_state_that_was_saved_comes_back_or_none(three_saves, scratch, damages):
    place = fresh_copy(three_saves, scratch)
    paths = objects(place)
    for do, which, at, bit in damages:
        if paths[which].exists() and paths[which].stat().st_size:
            do(paths[which], at, bit)
    lost = []
    found = restore(store_at(place), lost=lambda save, error: lost.append((save, error)))
    if found is not None:
        assert same(found.state, state_of(found.state["step"])), "a wrong state"
    assert all(isinstance(error, (CheckpointDamaged, OSError)) for _, error in lost)
    newest_untouched = max(set(range(3)) - {which for _, which, _, _ in damages}, default=None)
    if newest_untouched == 2 and all(which == 2 for _, which, _, _ in damages):
        assert found is not None


@settings(max_examples=60)
@given(st.sampled_from([flip, cut, remove]), st.integers(0, 2**20), st.integers(0, 7))
def test_damage_to_the_newest_file_costs_one_save_at_most(three_saves, scratch, do, at, bit):
    place = fresh_copy(three_saves, scratch)
    do(objects(place)[-1], at, bit)
    assert restored(store_at(place))["step"] in (2, 3)


@pytest.mark.parametrize("damage", [flip, cut, remove])
@pytest.mark.parametrize("level", [0, 1])
def test_what_is_damaged_at_one_place_is_read_at_another(tmp_path, damage, level):
    places = tmp_path / "near", tmp_path / "far"
    store = store_at(*places)
    saved_once(store, state_of(7))
    damage(objects(places[level])[0], 1000, 3)
    lost = []
    found = restore(store, lost=lambda *what: lost.append(what))
    assert same(found.state, state_of(7))
    assert lost == []


def test_the_newest_save_is_that_of_the_latest_launch(tmp_path):
    store = store_at(tmp_path)
    saver = saver_of(store, 10)
    for step in range(12):
        save(saver, {"step": step})
    assert restored(store) == {"step": 11}
    later = saver_of(store, 11)
    found = restore(store)
    later.go_on_from(found.save, found.manifest)
    save(later, {"step": "later"})
    assert restored(store) == {"step": "later"}
    assert restored(store, launch=10) == {"step": 11}
    assert restored(store, launch=9) is None


def test_where_nothing_was_saved_there_is_nothing(tmp_path):
    assert restore(store_at(tmp_path / "nowhere")) is None


def test_files_of_others_in_the_directory_are_no_saves(three_saves, scratch):
    place = fresh_copy(three_saves, scratch)
    for name in (
        "notes.txt",
        "x-1.save",
        "zzzzzzzzzzzzzzzz-000001.save",
        "ffffffffffffffff-x.save",
        ".hidden",
    ):
        (place / "key" / name).write_text("mine")
    assert restored(store_at(place))["step"] == 3


def test_saves_that_another_release_describes_are_left_aside(three_saves, scratch, monkeypatch):
    place = fresh_copy(three_saves, scratch)
    described = msgspec.structs.replace(store_at(place).manifest(Save(1, 3)), version=manifests.VERSION + 1)
    newest = objects(place)[-1]
    newest.write_bytes(newest.read_bytes() + manifests.pack(described))
    lost = []
    assert restored(store_at(place), lost=lambda save, error: lost.append(str(error)))["step"] == 2
    assert "version 2" in lost[0]


def test_what_is_restored_can_be_changed_and_leaves_the_save_alone(three_saves):
    store = store_at(three_saves)
    first = restored(store)
    first["x"][:] = 0
    assert same(restored(store), state_of(3))


# --- a program that has changed ---


def test_an_array_of_another_shape_ends_the_task_with_an_error_that_says_so(three_saves):
    with pytest.raises(StateChanged, match="'x' was saved as an array") as caught:
        restore(store_at(three_saves), default={"x": np.zeros(3)})
    assert caught.value.hint


class Gone:
    """A type that the program had when it saved."""


def test_a_type_that_is_gone_is_told(tmp_path, monkeypatch):
    store = store_at(tmp_path)
    saved_once(store, {"x": Gone()})
    monkeypatch.delattr(f"{__name__}.Gone")
    with pytest.raises(StateChanged, match="cannot be rebuilt") as caught:
        restore(store)
    assert "checkpoints" in caught.value.hint


def test_a_library_that_is_not_there_is_told(tmp_path, monkeypatch):
    store = store_at(tmp_path)
    saved_once(store, {"x": np.zeros(3)})

    def no_library(leaf):
        raise ImportError("No module named 'numpy'")

    monkeypatch.setattr("parsl_diaspora.checkpoint.loader.room_for", no_library)
    with pytest.raises(StateChanged, match=r"'x'.*numpy") as caught:
        restore(store)
    assert caught.value.part == "x"
