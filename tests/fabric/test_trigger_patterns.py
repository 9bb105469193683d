"""Patterns mean what EventBridge's mean, on events and on plain data alike."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora.errors import PatternError
from parsl_diaspora.events import Failure, TaskEnded, TryFailed, Unknown, decode, encode
from parsl_diaspora.fabric.triggers import Pattern, plain
from parsl_diaspora.testing.samples import sample_events
from tests.events.strategies import calm, events
from tests.fabric import pattern_reference as reference

FITS = [
    ({"a": ["x"]}, {"a": "x"}, {"a": "X"}),
    ({"a": ["x", "y"]}, {"a": "y"}, {"a": "z"}),
    ({"a": [1]}, {"a": 1.0}, {"a": True}),
    ({"a": [True]}, {"a": True}, {"a": 1}),
    ({"a": [False]}, {"a": False}, {"a": 0}),
    ({"a": [None]}, {"a": None}, {}),
    ({"a": [""]}, {"a": ""}, {"a": " "}),
    ({"a": ["x"]}, {"a": ["z", "x"]}, {"a": ["z", ["y"]]}),
    ({"a": ["x"]}, {"a": [["x"]]}, {"a": []}),
    ({"a": ["x"], "b": [1]}, {"a": "x", "b": 1}, {"a": "x", "b": 2}),
    ({"a": {"b": ["x"]}}, {"a": {"b": "x"}}, {"a": "x"}),
    ({"a": {"b": ["x"], "c": [1]}}, {"a": [{"b": "x", "c": 1}]}, {"a": [{"b": "x"}, {"c": 1}]}),
    ({"a": [{"prefix": "us-"}]}, {"a": "us-east"}, {"a": "eu-us-"}),
    ({"a": [{"prefix": {"equals-ignore-case": "US-"}}]}, {"a": "us-east"}, {"a": "eu"}),
    ({"a": [{"prefix": ""}]}, {"a": ""}, {"a": 3}),
    ({"a": [{"suffix": ".py"}]}, {"a": "x.py"}, {"a": "x.pyc"}),
    ({"a": [{"suffix": {"equals-ignore-case": ".PNG"}}]}, {"a": "x.png"}, {"a": "x.jpg"}),
    ({"a": [{"equals-ignore-case": "Node"}]}, {"a": "nODE"}, {"a": "nodes"}),
    ({"a": [{"wildcard": "a*b*c"}]}, {"a": "a-bb-c"}, {"a": "a-c-b"}),
    ({"a": [{"wildcard": "ab*ba"}]}, {"a": "abba"}, {"a": "aba"}),
    ({"a": [{"wildcard": r"a\*b\\*"}]}, {"a": "a*b\\z"}, {"a": "axb\\z"}),
    ({"a": [{"wildcard": "*"}]}, {"a": "two\nlines"}, {"a": 1}),
    ({"a": [{"wildcard": "abc"}]}, {"a": "abc"}, {"a": "abcd"}),
    ({"a": [{"anything-but": "x"}]}, {"a": "y"}, {"a": "x"}),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": None}, {"a": "y"}),
    ({"a": [{"anything-but": 1}]}, {"a": True}, {"a": 1.0}),
    ({"a": [{"anything-but": "x"}]}, {"a": ["x", "y"]}, {"a": ["x"]}),
    ({"a": [{"anything-but": "x"}]}, {"a": 0}, {}),
    ({"a": [{"anything-but": {"prefix": "x"}}]}, {"a": "y"}, {"a": "xy"}),
    ({"a": [{"anything-but": {"prefix": ["x", "y"]}}]}, {"a": "z"}, {"a": "yx"}),
    ({"a": [{"anything-but": {"suffix": "x"}}]}, {"a": "xy"}, {"a": "yx"}),
    ({"a": [{"anything-but": {"wildcard": ["*/lib/*", "*/bin/*"]}}]}, {"a": "/a/b"}, {"a": "/a/bin/b"}),
    ({"a": [{"anything-but": {"equals-ignore-case": ["x"]}}]}, {"a": "y"}, {"a": "X"}),
    ({"a": [{"numeric": ["=", 3]}]}, {"a": 3}, {"a": 3.1}),
    ({"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": 5}, {"a": 0}),
    ({"a": [{"numeric": ["<", 5, ">=", 0]}]}, {"a": 0}, {"a": 5}),
    ({"a": [{"numeric": ["<", 5]}]}, {"a": -1e300}, {"a": False}),
    ({"a": [{"numeric": [">=", 5, "<=", 5]}]}, {"a": 5}, {"a": "5"}),
    ({"a": [{"exists": True}]}, {"a": None}, {}),
    ({"a": [{"exists": True}]}, {"a": 0}, {"a": {"b": 1}}),
    ({"a": [{"exists": False}]}, {}, {"a": None}),
    ({"a": [{"exists": False}]}, {"a": []}, {"a": [1]}),
    ({"a": {"b": [{"exists": False}]}}, {}, {"a": {"b": 1}}),
    ({"a": [{"exists": False}, "x"]}, {}, {"a": "y"}),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "10.0.0.255"}, {"a": "10.0.1.0"}),
    ({"a": [{"cidr": "10.0.0.7/24"}]}, {"a": "10.0.0.1"}, {"a": "10.0.0"}),
    ({"a": [{"cidr": "2001:db8::/32"}]}, {"a": "2001:db8::1"}, {"a": "10.0.0.1"}),
    ({"a": [{"cidr": "0.0.0.0/0"}]}, {"a": "1.2.3.4"}, {"a": "::1"}),
    ({"$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"b": "y"}, {"a": "y"}),
    ({"c": [1], "$or": [{"a": ["x"]}, {"b": ["y"]}]}, {"a": "x", "c": 1}, {"a": "x"}),
    ({"a": {"$or": [{"b": [1]}, {"$or": [{"c": [2]}, {"d": [3]}]}]}}, {"a": {"d": 3}}, {"d": 3}),
    ({"a": {"prefix": ["x"]}}, {"a": {"prefix": "x"}}, {"a": "x"}),
]


@pytest.mark.parametrize(("pattern", "fitting", "other"), FITS, ids=[json.dumps(each[0]) for each in FITS])
def test_each_rule_fits_what_it_should_and_nothing_else(pattern, fitting, other):
    compiled = Pattern(pattern)
    assert (compiled.matches(fitting), compiled.matches(other)) == (True, False)
    assert (reference.matches(pattern, fitting), reference.matches(pattern, other)) == (True, False)
    assert compiled.why_not(fitting) is None
    assert compiled.why_not(other).path


BAD = [
    ({}, "", "exists"),
    ([], "", "kind"),
    ({"a": "x"}, "a", '["x"]'),
    ({"a": None}, "a", "[null]"),
    ({"a": {}}, "a", "exists"),
    ({"a": []}, "a", '[""]'),
    ({"a": [["x"]]}, "a[0]", "one list"),
    ({"a": [{}]}, "a[0]", "braces of its own"),
    ({"a": ["x", {"prefx": "x"}]}, "a[1]", "'prefix'"),
    ({"a": {"b": [{"prefix": 3}]}}, "a.b[0].prefix", "quotes"),
    ({"a": [{"prefix": {"equals-ignorecase": "x"}}]}, "a[0].prefix", "'equals-ignore-case'"),
    ({"a": {"prefix": "x"}}, "a", '[{"prefix": "x"}]'),
    ({"a": {"numeric": [">", 3]}}, "a", '[{"numeric": [">", 3]}]'),
    ({"a": [{"prefix": "x", "suffix": "y"}]}, "a[0]", "braces of its own"),
    ({"a": [{"exists": "true"}]}, "a[0].exists", "true or false"),
    ({"a": [{"numeric": 3}]}, "a[0].numeric", '["=", 5]'),
    ({"a": [{"numeric": [">"]}]}, "a[0].numeric", '["=", 5]'),
    ({"a": [{"numeric": ["!=", 3]}]}, "a[0].numeric", "anything-but"),
    ({"a": [{"numeric": [">", "3"]}]}, "a[0].numeric", '["=", 5]'),
    ({"a": [{"numeric": [">", True]}]}, "a[0].numeric", '["=", 5]'),
    ({"a": [{"numeric": [">", 5, "<", 5]}]}, "a[0].numeric", '[">=", 0, "<", 10]'),
    ({"a": [{"numeric": [">", 5, ">", 7]}]}, "a[0].numeric", '[">=", 0, "<", 10]'),
    ({"a": [{"numeric": ["<", float("nan")]}]}, "a[0].numeric", "finite"),
    ({"a": [float("inf")]}, "a[0]", "finite"),
    ({"a": [{"wildcard": "a**b"}]}, "a[0].wildcard", "One star"),
    ({"a": [{"wildcard": r"a\b"}]}, "a[0].wildcard", "backslash"),
    ({"a": [{"wildcard": "a\\"}]}, "a[0].wildcard", "backslash"),
    ({"a": [{"anything-but": []}]}, "a[0].anything-but", "not wanted"),
    ({"a": [{"anything-but": {"numeric": [">", 3]}}]}, "a[0].anything-but", "prefix"),
    ({"a": [{"anything-but": {}}]}, "a[0].anything-but", "prefix"),
    ({"a": [{"anything-but": [["x"]]}]}, "a[0].anything-but[0]", "anything-but"),
    ({"a": [{"cidr": "10.0.0.0/33"}]}, "a[0].cidr", "10.0.0.0/24"),
    ({"$or": {"a": [1]}}, "$or", "$or"),
    ({"$or": []}, "$or", "$or"),
    ({"$or": [{"a": [1]}, {"b": 2}]}, "$or[1].b", "[2]"),
    ({3: ["x"]}, "", "quotes"),
]


@pytest.mark.parametrize(("pattern", "path", "remedy"), BAD, ids=[str(each[0]) for each in BAD])
def test_what_is_no_pattern_is_refused_with_its_place_and_a_remedy(pattern, path, remedy):
    with pytest.raises(PatternError) as refused:
        Pattern(pattern)
    assert refused.value.path == path
    assert remedy in refused.value.hint
    assert path in refused.value.message
    assert refused.value.message.endswith(".")


@pytest.mark.parametrize(
    "text", ["", "{", "[1]", '"x"', '{"a": [1], "a": [2]}', '{"a": {"b": [1], "b": [2]}}']
)
def test_text_that_is_no_pattern_is_refused(text):
    with pytest.raises(PatternError, match="pattern"):
        Pattern(text)


def test_pattern_that_is_too_deep_is_refused_and_does_not_end_the_program():
    deep = {"a": [1]}
    for _ in range(2_000):
        deep = {"a": deep}
    for pattern in (deep, '{"a":' * 100_000):
        with pytest.raises(PatternError):
            Pattern(pattern)


def test_pattern_reads_events_fields_kind_and_id_without_making_them_plain():
    event = TryFailed(
        task=3, boot="ab", seq=7, executor="cpu", failure=Failure(chain=("a.B", "c.D"), message="no")
    )
    for pattern in (
        {"kind": ["task.try_failed"]},
        {"id": ["ab-7"]},
        {"failure": {"chain": ["c.D"], "message": [{"prefix": "n"}]}},
        {"executor": ["cpu"], "node": [{"exists": False}], "nonsense": [{"exists": False}]},
        {"$or": [{"kind": ["run.ended"]}, {"task": [{"numeric": [">", 2]}]}]},
        {"failure": {"errno": [{"exists": False}], "phase": ["run"]}},
    ):
        assert Pattern(pattern).matches(event), pattern
    for pattern in (
        {"kind": ["task.ended"]},
        {"node": ["x"]},
        {"task": [None]},
        {"nonsense": [{"exists": True}]},
    ):
        assert not Pattern(pattern).matches(event), pattern


def test_pattern_fits_events_of_kinds_that_this_release_does_not_know():
    event = decode(b'{"kind": "moon.landed", "crew": ["Ada", "Bob"], "boot": "x", "seq": 1}', "json")
    assert isinstance(event, Unknown)
    assert Pattern({"kind": ["moon.landed"], "crew": ["Bob"], "id": ["x-1"]}).matches(event)
    assert not Pattern({"kind": ["unknown"]}).matches(event)


def test_why_not_names_the_first_field_that_does_not_fit():
    pattern = Pattern({"kind": ["task.ended"], "$or": [{"tries": [7]}, {"error": [{"prefix": "M"}]}]})
    miss = pattern.why_not(TaskEnded(tries=2, error="KeyError"))
    assert miss.path == "$or"
    assert "tries is 2" in str(miss)
    assert 'error is "KeyError"' in str(miss)
    nested = Pattern({"failure": {"message": ["x"]}}).why_not(TryFailed(failure=Failure(message="y")))
    assert str(nested) == 'failure.message is "y", which does not fit ["x"]'


# --- any pattern on any event ---------------------------------------------------------------------------

words = st.sampled_from(["", "a", "b", "ab", "aab", "task.ended", "done", "a*b", "10.0.0.1", "A", "ß", "SS"])
literals = st.none() | st.booleans() | st.sampled_from([0, 1, 2, 1.0, -3, 2.5]) | words
stars = st.sampled_from(["*", "a*", "*b", "a*b", "*a*b*", r"a\*b", "task.*", "done"])


def one_or_many(each):
    return each | st.lists(each, min_size=1, max_size=3)


folded = st.fixed_dictionaries({"equals-ignore-case": words})
ranges = st.tuples(
    st.sampled_from([">", ">="]), st.sampled_from([-3, 0, 1]), st.sampled_from(["<", "<="]), st.just(2)
)
rules = st.one_of(
    literals,
    st.fixed_dictionaries({"exists": st.booleans()}),
    st.fixed_dictionaries({"prefix": words | folded}),
    st.fixed_dictionaries({"suffix": words | folded}),
    folded,
    st.fixed_dictionaries({"wildcard": stars}),
    st.fixed_dictionaries(
        {"numeric": st.tuples(st.sampled_from(["=", "<", "<=", ">", ">="]), st.just(1)).map(list)}
    ),
    st.fixed_dictionaries({"numeric": ranges.map(list)}),
    st.fixed_dictionaries({"cidr": st.sampled_from(["10.0.0.0/8", "::/0", "10.0.0.2"])}),
    st.fixed_dictionaries({"anything-but": one_or_many(literals)}),
    st.fixed_dictionaries(
        {
            "anything-but": st.one_of(
                st.fixed_dictionaries({"prefix": one_or_many(words)}),
                st.fixed_dictionaries({"suffix": one_or_many(words)}),
                st.fixed_dictionaries({"equals-ignore-case": one_or_many(words)}),
                st.fixed_dictionaries({"wildcard": one_or_many(stars)}),
            )
        }
    ),
)
NAMES = [
    "kind",
    "id",
    "task",
    "outcome",
    "error",
    "failure",
    "chain",
    "message",
    "data",
    "a",
    "b",
    "cause",
    "settings",
]
names = st.sampled_from(NAMES)
leaves = st.lists(rules, min_size=1, max_size=3)


def _with_or(groups):
    plain_group = st.dictionaries(names, leaves | groups, min_size=1, max_size=3)
    either = st.fixed_dictionaries({"$or": st.lists(groups, min_size=1, max_size=3)})
    return plain_group | st.tuples(plain_group, either).map(lambda both: {**both[0], **both[1]})


patterns = st.recursive(st.dictionaries(names, leaves, min_size=1, max_size=2), _with_or, max_leaves=5)
data = st.recursive(
    literals,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
mappings = st.dictionaries(names, data, max_size=6)


@calm
@given(patterns, mappings)
def test_compiled_pattern_and_its_plain_reading_agree_on_plain_data(pattern, event):
    compiled = Pattern(pattern)
    assert compiled.matches(event) == reference.matches(pattern, event)
    assert (compiled.why_not(event) is None) == compiled.matches(event)


@calm
@given(patterns, events() | st.sampled_from(sample_events()))
def test_compiled_pattern_says_the_same_of_an_event_and_of_its_plain_form(pattern, event):
    compiled = Pattern(pattern)
    assert plain(event) == reference.as_dict(event)
    expected = reference.matches(pattern, reference.as_dict(event))
    assert compiled.matches(event) == compiled.matches(plain(event)) == expected
    assert (compiled.why_not(event) is None) == expected


@calm
@given(patterns, events() | st.sampled_from(sample_events()))
def test_event_that_has_travelled_fits_the_same_patterns(pattern, event):
    again = decode(encode(event, "msgpack"))
    if again == event:  # but for texts that no encoding has
        assert Pattern(pattern).matches(again) == Pattern(pattern).matches(event)


@calm
@given(patterns)
def test_pattern_as_text_is_the_same_pattern(pattern):
    text = msgspec.json.encode(pattern).decode()
    event = TaskEnded(task=1, outcome="done", error="ab", boot="a", seq=1)
    assert Pattern(text).matches(event) == Pattern(pattern).matches(event)
