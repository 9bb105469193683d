"""Plain data by pickle: the same to every reader, and anything else is left to Parsl."""

from __future__ import annotations

import logging
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from parsl.serialize import deserialize, facade, pack_apply_message, serialize, unpack_apply_message
from parsl.serialize.concretes import DillSerializer

from parsl_diaspora.executors.plain import (
    PICKLED,
    PlainBytesSerializer,
    dumps,
    pack_call,
    say_pushed,
    serialize_bytes_fast,
    unpack_call,
)

ATOMS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
KEYS = st.integers() | st.text()
PLAIN = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(KEYS, inner) | st.sets(KEYS),
    max_leaves=10,
)


def double(number):
    return 2 * number


class Text(str):
    """A string of the program's own."""

    __slots__ = ()


class OtherSerializer(DillSerializer):
    """One that a program has registered."""


@pytest.fixture
def own_methods(monkeypatch):
    """Parsl's registry, restored afterwards."""
    monkeypatch.setattr(facade, "methods_for_data", dict(facade.methods_for_data))
    return facade.methods_for_data


@given(args=st.lists(PLAIN).map(tuple), kwargs=st.dictionaries(st.text(), PLAIN))
def test_every_reader_reads_the_same_plain_call(args, kwargs):
    packed = pack_call(double, args, kwargs)
    assert packed is not None
    assert unpack_call(packed, plain=True) == unpack_apply_message(packed) == [double, args, kwargs]


@pytest.mark.parametrize(
    "value",
    [
        Text("x"),
        OrderedDict(a=1),
        len,
        double,
        object(),
        Path(),
        range(3),
        bytearray(b"x"),
        [[{"a": (double,)}]],
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_plain_is_left_to_parsl(value):
    assert dumps(value) is None
    assert pack_call(double, (value,), {}) is None
    assert pack_call(double, (), {"value": value}) is None


def test_data_that_is_nested_too_deeply_is_left_to_parsl():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    assert dumps(nested) is None


def test_two_names_for_one_object_stay_one_object():
    shared = []
    packed = pack_call(double, (shared, shared), {})
    _, (one, other), _ = unpack_call(packed, plain=True)
    assert one is other


def test_large_arguments_are_left_to_parsl_which_warns_of_them():
    assert pack_call(double, (bytes(2_000_000),), {}) is None


def test_a_call_that_parsl_packed_is_unpacked_by_parsl():
    packed = pack_apply_message(double, (Text("x"),), {})
    assert unpack_call(packed, plain=False) == [double, (Text("x"),), {}]


def test_a_serializer_that_the_program_has_registered_gets_every_call(own_methods):
    own_methods[DillSerializer.identifier] = OtherSerializer()
    assert pack_call(double, (), {}) is None
    serialize_bytes_fast()
    assert type(own_methods[DillSerializer.identifier]) is OtherSerializer


def test_bytes_that_a_worker_sends_are_a_pickle_that_parsl_reads(own_methods):
    serialize_bytes_fast()
    assert type(own_methods[DillSerializer.identifier]) is PlainBytesSerializer
    assert serialize(b"sealed") == PICKLED + pickle.dumps(b"sealed")
    assert deserialize(serialize(b"sealed")) == b"sealed"
    assert deserialize(serialize([1, Text("x")])) == [1, Text("x")]
    assert pack_call(double, (), {}) is not None


def test_a_function_that_cannot_be_serialized_is_said_as_parsl_says_it():
    with pytest.raises(TypeError):
        pack_call((number for number in range(3)).__next__, (), {})


def test_parsls_debug_log_has_its_line(caplog):
    with caplog.at_level(logging.DEBUG, "parsl.executors.high_throughput.executor"):
        say_pushed(double, (1, "x" * 200))
    assert f"to queue with args ('1', \"'{'x' * 99}...\")" in caplog.text


def test_calls_pass_between_releases_of_python_as_they_do_with_parsl():
    """The protocol is the one that Parsl's serializer uses by default."""
    assert dumps((1, 2))[:2] == serialize((1, 2))[len(PICKLED) :][:2]
    found = subprocess.run(
        [sys.executable, "-c", "import pickle; print(pickle.DEFAULT_PROTOCOL)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert dumps((1, 2))[1] == int(found.stdout)
