"""Events as CloudEvents 1.0: what the specification demands, and the way back."""

from __future__ import annotations

import datetime as dt
import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import Event, RunEnded, TaskEnded, TryFailed, decode, encode
from parsl_diaspora.events.cloudevents import (
    decode_cloudevent,
    encode_cloudevent,
    encode_mark,
    encode_reference,
    from_cloudevent,
)
from parsl_diaspora.testing.samples import sample_events
from tests.events.strategies import calm, events

SAMPLES = sample_events()
URI_REFERENCE = r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})+"


def to_cloudevent(event):
    return json.loads(encode_cloudevent(event))


@pytest.mark.parametrize("event", [*SAMPLES, Event(), TaskEnded()], ids=lambda event: event.kind)
def test_attributes_are_what_the_specification_demands(event):
    message = to_cloudevent(event)
    assert message["specversion"] == "1.0"
    for required in ("id", "source", "type"):
        assert isinstance(message[required], str)
        assert message[required]
    assert re.fullmatch(URI_REFERENCE, message["source"])
    assert message["datacontenttype"] == "application/json"
    assert all(re.fullmatch(r"[a-z0-9]{1,20}", name) for name in message)
    assert all(isinstance(value, str) and value for name, value in message.items() if name != "data")
    assert isinstance(message["data"], dict)


def test_attributes_carry_what_the_event_says():
    event = TryFailed(
        source="worker:n7:42", boot="ab", seq=3, time=1_767_225_600.25, run="r1", task=5, try_id=0
    )
    message = to_cloudevent(event)
    del message["data"]
    assert message == {
        "specversion": "1.0",
        "id": "ab-3",
        "source": "/parsl-diaspora/worker:n7:42",
        "type": "org.parsl.diaspora.task.try_failed.v1",
        "time": "2026-01-01T00:00:00.250000Z",
        "datacontenttype": "application/json",
        "subject": "run/r1/task/5/try/0",
    }


def test_subject_is_left_out_when_there_is_none():
    assert "subject" not in to_cloudevent(RunEnded())
    assert to_cloudevent(RunEnded(run="r"))["subject"] == "run/r"


def test_time_is_in_utc_and_has_the_form_of_rfc_3339():
    text = to_cloudevent(RunEnded(time=1_700_000_000.5))["time"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", text)
    assert dt.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() == 1_700_000_000.5


@pytest.mark.parametrize("source", ["a host with spaces", "Rechner-ä", "100%", "b\udce4r", 'quo"te<>'])
def test_source_with_odd_characters_is_still_a_uri_reference(source):
    assert re.fullmatch(URI_REFERENCE, to_cloudevent(RunEnded(source=source))["source"])


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.kind)
def test_event_comes_back_equal_from_the_text_of_the_message(event):
    assert from_cloudevent(json.loads(json.dumps(to_cloudevent(event)))) == event


@calm
@given(events(), st.floats(0, 4e9))
def test_any_event_comes_back_equal(event, moment):
    event.time = moment
    assert from_cloudevent(to_cloudevent(event)) == event


def test_kind_of_a_newer_release_keeps_its_type_and_comes_back_whole():
    fields = {"kind": "task.teleported", "version": 3, "boot": "ab", "seq": 1, "to": {"x": 1}}
    event = decode(msgspec.msgpack.encode(fields))
    message = to_cloudevent(event)
    assert message["type"] == "org.parsl.diaspora.task.teleported.v3"
    assert message["data"] == fields
    assert from_cloudevent(message) == event


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"specversion": "1.0", "type": "com.example.order.v1", "data": {"kind": "task.ended"}},
        {"specversion": "0.3", "type": "org.parsl.diaspora.task.ended.v1", "data": {"kind": "task.ended"}},
        {"type": "org.parsl.diaspora.task.ended.v1", "data": {"kind": "task.ended"}},
    ],
)
def test_message_of_others_is_an_error_that_names_its_type(message):
    with pytest.raises(EventError, match=re.escape(repr(message.get("type")))):
        from_cloudevent(message)


@pytest.mark.parametrize("data", [None, "text", [], {"outcome": "done"}])
def test_message_without_an_event_is_an_error(data):
    message = {"specversion": "1.0", "type": "org.parsl.diaspora.task.ended.v1", "data": data}
    with pytest.raises(EventError, match="no event of ours"):
        from_cloudevent(message)


@calm
@given(events(), st.floats(0, 4e9), st.sampled_from(["", "life-7"]))
def test_any_event_comes_back_equal_from_the_bytes(event, moment, sent):
    event.time = moment
    document = encode_cloudevent(event, sent)
    assert decode_cloudevent(document) == (event, sent)
    assert encode_cloudevent(event, sent, encode(event, "json")) == document


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.kind)
def test_reference_says_who_what_and_when_and_where_the_rest_is(event):
    message = to_cloudevent(event)
    del message["data"]
    message.pop("subject", "")
    assert json.loads(encode_reference(event, "buffer:0")) == {**message, "dataref": "buffer:0"}


def test_mark_has_an_id_and_a_type_of_its_own_and_no_data():
    message = json.loads(encode_mark(Event(source="me", time=0.25), "ab-end", "org.example.ended.v1"))
    assert message == {
        "specversion": "1.0",
        "id": "ab-end",
        "source": "/parsl-diaspora/me",
        "type": "org.example.ended.v1",
        "time": "1970-01-01T00:00:00.250000Z",
        "datacontenttype": "application/json",
    }
