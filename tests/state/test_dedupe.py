"""Each event once, however often the fabric delivers it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora.events import Event, EventsCompacted
from parsl_diaspora.state import Dedupe, Picture
from parsl_diaspora.state.dedupe import MOST_HOLES
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


@given(st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 12)), max_size=60))
def test_each_event_is_new_once_in_whatever_order_its_ways_are_read(stream):
    dedupe, met = Dedupe(), set()
    for boot, seq in stream:
        assert dedupe.is_new(Event(boot=boot, seq=seq)) is ((boot, seq) not in met)
        met.add((boot, seq))
    highest = {boot: max(seq for b, seq in met if b == boot) for boot, _ in met}
    assert dedupe.missing == sum(highest.values()) - len(met)
    assert dedupe.duplicates == len(stream) - len(met)


def test_holes_are_remembered_up_to_a_bound_and_older_ones_count_as_met():
    dedupe = Dedupe()
    for seq in range(2, 2 * MOST_HOLES + 20, 2):
        assert dedupe.is_new(Event(boot="a", seq=seq))
    assert not dedupe.is_new(Event(boot="a", seq=1))
    assert dedupe.is_new(Event(boot="a", seq=2 * MOST_HOLES + 1))
    assert len(dedupe._holes["a"]) <= MOST_HOLES


def mark(first, last):
    return EventsCompacted(boot="a", seq=last, first=first, last=last, dropped=last - first + 1)


def test_what_a_mark_stands_for_is_not_missing_and_is_new_when_it_comes_another_way():
    dedupe = Dedupe()
    assert [dedupe.is_new(event) for event in (Event(boot="a", seq=1), mark(3, 6))] == [True, True]
    assert dedupe.missing == 1
    assert [dedupe.is_new(Event(boot="a", seq=n)) for n in (6, 3, 6, 2, 7)] == [True, True, False, True, True]
    assert (dedupe.missing, dedupe.duplicates) == (0, 1)


def test_a_mark_that_comes_late_explains_what_was_missing():
    dedupe = Dedupe()
    assert [dedupe.is_new(Event(boot="a", seq=n)) for n in (1, 8)] == [True, True]
    assert [dedupe.is_new(event) for event in (mark(3, 6), mark(3, 6))] == [True, False]
    assert dedupe.missing == 2


@given(st.lists(st.integers(1, 12), max_size=4))
def test_marks_that_overlap_after_a_kill_explain_each_number_once(ends):
    """A bridge that died behind a mark says it again, perhaps grown: 13 was never said and stays missing."""
    dedupe = Dedupe()
    for end in ends:
        dedupe.is_new(mark(1, end))
    dedupe.is_new(mark(1, 12))
    dedupe.is_new(Event(boot="a", seq=14))
    assert dedupe.missing == 1
