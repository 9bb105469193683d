"""When the files of a running program are taken, on no clock but the test's."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from parsl_diaspora.checkpoint.programs import Look, Watch

NOTHING: dict[str, Look] = {}


def at(version):
    return {"state.bin": Look(version, version, version, 1)} if version else {}


class Program:
    """Answers signals, or not."""

    def __init__(self, takes=True):
        self.takes = takes
        self.asked = 0

    def ask(self):
        self.asked += 1
        return self.takes


def steps(watch, *seen, wanted=True):
    """The moments at which the files are taken, of (moment, version)."""
    taken = []
    for now, version in seen:
        if watch.step(now, at(version), wanted=wanted):
            taken.append(now)
            watch.took(at(version))
    return taken


def test_files_at_rest_are_taken_and_those_that_change_are_not():
    watch = Watch(quiet=1.0)
    assert steps(watch, (0, 1), (0.9, 1), (1.0, 2), (1.9, 2), (2.0, 2), (3.5, 2)) == [2.0]


def test_one_file_that_is_renamed_into_place_needs_no_rest():
    watch = Watch(quiet=1.0)
    sealed = {"state.bin": Look(1, 10, 11, 1)}
    assert watch.step(0, sealed, wanted=True)
    watch.took(sealed)
    assert not watch.step(0.1, sealed | {"state.bin": Look(2, 12, 12, 1)}, wanted=True)
    assert watch.step(0.2, sealed | {"state.bin": Look(2, 13, 14, 2)}, wanted=True)


def test_several_files_belong_together_only_when_they_rest():
    watch = Watch(quiet=1.0)
    sealed = {"a": Look(1, 10, 11, 1), "b": Look(1, 10, 11, 2)}
    assert [watch.step(now, sealed, wanted=True) for now in (0, 0.9, 1.0)] == [False, False, True]


def test_nothing_is_taken_unless_it_is_wanted_or_while_there_is_no_file():
    assert steps(Watch(quiet=1.0), (0, 1), (9, 1), wanted=False) == []
    assert steps(Watch(quiet=1.0), (0, 0), (9, 0)) == []


def test_what_was_restored_is_nothing_new():
    assert steps(Watch(quiet=1.0, taken=at(4)), (0, 4), (9, 4), (10, 5), (11, 5)) == [11]


def test_a_program_is_asked_once_a_save_and_its_files_are_taken_when_it_has_answered():
    program = Program()
    watch = Watch(program.ask, quiet=1.0, patience=60.0)
    assert steps(watch, (0, 1), (5, 1), (6, 2), (6.5, 3), (7.4, 3), (7.5, 3)) == [7.5]
    assert program.asked == 1
    assert steps(watch, (20, 3), (21, 4), (22, 4)) == [22]
    assert program.asked == 2


def test_a_program_that_does_not_answer_is_taken_as_it_is_when_patience_is_over():
    program = Program()
    assert steps(Watch(program.ask, quiet=1.0, patience=60.0), (0, 1), (59, 1), (60, 1)) == [60]
    assert program.asked == 1


def test_a_program_that_has_nothing_new_is_asked_again_after_a_while():
    program = Program()
    watch = Watch(program.ask, quiet=1.0, patience=60.0, taken=at(1))
    assert steps(watch, (0, 1), (59, 1), (60, 1), (61, 2), (62, 2)) == [62]
    assert program.asked == 2


def test_a_program_without_a_handler_is_taken_at_rest_and_asked_until_it_has_one():
    program = Program(takes=False)
    watch = Watch(program.ask, quiet=1.0)
    assert steps(watch, (0, 1)) == []
    assert not watch.asks
    assert steps(watch, (1, 1)) == [1]
    program.takes = True
    assert steps(watch, (2, 1), (3, 2), (4, 2)) == [4]
    assert program.asked == 3  # at 0, 1 and 2
    assert watch.asks


def test_a_save_that_is_wanted_no_more_is_not_waited_for():
    program = Program()
    watch = Watch(program.ask, quiet=1.0)
    assert not watch.step(0, at(1), wanted=True)
    assert not watch.step(1, at(2), wanted=False)
    assert not watch.step(2, at(2), wanted=True)
    assert program.asked == 2


@given(
    st.lists(st.tuples(st.floats(0.01, 5.0), st.booleans(), st.booleans()), max_size=60),
    st.booleans(),
    st.booleans(),
)
def test_what_is_taken_has_always_been_at_rest_and_is_always_new(story, asks, takes):
    program = Program(takes)
    watch = Watch(program.ask if asks else None, quiet=1.0, patience=10.0)
    now, changed, version, taken = 0.0, 0.0, 1, 0
    watch.step(now, at(version), wanted=False)
    for pause, changes, wanted in story:
        now += pause
        if changes:
            version, changed = version + 1, now
        if watch.step(now, at(version), wanted=wanted):
            assert now - changed >= 1.0
            assert version != taken
            taken = version
            watch.took(at(version))
