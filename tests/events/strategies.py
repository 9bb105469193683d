"""Any event at all, for tests that look for the odd one."""

from __future__ import annotations

from typing import get_args, get_origin

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from parsl_diaspora.events import KINDS, Event

#: Many other programs may run on the same cores: no example is too slow.
calm = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])

SMALLEST, LARGEST = -(2**63), 2**63 - 1

numbers = st.integers(SMALLEST, LARGEST)
seconds = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | numbers | seconds | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
_SIMPLE = {
    str: st.text(max_size=40),
    int: numbers,
    float: seconds,
    bool: st.booleans(),
    type(None): st.none(),
}


def _of_type(annotation):
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if get_origin(annotation) is tuple:
        return st.lists(_of_type(get_args(annotation)[0]), max_size=3).map(tuple)
    if get_origin(annotation) is dict:
        value = get_args(annotation)[1]
        return st.dictionaries(
            st.text(max_size=9),
            {int: numbers, float: seconds, str: st.text(max_size=9)}.get(value, plain),
            max_size=3,
        )
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return _struct(annotation)
    return st.one_of(*(_of_type(each) for each in get_args(annotation)))


def _struct(kind):
    fields = {field.name: _of_type(field.type) for field in msgspec.structs.fields(kind)}
    if issubclass(kind, Event):
        fields["version"] = st.just(kind.VERSION)
    return st.builds(kind, **fields)


def events():
    return st.sampled_from(sorted(KINDS)).flatmap(lambda kind: _struct(KINDS[kind]))
