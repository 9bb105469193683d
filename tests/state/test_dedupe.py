"""Each event once, however often the fabric delivers it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora.events import Event
from parsl_diaspora.state import Dedupe, Picture
from tests.state.stories import arrival, stories


@given(st.data())
def test_a_stream_with_repeats_passes_as_if_it_had_none(data):
    numbers = list(range(1, data.draw(st.integers(1, 20)) + 1))
    delivered = []
    for number in numbers:  # a broker that lost an acknowledgement delivers a stretch of the past again
        again = data.draw(st.integers(0, 3))
        delivered += numbers[max(0, number - 1 - again) : number]
    dedupe = Dedupe()
    assert [n for n in delivered if dedupe.is_new(Event(boot="a", seq=n))] == numbers
    assert dedupe.duplicates == len(delivered) - len(numbers)
    assert dedupe.missing == 0


@given(st.data())
def test_two_lives_of_a_source_are_two_streams(data):
    dedupe = Dedupe()
    boots = data.draw(st.permutations(["a"] * 5 + ["b"] * 5))
    seen = dict.fromkeys("ab", 0)
    for boot in boots:
        seen[boot] += 1
        assert dedupe.is_new(Event(boot=boot, seq=seen[boot]))
    assert dedupe.duplicates == dedupe.missing == 0


def test_what_is_missing_is_counted():
    dedupe = Dedupe()
    for number in (1, 2, 5, 9):
        dedupe.is_new(Event(boot="a", seq=number))
    assert dedupe.missing == 5


@given(st.data())
def test_a_picture_from_a_stream_with_repeats_is_the_same(data):
    story = data.draw(stories())
    events = arrival(data.draw, story)
    for boot, source in enumerate((story.submit, *story.workers.values())):
        for number, event in enumerate(source):
            event.boot, event.seq = str(boot), number + 1
    once, twice, dedupe = Picture("run"), Picture("run"), Dedupe()
    for number, event in enumerate(events):
        once.fold(event)
        for each in (event, events[data.draw(st.integers(0, number))]):
            if dedupe.is_new(each):
                twice.fold(each)
    assert once.counts == twice.counts
    assert once.outstanding == twice.outstanding
    assert once.tasks == twice.tasks
