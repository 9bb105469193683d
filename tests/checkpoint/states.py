"""States of tasks for tests, and when two of them are the same."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from parsl_diaspora.checkpoint import DirectoryLevel, Identity, Saver, Store, restore
from parsl_diaspora.checkpoint.store.manifest import spans

#: One of each family that numpy knows, in both byte orders where there are two.
PLAIN = st.one_of(
    arrays.boolean_dtypes(),
    arrays.integer_dtypes(endianness="?"),
    arrays.unsigned_integer_dtypes(endianness="?"),
    arrays.floating_dtypes(endianness="?"),
    arrays.complex_number_dtypes(endianness="?"),
    arrays.datetime64_dtypes(endianness="?"),
    arrays.timedelta64_dtypes(endianness="?"),
    arrays.unicode_string_dtypes(endianness="?", min_len=1),
    arrays.byte_string_dtypes(min_len=1),
    st.integers(1, 9).map(lambda size: np.dtype(f"V{size}")),
    st.just(np.dtype(np.longdouble)),
)
FIELD = st.one_of(PLAIN, st.tuples(PLAIN, arrays.array_shapes(max_dims=2, max_side=3)))
STRUCTURED = st.builds(
    lambda fields, align: np.dtype([(f"f{i}", *_field(each)) for i, each in enumerate(fields)], align=align),
    st.lists(FIELD, min_size=1, max_size=4),
    st.booleans(),
)
DTYPES = st.one_of(
    PLAIN, STRUCTURED, STRUCTURED.map(lambda dtype: np.dtype([("inner", dtype), ("n", "<i2")]))
)
SHAPES = arrays.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


def _field(each: Any) -> tuple[Any, ...]:
    return each if isinstance(each, tuple) else (each,)


@st.composite
def any_array(draw: Any) -> np.ndarray:
    """An array of any type, shape and layout in memory, of random bytes."""
    dtype, shape = draw(DTYPES), draw(SHAPES)
    count = int(np.prod(shape, dtype=int))
    seed = draw(st.integers(0, 2**32 - 1))
    if dtype.kind == "U":  # not every pattern of bits is a text
        flat = np.array([chr(97 + n % 26) for n in range(count)], dtype=dtype)
    else:
        flat = np.frombuffer(np.random.default_rng(seed).bytes(count * dtype.itemsize), np.uint8)
        flat = flat.view(dtype) if count else np.empty(0, dtype)
        flat = flat != 0 if dtype.kind == "b" else flat
    return LAYOUTS[draw(st.sampled_from(sorted(LAYOUTS)))](flat.reshape(shape))


def _strided(array: np.ndarray) -> np.ndarray:
    """Every other element of an array twice as long."""
    if array.ndim == 0:
        return array
    twice = np.zeros((array.shape[0] * 2, *array.shape[1:]), array.dtype)
    twice[::2] = array
    return twice[::2]


LAYOUTS = {
    "C": np.ascontiguousarray,
    "F": np.asfortranarray,
    "strided": _strided,
    "backwards": lambda array: array[::-1] if array.ndim else array,
    "turned": lambda array: array.T,
    "swapped": lambda array: np.swapaxes(array, 0, -1) if array.ndim > 2 else array,
}

OBJECTS = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.complex_numbers()
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(st.text(), st.integers()), inner, max_size=3),
    ),
    max_leaves=6,
)
NAMES = st.text(st.characters(codec="utf-8"), min_size=1)


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same, arrays to the bit."""
    if isinstance(one, np.ndarray):
        return (
            isinstance(other, np.ndarray)
            and (one.dtype, one.shape) == (other.dtype, other.shape)
            and _bits(one) == _bits(other)
        )
    if isinstance(one, dict):
        return (
            isinstance(other, dict)
            and list(one) == list(other)
            and all(same(value, other[name]) for name, value in one.items())
        )
    if isinstance(one, (list, tuple)):
        return (
            type(one) is type(other)
            and len(one) == len(other)
            and all(same(*pair) for pair in zip(one, other, strict=True))
        )
    if isinstance(one, (float, complex)):
        return type(one) is type(other) and repr(one) == repr(other)
    return type(one) is type(other) and bool(one == other)


def _bits(array: np.ndarray) -> bytes:
    """All but the gaps between fields, which numpy itself does not copy."""
    if array.dtype.names is None:
        return array.tobytes()
    return b"".join(_bits(array[name]) for name in array.dtype.names)


def store_at(*places: Any) -> Store:
    """A task's store at these directories."""
    return Store([DirectoryLevel(place) for place in places], "key")


def saver_of(store: Store, launch: int = 1, heard: Any = None, **options: Any) -> Saver:
    """Of the try that was launched then."""
    return Saver(store, Identity(run="run", task=0, attempt=launch, launch=launch), heard, **options)


def save(saver: Saver, state: Any, **options: Any) -> None:
    """Save and wait until it is written."""
    assert saver.save(state, **options)
    assert saver.wait(60.0)


def saved_once(store: Store, state: Any, **options: Any) -> None:
    """Save as one try, from its beginning to its end."""
    saver = saver_of(store, **options)
    save(saver, state)
    saver.close()


def restored(store: Store, **options: Any) -> Any:
    """The state that a new try finds; None if there is none."""
    found = restore(store, **options)
    return None if found is None else found.state


def number_of_chunks(size: int) -> int:
    """Of a buffer of so many bytes."""
    return len(spans(size))
