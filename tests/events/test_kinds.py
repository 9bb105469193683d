"""The kinds of events: complete, told apart, documented."""

from __future__ import annotations

import inspect
import re
from typing import get_args

import msgspec
import pytest

from parsl_diaspora import events
from parsl_diaspora.events import KINDS, Event, Failure, Unknown
from parsl_diaspora.events.envelope import ENVELOPE_FIELDS, PLACE_FIELDS, Topic, place_of
from parsl_diaspora.testing.samples import sample_event

EACH_KIND = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)


def test_each_kind_is_a_public_name():
    assert {kind.__name__ for kind in KINDS.values()} <= set(events.__all__)
    assert all(hasattr(events, name) for name in events.__all__)


@EACH_KIND
def test_name_of_a_kind_is_what_it_is_about_and_what_happened(kind):
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", kind().kind)
    assert KINDS[kind().kind] is kind


@EACH_KIND
def test_kind_belongs_to_one_of_the_topics(kind):
    assert kind.topic in get_args(Topic)


@EACH_KIND
def test_kind_documents_each_field_of_its_own(kind):
    own = set(kind.__struct_fields__) - set(ENVELOPE_FIELDS)
    documented = set(re.findall(r"^ {4}(\w+): ", inspect.cleandoc(kind.__doc__), re.MULTILINE))
    assert documented == own


@pytest.mark.parametrize("kind", [Event, Unknown, Failure, events.Diagnosis], ids=lambda kind: kind.__name__)
def test_envelope_and_values_document_each_field(kind):
    own = set(kind.__struct_fields__) - (set(ENVELOPE_FIELDS) if kind is Unknown else set())
    assert own <= set(re.findall(r"^ {4}(\w+): ", inspect.cleandoc(kind.__doc__), re.MULTILINE))


@EACH_KIND
def test_each_field_has_a_default_so_that_old_bytes_stay_readable(kind):
    assert isinstance(kind(), Event)


@EACH_KIND
def test_sample_of_a_kind_has_no_field_at_its_default(kind):
    sample, blank = sample_event(kind), kind()
    same = {name for name in kind.__struct_fields__ if getattr(sample, name) == getattr(blank, name)}
    assert same == {"version"}


def test_samples_of_a_kind_have_other_values_in_each_field():
    sample = sample_event(KINDS["task.try_failed"])
    values = [repr(value) for value in msgspec.structs.astuple(sample)]
    assert len(set(values)) >= len(values) - 1


def test_id_names_the_boot_and_the_number_within_it():
    assert Event(boot="ab", seq=12).id == "ab-12"


def test_place_holds_what_is_known_only():
    assert place_of(Event()) == {}
    assert place_of(Event(executor="e", worker=0)) == {"executor": "e", "worker": 0}
    assert set(place_of(sample_event(KINDS["task.ended"]))) == set(PLACE_FIELDS)


def test_fingerprint_of_a_failure_ignores_its_text():
    one, two = (Failure(chain=("a.B",), message=text, frame="f.py:g:1") for text in ("file 1", "file 2"))
    assert one.fingerprint == two.fingerprint == "a.B@f.py:g:1"
    assert Failure().type == ""
