"""Events become bytes and come back, also those of older and newer releases."""

from __future__ import annotations

import datetime as dt
import math
from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora.errors import EventError
from parsl_diaspora.events import (
    DecisionMade,
    Diagnosis,
    Event,
    Failure,
    TaskEnded,
    TaskSubmitted,
    TryFailed,
    Unknown,
    decode,
    decode_many,
    encode,
    join,
)
from parsl_diaspora.events.codec import UPGRADES
from parsl_diaspora.testing.samples import sample_events
from tests.events.strategies import calm, events, plain

FORMS = ["msgpack", "json"]
SAMPLES = sample_events()


def as_bytes(fields, form):
    return (msgspec.msgpack if form == "msgpack" else msgspec.json).encode(fields)


def as_fields(data, form):
    return (msgspec.msgpack if form == "msgpack" else msgspec.json).decode(data)


# --- there and back -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.kind)
def test_event_with_all_fields_comes_back_equal(event, form):
    assert decode(encode(event, form), form) == event


@calm
@given(events(), st.sampled_from(FORMS))
def test_any_event_comes_back_equal(event, form):
    again = decode(encode(event, form), form)
    assert again == event
    assert type(again) is type(event)


@calm
@given(st.lists(events(), max_size=5))
def test_joined_events_come_back_in_order(said):
    assert decode_many(join([encode(event) for event in said])) == said


@pytest.mark.parametrize("seconds", [math.inf, -math.inf])
def test_endless_times_survive_in_the_log(seconds):
    assert decode(encode(TryFailed(seconds=seconds))).seconds == seconds


@pytest.mark.parametrize("form", FORMS)
def test_fields_at_their_defaults_take_no_room(form):
    assert as_fields(encode(TaskEnded(), form), form) == {"kind": "task.ended"}


def test_views_of_larger_bytes_are_read_as_well():
    data = b"??" + encode(TaskEnded(run="r")) + b"??"
    assert decode(memoryview(data)[2:-2]) == TaskEnded(run="r")


# --- what cannot become bytes ---------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_text_that_is_no_unicode_is_spelled_out_in_every_place(form):
    odd, spelled = "b\udce4r\ud800", "b\\udce4r\\ud800"
    event = DecisionMade(
        run=odd, cause=(odd,), alternatives=(odd, "plain"), diagnosis=Diagnosis(evidence=(odd,), missing=odd)
    )
    expected = DecisionMade(
        run=spelled,
        cause=(spelled,),
        alternatives=(spelled, "plain"),
        diagnosis=Diagnosis(evidence=(spelled,), missing=spelled),
    )
    assert decode(encode(event, form), form) == expected
    assert event.run == odd


@pytest.mark.parametrize(("value", "form"), [(object(), "msgpack"), (object(), "json"), (2**70, "msgpack")])
def test_field_that_has_no_place_in_an_event_is_an_error_that_names_the_kind(value, form):
    with pytest.raises(EventError, match=r"'odd\.kind' cannot be encoded"):
        encode(Unknown(said_kind="odd.kind", data={"field": value}), form)
    with pytest.raises(EventError, match=r"'task\.ended' cannot be encoded"):
        encode(TaskEnded(error=value), form)


def test_data_that_hold_themselves_are_an_error_not_the_end():
    circle: dict = {}
    circle["again"] = circle
    with pytest.raises(EventError, match="cannot be encoded"):
        encode(Unknown(said_kind="circle", data=circle))


# --- what is no event -----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("value", [None, 5, "text", [], [{"kind": "task.ended"}], {}, {"Kind": "task.ended"}])
def test_message_without_a_kind_is_no_event(value, form):
    with pytest.raises(EventError, match="no event of ours"):
        decode(as_bytes(value, form), form)


@calm
@given(st.binary(max_size=60), st.sampled_from(FORMS))
def test_any_bytes_are_an_event_or_an_event_error(data, form):
    with suppress(EventError):
        assert isinstance(decode(data, form), Event)


@calm
@given(st.binary(max_size=60))
def test_any_bytes_are_a_list_of_events_or_an_event_error(data):
    with suppress(EventError):
        assert all(isinstance(event, Event) for event in decode_many(data))


def test_text_in_no_encoding_is_no_event():
    for data in (b"\xa1\x80", encode(TaskEnded(error="??")).replace(b"??", b"\xff\xfe")):
        with pytest.raises(EventError, match="no event"):
            decode(data)
        with pytest.raises(EventError, match="no event"):
            decode_many(join([data]))


def test_bottomless_message_is_no_event():
    with pytest.raises(EventError, match="no event"):
        decode(b"\x81\xa4kind" + b"\x91" * 100_000)


fields_of_events = st.dictionaries(
    st.sampled_from(["version", "run", "task", "cause", "seq", "failure", "x"]), plain
).flatmap(
    lambda fields: st.sampled_from(["task.ended", "task.try_failed", "odd"]).map(
        lambda kind: {**fields, "kind": kind}
    )
)


@calm
@given(fields_of_events)
def test_any_fields_with_a_kind_are_an_event_that_is_kept_whole(fields):
    event = decode(as_bytes(fields, "msgpack"))
    if isinstance(event, Unknown):
        assert event.data == fields
    assert decode(encode(event)) == event


# --- newer releases -------------------------------------------------------------------------------------

NEWER = {
    "kind": "task.teleported",
    "version": 3,
    "source": "s",
    "boot": "ab",
    "seq": 7,
    "task": 1,
    "to": {"x": [1]},
}


@pytest.mark.parametrize("form", FORMS)
def test_unknown_kind_is_kept_whole_with_its_envelope(form):
    event = decode(as_bytes(NEWER, form), form)
    assert type(event) is Unknown
    assert (event.said_kind, event.version, event.id, event.task) == ("task.teleported", 3, "ab-7", 1)
    assert event.data == NEWER


@pytest.mark.parametrize("form", FORMS)
def test_unknown_kind_goes_on_as_it_came_however_often_it_is_passed_on(form):
    event = decode(as_bytes(NEWER, form), form)
    for _ in range(3):
        data = encode(event, form)
        event = decode(data, form)
    assert as_fields(data, form) == NEWER
    assert event.data == NEWER


def test_unknown_kind_with_bytes_and_times_goes_on_as_it_came():
    moment = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
    fields = {"kind": "odd", "raw": b"\x00\xff", "at": moment, 5: "five"}
    assert msgspec.msgpack.decode(encode(decode(msgspec.msgpack.encode(fields)))) == fields


def test_unknown_event_that_is_stamped_anew_carries_the_new_stamp():
    event = decode(as_bytes(NEWER, "msgpack"))
    event.source, event.boot, event.seq = "relay", "cd", 1
    assert as_fields(encode(event), "msgpack") == {**NEWER, "source": "relay", "boot": "cd", "seq": 1}


@pytest.mark.parametrize("form", FORMS)
def test_newer_version_of_a_known_kind_is_not_mistaken_for_the_old_one(form):
    fields = {"kind": "task.ended", "version": 2, "outcome": "done", "run": "r"}
    event = decode(as_bytes(fields, form), form)
    assert type(event) is Unknown
    assert (event.said_kind, event.version, event.run, event.data) == ("task.ended", 2, "r", fields)


@pytest.mark.parametrize("form", FORMS)
def test_further_fields_of_the_same_version_are_ignored(form):
    assert decode(as_bytes({"kind": "task.ended", "tries": 2, "mood": "good"}, form), form) == TaskEnded(
        tries=2
    )


@pytest.mark.parametrize("form", FORMS)
def test_field_of_the_wrong_type_makes_the_event_unknown_and_loses_nothing(form):
    fields = {"kind": "task.ended", "tries": "two", "run": "r", "seq": "three"}
    event = decode(as_bytes(fields, form), form)
    assert type(event) is Unknown
    assert event.data == fields


@pytest.mark.parametrize("version", [None, "2", 1.5, [1], -1, 0, True])
def test_odd_version_makes_the_event_unknown(version):
    fields = {"kind": "task.ended", "version": version}
    assert decode(as_bytes(fields, "msgpack")).data == fields


def test_event_that_is_not_understood_hides_none_of_its_neighbours():
    said = [TaskSubmitted(task=1), TaskEnded(task=1)]
    data = join([encode(said[0]), as_bytes(NEWER, "msgpack"), encode(said[1])])
    first, odd, last = decode_many(data)
    assert [first, last] == said
    assert odd.said_kind == "task.teleported"


# --- older releases -------------------------------------------------------------------------------------


def test_old_version_is_turned_into_the_new_one_step_by_step(monkeypatch):
    monkeypatch.setitem(
        UPGRADES, ("task.ended", -1), lambda old: {**old, "version": 0, "tries": old.pop("tris")}
    )
    monkeypatch.setitem(UPGRADES, ("task.ended", 0), lambda old: {**old, "version": 1, "outcome": "failed"})
    old = {"kind": "task.ended", "version": -1, "tris": 4, "run": "r"}
    for form in FORMS:
        assert decode(as_bytes(old, form), form) == TaskEnded(tries=4, run="r", outcome="failed")
    assert decode_many(join([encode(TaskEnded()), as_bytes(old, "msgpack")]))[1].tries == 4


def test_old_kind_may_be_upgraded_to_another_name(monkeypatch):
    monkeypatch.setitem(UPGRADES, ("task.finished", 1), lambda old: {**old, "kind": "task.ended"})
    assert decode(as_bytes({"kind": "task.finished", "run": "r"}, "msgpack")) == TaskEnded(run="r")


@pytest.mark.parametrize("upgrade", [lambda old: {"kind": old["nothing of that name"]}, lambda old: {}])
def test_upgrade_that_fails_makes_the_event_unknown_and_is_logged(monkeypatch, caplog, upgrade):
    monkeypatch.setitem(UPGRADES, ("task.ended", 0), upgrade)
    old = {"kind": "task.ended", "version": 0}
    assert decode(as_bytes(old, "msgpack")).data == old
    assert "could not be upgraded" in caplog.text


def test_kind_in_its_second_version_is_told_apart_from_the_first_in_bytes(monkeypatch):
    first = encode(TaskEnded(tries=3))
    monkeypatch.setattr(TaskEnded, "VERSION", 2)
    monkeypatch.setitem(
        UPGRADES, ("task.ended", 1), lambda old: {**old, "version": 2, "error": "from the first"}
    )
    assert decode(first) == TaskEnded(tries=3, version=2, error="from the first")
    second = TaskEnded(tries=3)
    for form in FORMS:
        data = encode(second, form)
        assert as_fields(data, form)["version"] == 2
        assert decode(data, form) == TaskEnded(tries=3, version=2)
    assert decode_many(join([first, encode(second)]))[0].error == "from the first"


FIRST_RELEASE = TryFailed(
    source="s:h:1",
    boot="ab",
    seq=2,
    time=1_700_000_001.0,
    run="r",
    task=1,
    failure=Failure(chain=("a.Error",)),
)
FIRST_RELEASE_BYTES = {
    "msgpack": bytes.fromhex(
        "de0008a46b696e64af7461736b2e7472795f6661696c6564a76661696c75726581a5636861696e91a7612e4572726f72a6736f757263"
        "65a5733a683a31a4626f6f74a26162a373657102a474696d65cb41d954fc40400000a372756ea172a47461736b01"
    ),
    "json": b'{"kind":"task.try_failed","failure":{"chain":["a.Error"]},"source":"s:h:1","boot":"ab","seq":2,'
    b'"time":1700000001.0,"run":"r","task":1}',
}


@pytest.mark.parametrize("form", FORMS)
def test_bytes_of_the_first_release_are_still_read(form):
    assert decode(FIRST_RELEASE_BYTES[form], form) == FIRST_RELEASE
