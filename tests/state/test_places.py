"""What is believed of places, and what managers have to offer."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora.events import Lesson, ManagerLost, NodeSeen, PlacesLearned
from parsl_diaspora.state.offers import Offers
from parsl_diaspora.state.places import HALF_LIFE, Places, matches
from tests.events.strategies import calm

FUNC, CPU, GPU = "app.train#1", "executor:cpu", "executor:gpu"


def places_with(*lessons, at=0.0):
    places = Places()
    for lesson in lessons:
        places.learn(lesson, at)
    return places


def lesson(place=CPU, **more):
    return Lesson(func=FUNC, place=place, tries=1, **more)


def test_an_unknown_place_has_a_good_chance_and_each_try_changes_it():
    places = places_with(lesson(good=1), lesson(GPU, bad=4, lack="memory"))
    assert places.chance(FUNC, CPU, "", 0) > places.chance(FUNC, "executor:new", "", 0) == 0.8
    assert places.chance(FUNC, GPU, "", 0) < 0.3


def test_counts_fade_to_half_in_a_day_and_to_nothing_in_time():
    places = places_with(*[lesson(bad=1)] * 4)
    at_once, later, much_later = (places.chance(FUNC, CPU, "", days * HALF_LIFE) for days in (0, 1, 60))
    assert at_once < later < much_later
    assert much_later == pytest.approx(0.8)


def test_a_place_lacks_something_until_a_try_succeeds_there():
    places = places_with(lesson(bad=4, lack="module 'strokes'"))
    assert places.of(FUNC, CPU).lack == "module 'strokes'"
    places.learn(lesson(good=1), 5.0)
    assert places.of(FUNC, CPU).lack == ""


def test_another_environment_at_the_same_place_is_another_place():
    places = places_with(lesson(bad=4, lack="module 'strokes'", environment="before"))
    assert places.of(FUNC, CPU, "after").lack == ""
    assert places.of(FUNC, CPU, "before").lack == "module 'strokes'"


def test_before_its_managers_tell_a_place_is_believed_to_be_as_it_was():
    places = places_with(lesson(bad=4, lack="memory", environment="e1"))
    assert places.of(FUNC, CPU, "").lack == "memory"


def test_the_most_memory_of_a_success_is_what_a_function_needs():
    places = places_with(lesson(good=1, memory=10), lesson(GPU, good=1, memory=30), lesson(good=1, memory=20))
    assert places.used(FUNC) == 30


def test_a_failure_that_was_proven_to_be_the_functions_own_is_remembered_until_it_is_refuted():
    places = places_with(Lesson(func=FUNC, hopeless="ZeroDivisionError@app.py:train:7"), at=3.0)
    assert places.hopeless(FUNC, "ZeroDivisionError@app.py:train:7") == 3.0
    assert places.hopeless("app.other#1", "ZeroDivisionError@app.py:train:7") == 0.0
    places.learn(Lesson(func=FUNC, hopeless="ZeroDivisionError@app.py:train:7", refuted=True), 4.0)
    assert places.hopeless(FUNC, "ZeroDivisionError@app.py:train:7") == 0.0


def test_lessons_that_make_no_sense_are_counted_and_passed_over():
    places = Places()
    bad = (Lesson(func=""), lesson(good=float("nan")), lesson(bad=-1.0), lesson(good=float("inf")))
    places.fold(PlacesLearned(lessons=(*bad, lesson(good=1)), time=1.0))
    assert (places.skipped, len(places)) == (4, 1)


def test_people_can_have_functions_forgotten():
    places = places_with(lesson(good=1, memory=5), Lesson(func="app.other#2", place=CPU, good=1))
    places.fold(PlacesLearned(forget="train", time=1.0))
    assert [key[0] for key, _ in places] == ["app.other#2"]
    assert places.used(FUNC) == 0
    assert not matches("app.other#2", "train")


def test_no_more_is_kept_than_the_newest():
    places = Places(most=3)
    for number in range(9):
        places.learn(Lesson(func=f"f{number}", place=CPU, good=1), float(number))
        places.learn(Lesson(func=f"f{number}", hopeless="x"), float(number))
    assert [key[0] for key, _ in places] == ["f6", "f7", "f8"]
    assert len(places.hopeless_ones()) == 3


lessons = st.builds(
    lesson,
    st.sampled_from([CPU, GPU]),
    good=st.sampled_from([0.0, 1.0]),
    bad=st.sampled_from([0.0, 0.1, 4.0]),
)


@calm
@given(st.lists(lessons, max_size=20), st.integers(0, 20))
def test_differences_of_several_programs_add_up_to_what_one_would_have_learned(told, split):
    one = places_with(*told)
    merged = Places()
    for part in (told[:split], told[split:]):
        merged.fold(PlacesLearned(lessons=tuple(part)))
    for place in (CPU, GPU):
        assert merged.chance(FUNC, place, "", 0) == one.chance(FUNC, place, "", 0)
        assert merged.of(FUNC, place).tries == one.of(FUNC, place).tries


def test_many_threads_may_learn_ask_and_forget_at_once():
    places, faults = Places(most=5), []

    def work(seed):
        try:
            for number in range(2_000):
                func = f"app.f{(number * seed) % 9}#1"
                places.learn(
                    Lesson(func=func, place=f"node:n{number % 3}", bad=4, tries=1, lack="memory"), number
                )
                places.learn(Lesson(func=func, place=CPU, good=1, tries=1, memory=number), number)
                places.chance(func, CPU, "", number)
                places.bad_nodes(func)
                if number % 97 == 0:
                    places.forget("app.f3", number)
        except Exception as error:
            faults.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2, 5, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    assert len(places) == 5


# --- what managers have to offer ---


def seen(manager, executor="cpu", packages=None, **more):
    return NodeSeen(executor=executor, manager=manager, packages=packages or {"numpy": "2"}, **more)


def test_an_executor_lacks_a_package_only_if_all_its_managers_have_listed_theirs_without_it():
    offers = Offers()
    assert not offers.lacks("cpu", {"torch"})
    offers.fold(seen("m1"))
    assert offers.lacks("cpu", {"torch"})
    offers.fold(seen("m2", packages={"torch": "3"}))
    assert not offers.lacks("cpu", {"torch"})
    offers.fold(ManagerLost(executor="cpu", manager="m2"))
    assert offers.lacks("cpu", {"torch"})


def test_a_limit_counts_where_it_is_below_the_nodes_memory():
    offers = Offers()
    offers.fold(seen("m1", memory=100, limits={"address_space": 30, "data": None}))
    offers.fold(seen("g1", "gpu", memory=100, limits={"address_space": 400}))
    assert (offers.of("cpu").memory, offers.of("gpu").memory, offers.of("new").memory) == (30, 100, 0)


def test_equal_environments_have_one_fingerprint_wherever_they_are():
    offers = Offers()
    offers.fold(seen("m1", python_version="3.11.7"))
    offers.fold(seen("g1", "gpu", python_version="3.11.9"))
    offers.fold(seen("x1", "other", python_version="3.12.1"))
    assert offers.of("cpu").environment == offers.of("gpu").environment != offers.of("other").environment
