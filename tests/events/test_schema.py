"""The published schema describes what is really sent."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given

from parsl_diaspora.events import KINDS, encode
from parsl_diaspora.events.schema import SCHEMA_ID, json_schema
from parsl_diaspora.testing.samples import sample_events
from tests.events.strategies import calm, events

VALIDATOR = jsonschema.Draft202012Validator(json_schema())
SAMPLES = sample_events()


def in_json(event):
    return json.loads(encode(event, "json"))


def test_schema_is_itself_valid_also_as_text():
    jsonschema.Draft202012Validator.check_schema(json_schema())
    jsonschema.Draft202012Validator.check_schema(json.loads(json.dumps(json_schema())))
    assert json_schema()["$schema"] == SCHEMA_ID


def test_schema_has_a_definition_for_each_kind():
    assert {kind.__name__ for kind in KINDS.values()} <= set(json_schema()["$defs"])


@pytest.mark.parametrize("event", SAMPLES, ids=lambda event: event.kind)
def test_event_with_all_fields_fits_the_schema(event):
    VALIDATOR.validate(in_json(event))


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_event_without_any_field_fits_the_schema(kind):
    VALIDATOR.validate(in_json(kind()))


@calm
@given(events())
def test_any_event_fits_the_schema(event):
    VALIDATOR.validate(in_json(event))


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"kind": "task.teleported"},
        {"kind": "task.ended", "tries": "two"},
        {"kind": "task.ended", "cause": "ab-1"},
        {"kind": "task.try_failed", "failure": {"chain": "a.B"}},
    ],
)
def test_what_is_no_event_does_not_fit_the_schema(message):
    assert not VALIDATOR.is_valid(message)
