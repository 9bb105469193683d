"""What a task may save, and that it comes back as it was."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora.checkpoint import StateFile
from parsl_diaspora.checkpoint.state import check_likeness, flatten, rebuild, room_for
from parsl_diaspora.errors import StateChanged, StateNotSavable
from tests.checkpoint.states import LAYOUTS, NAMES, OBJECTS, any_array, restored, same, saved_once, store_at


def there_and_back(state):
    """What the bytes of a state are made into again, with descriptions that went through their own bytes."""
    import msgspec

    from parsl_diaspora.checkpoint.state import Leaf

    pieces = flatten(state)
    leaves = msgspec.msgpack.decode(msgspec.msgpack.encode([piece.leaf for piece in pieces]), type=list[Leaf])
    rooms = [room_for(leaf) for leaf in leaves]
    for room, piece in zip(rooms, pieces, strict=True):
        for target, source in zip(room.buffers, piece.buffers, strict=True):
            target[:] = source
    return rebuild(rooms)


# --- arrays ---


@given(any_array())
def test_arrays_of_every_type_and_layout_come_back_to_the_bit(array):
    back = there_and_back({"x": array})["x"]
    assert same(array, back)
    assert back.flags.writeable
    assert back.base is None or back.base.flags.owndata, "it is not an array of its own"


def test_an_array_in_the_order_of_fortran_stays_in_it_and_is_not_copied():
    array = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    piece = flatten({"x": array})[0]
    assert np.shares_memory(np.frombuffer(piece.buffers[0], np.uint8), array)
    assert there_and_back({"x": array})["x"].flags.f_contiguous


@pytest.mark.parametrize("layout", ["C", "F"])
def test_flattening_copies_no_array(layout):
    array = LAYOUTS[layout](np.zeros((30, 40)))
    piece = flatten({"x": array})[0]
    array[2, 3] = 7.0
    assert 7.0 in np.frombuffer(piece.buffers[0])


def test_fields_that_overlap_or_stand_in_another_order():
    reordered = np.dtype({"names": ["b", "a"], "formats": ["<i4", "<i4"], "offsets": [4, 0]})
    union = np.dtype({"names": ["whole", "low"], "formats": ["<i8", "<i4"], "offsets": [0, 0]})
    for dtype in (reordered, union):
        array = np.arange(6, dtype="<i8").view(dtype)
        assert same(array, there_and_back({"x": array})["x"])


def test_fields_with_titles_and_gaps():
    titled = np.dtype([(("a title", "a"), "<f4"), ("b", "<i2", (2, 3))])
    gaps = np.dtype({"names": ["a", "b"], "formats": ["<i2", "<f8"], "offsets": [3, 16], "itemsize": 40})
    for dtype in (titled, gaps):
        array = np.frombuffer(bytes(range(240))[: 6 * dtype.itemsize], np.uint8).view(dtype)
        assert same(array, there_and_back({"x": array})["x"])


class Kelvin(np.ndarray):
    """A type of array of the program's own."""


@pytest.mark.parametrize(
    "value",
    [
        np.float64(3.5),
        np.datetime64("2026-01-01T00:00:00", "ms"),
        np.ma.MaskedArray([1.0, 2.0, 3.0], mask=[True, False, False]),
        np.array([1, "two", None], dtype=object),
        np.arange(6.0).view(Kelvin),
        np.zeros(3, dtype=np.dtype("<f8", metadata={"unit": "K"})),
        np.zeros((2, 0)),
        np.zeros(4, dtype=np.dtype([])),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_more_than_its_bytes_comes_back_as_what_it_was(value):
    back = there_and_back({"x": value})["x"]
    assert type(back) is type(value)
    assert np.array_equal(np.asarray(back), np.asarray(value))
    if isinstance(value, np.ma.MaskedArray):
        assert back.mask.tolist() == [True, False, False]
    if isinstance(value, np.ndarray):
        assert back.dtype.metadata == value.dtype.metadata


def test_texts_of_any_length_as_numpy_knows_them():
    strings = getattr(np.dtypes, "StringDType", None)
    if strings is None:
        pytest.skip("this numpy has none")
    array = np.array(["a", "b" * 100, ""], dtype=strings())
    assert there_and_back({"x": array})["x"].tolist() == array.tolist()


# --- objects ---

#: Within objects they are pickled by numpy itself, which turns dates of the other byte order into its own.
NESTED = any_array().filter(lambda array: array.dtype.isnative)


@given(st.dictionaries(NAMES, st.one_of(OBJECTS, any_array()), max_size=5))
def test_mappings_of_anything_come_back_in_their_order(state):
    assert same(state, there_and_back(state))


@given(st.one_of(OBJECTS.filter(lambda value: not isinstance(value, dict)), any_array()))
def test_a_single_value_comes_back_alone(value):
    assert same(value, there_and_back(value))


@given(st.lists(NESTED, min_size=1, max_size=3))
def test_objects_that_hold_arrays_come_back_with_them(arrays):
    state = {"nested": {"list": arrays, "again": arrays[0], "none": None}}
    back = there_and_back(state)
    assert same(state, back)
    assert back["nested"]["again"] is back["nested"]["list"][0]


def test_large_arrays_within_objects_are_not_copied_into_the_pickle():
    array = np.zeros(100_000)
    piece = flatten({"nested": [array]})[0]
    assert len(piece.buffers[0]) < 1000
    assert np.shares_memory(np.frombuffer(piece.buffers[1], np.uint8), array)


def test_other_mappings_are_states_too():
    assert there_and_back(OrderedDict(b=1, a=2)) == {"b": 1, "a": 2}


# --- files ---


def test_a_file_is_written_back_as_it_was(tmp_path):
    path = tmp_path / "place" / "model.bin"
    path.parent.mkdir()
    path.write_bytes(b"\0weights" * 1000)
    path.chmod(0o640)
    store = store_at(tmp_path / "store")
    saved_once(store, {"model": StateFile(str(path)), "step": 3})
    path.write_bytes(b"something else")
    path.unlink()
    path.parent.rmdir()
    assert restored(store) == {"model": StateFile(str(path)), "step": 3}
    assert path.read_bytes() == b"\0weights" * 1000
    assert path.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in path.parent.iterdir()] == ["model.bin"]


def test_an_empty_file_and_one_in_the_working_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("empty").touch()
    store = store_at(tmp_path / "store")
    saved_once(store, {"file": StateFile("empty")})
    Path("empty").write_text("full")
    restored(store)
    assert Path("empty").read_bytes() == b""


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(StateNotSavable, match=r"'model'.*cannot be saved") as caught:
        flatten({"model": StateFile(str(tmp_path / "nowhere"))})
    assert caught.value.part == "model"


def test_a_file_that_changes_while_it_is_read_is_not_saved(tmp_path, monkeypatch):
    path = tmp_path / "growing"
    path.write_bytes(b"1")
    found = os.fstat

    def grows(descriptor):
        before = found(descriptor)
        with path.open("ab") as file:
            file.write(b"2")
        return before

    monkeypatch.setattr("parsl_diaspora.checkpoint.state.files.os.fstat", grows)
    with pytest.raises(StateNotSavable, match="changed while it was read"):
        flatten({"file": StateFile(str(path))})


# --- what cannot be saved ---


@pytest.mark.parametrize(
    "value",
    [
        lambda: None,
        threading.Lock(),
        (each for each in ()),
        np.array([1, threading.Lock()], dtype=object),
    ],
    ids=["lambda", "lock", "generator", "array of locks"],
)
def test_what_cannot_be_pickled_is_told_by_its_name(value):
    with pytest.raises(StateNotSavable, match=r"'bad'.*cannot be pickled") as caught:
        flatten({"good": 1, "bad": value})
    assert caught.value.part == "bad"
    assert caught.value.hint


def test_an_open_file_cannot_be_saved(tmp_path):
    with (tmp_path / "log").open("w") as file, pytest.raises(StateNotSavable):
        flatten({"log": file})


def test_an_object_that_refuses_to_be_pickled_in_its_own_way():
    class Refuses:
        def __reduce__(self):
            raise ZeroDivisionError("no")

    with pytest.raises(StateNotSavable, match="no"):
        flatten(Refuses())


@pytest.mark.parametrize("name", [1, None, ("a", 1), b"x", "", "half \ud800 a letter"], ids=repr)
def test_parts_are_named_by_texts(name):
    with pytest.raises(StateNotSavable, match="named by texts") as caught:
        flatten({name: 1})
    assert caught.value.hint


def test_a_file_whose_name_is_no_text_is_told(tmp_path):
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff")
    Path(path).write_bytes(b"1")
    with pytest.raises(StateNotSavable, match="'file'"):
        flatten({"file": StateFile(path)})


# --- a program that has changed ---


@pytest.mark.parametrize(
    ("saved", "now"),
    [
        (np.zeros(3), np.zeros(4)),
        (np.zeros(3), np.zeros((3, 1))),
        (np.zeros(3), np.zeros(3, dtype="f4")),
        (np.zeros(3), np.zeros(3, dtype=">f8")),
        (np.zeros(3, dtype=[("a", "f8")]), np.zeros(3)),
        (np.zeros(3, dtype=[("a", "f8")]), np.zeros(3, dtype=[("a", "f4")])),
        (np.zeros(3, dtype=[("a", "f8")]), np.zeros(3, dtype=[("b", "f8")])),
    ],
    ids=["longer", "deeper", "narrower", "swapped", "plain", "narrower field", "other field"],
)
def test_an_array_of_another_shape_or_type_is_told(saved, now):
    leaves = [piece.leaf for piece in flatten({"x": saved})]
    with pytest.raises(StateChanged, match="'x' was saved as") as caught:
        check_likeness(leaves, {"x": now})
    assert caught.value.part == "x"
    assert caught.value.hint


@given(any_array())
def test_an_array_is_like_itself(array):
    check_likeness([piece.leaf for piece in flatten({"x": array})], {"x": array.copy(), "new": 1})


@pytest.mark.parametrize("default", [None, {}, {"x": 0}, {"x": None}, {"y": np.zeros(9)}, 7, [1]])
def test_a_default_that_says_nothing_of_a_part_is_no_objection(default):
    check_likeness([piece.leaf for piece in flatten({"x": np.zeros(3)})], default)


# --- torch ---


@pytest.mark.parametrize("kind", ["float32", "float16", "bfloat16", "int64", "bool", "complex64"])
def test_tensors(kind):
    torch = pytest.importorskip("torch")
    tensor = torch.arange(24).reshape(2, 3, 4).to(getattr(torch, kind))
    for each in (tensor, tensor.transpose(0, 2), tensor[:, ::2], tensor[0, 0, 0], tensor[:0]):
        back = there_and_back({"x": each})["x"]
        assert back.dtype == each.dtype
        assert torch.equal(back, each)


def test_tensors_that_need_gradients_and_parameters():
    torch = pytest.importorskip("torch")
    tensor = torch.ones(3, requires_grad=True)
    assert there_and_back({"x": tensor})["x"].requires_grad
    weights = torch.nn.Parameter(torch.ones(3))
    assert isinstance(there_and_back({"x": weights})["x"], torch.nn.Parameter)


def test_a_tensor_of_another_shape_is_told():
    torch = pytest.importorskip("torch")
    with pytest.raises(StateChanged):
        check_likeness([piece.leaf for piece in flatten({"x": torch.ones(3)})], {"x": torch.ones(4)})
