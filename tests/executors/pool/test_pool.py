"""Work is spread, survives its member, is hedged and moved; each future has one end."""

from __future__ import annotations

import threading

import pytest
from parsl import Config, ThreadPoolExecutor
from parsl.data_provider.files import File

from parsl_diaspora import resilience, resilient
from parsl_diaspora.errors import ConfigurationError
from parsl_diaspora.events import MemberReplaced, TaskHedged, TaskMoved
from parsl_diaspora.executors import PoolExecutor
from parsl_diaspora.executors.errors import NoMember
from parsl_diaspora.executors.pool.homeless import PATIENCE
from tests.executors.pool.fakes import Member, Scene
from tests.waiting import until


@resilience(idempotent=True)
def harmless(number):
    return number


@resilience(near="north")
def near_north(number):
    return number


def only(number):
    return number


def learned(scene, func=harmless, times=12, seconds=0.1):
    """The function has run so often, so long."""
    for _ in range(times):
        future = scene.submit(func, 1)
        scene.clock.advance(seconds)
        (label,) = scene.at(future)
        scene.member(label).end(result=1)


# --- spread ---


def test_work_is_spread_over_the_members():
    scene = Scene()
    for number in range(20):
        scene.submit(only, number)
    assert abs(scene.number("alder") - scene.number("birch")) <= 1


def test_a_result_and_an_exception_are_passed_on():
    scene = Scene(Member("alder"))
    good, bad = scene.submit(only, 1), scene.submit(only, 2)
    scene.member("alder").end(0, result=7)
    scene.member("alder").end(0, error=ValueError("no"))
    assert good.result() == 7
    assert isinstance(bad.exception(), ValueError)
    assert scene.pool.outstanding() == []


def test_work_goes_near_its_data_until_it_is_crowded_there():
    scene = Scene(Member("alder"), Member("birch"), sites={"birch": "north"})
    where = [scene.at(scene.submit(near_north, number)) for number in range(4)]
    assert where[:2] == [("birch",), ("birch",)]
    assert ("alder",) in where
    assert "its data are there" in scene.pool.outstanding()[0].why


def test_a_file_tells_where_the_data_are():
    scene = Scene(Member("alder"), Member("birch"), Member("cedar"))
    assert scene.at(scene.submit(only, File("file://cedar/data.h5"))) == ("cedar",)


def test_members_that_do_not_take_the_resources_are_passed_over():
    scene = Scene(Member("alder", takes=False), Member("birch"))
    futures = [scene.submit(only, number, spec={"num_nodes": 2}) for number in range(4)]
    assert {scene.at(future) for future in futures} == {("birch",)}
    assert "not alder: it lacks resources (num_nodes)" in scene.pool.outstanding()[0].why


def test_words_of_pools_choose_the_member_and_go_only_to_members_that_take_them():
    scene = Scene(Member("alder", takes=False), Member("birch", takes=False))
    scene.member("alder").available_accelerators = ["0"]
    scene.member("birch").available_accelerators = ["0", "1"]
    futures = [scene.submit(only, number, spec={"gpus": 2}) for number in range(4)]
    assert {scene.at(future) for future in futures} == {("birch",)}
    assert "not alder: it lacks GPUs: it has 1 of 2" in scene.pool.outstanding()[0].why
    assert {str(each.specification) for each in scene.member("birch").held} == {"{}"}
    with pytest.raises(ConfigurationError, match="does not understand"):
        scene.submit(only, 1, spec={"gpus": "two"})


def test_a_function_whose_module_is_missing_at_a_member_goes_to_others():
    scene = Scene()
    scene.submit(only, 0), scene.submit(only, 1)
    scene.member("alder").end(error=ModuleNotFoundError("No module named 'torch'", name="torch"))
    scene.member("birch").end(result=1)
    assert {scene.at(scene.submit(only, number)) for number in range(6)} == {("birch",)}


def test_what_cannot_be_sent_is_refused_at_once_and_nothing_of_it_is_left():
    scene = Scene(Member("alder"))
    scene.member("alder").submit = lambda *_: exec("raise TypeError('cannot pickle')")
    with pytest.raises(TypeError, match="cannot pickle"):
        scene.submit(only, 1)
    assert scene.pool.outstanding() == []


# --- members that are lost ---


def test_what_a_bad_member_had_is_done_by_others():
    scene = Scene()
    futures = [scene.submit(only, number) for number in range(6)]
    scene.member("alder").turn_bad()
    assert {scene.at(future) for future in futures} == {("birch",)}
    for _ in range(6):
        scene.member("birch").end(result="done")
    assert [future.result() for future in futures] == ["done"] * 6


def test_a_bad_member_gets_nothing():
    scene = Scene()
    scene.member("alder").turn_bad()
    assert {scene.at(scene.submit(only, number)) for number in range(4)} == {("birch",)}


def test_a_bad_member_is_replaced_by_a_fresh_one_and_its_end_is_seen_to():
    scene = Scene()
    old = scene.member("alder")
    old.turn_bad()
    scene.look()
    assert scene.member("alder") is old
    scene.look(1.1)
    assert scene.member("alder") is not old
    assert scene.member("alder").is_started
    assert old.is_shut_down
    (event,) = [each for each in scene.said if isinstance(each, MemberReplaced)]
    assert (event.executor, event.number, event.pool) == ("alder", 2, "pool")
    assert "all blocks have failed" in event.reason
    scene.look()
    assert {scene.at(scene.submit(only, number)) for number in range(8)} == {("alder",), ("birch",)}


def test_a_member_that_a_function_makes_is_made_by_it_again():
    made = []

    def factory():
        made.append(Member("alder"))
        return made[-1]

    scene = Scene(factory, Member("birch"))
    scene.member("alder").turn_bad()
    scene.look()
    scene.look(1.1)
    assert scene.member("alder") is made[1]


def test_a_member_that_turns_bad_again_and_again_is_given_up():
    scene = Scene(replacements=3)
    for _ in range(10):
        if not scene.member("alder").bad_state_is_set:
            scene.member("alder").turn_bad()
        scene.look()
        scene.look(61.0)
    assert scene.pool.seats["alder"].number == 4
    assert [part for part, _ in scene.faults] == ["member alder"]


def test_a_member_that_cannot_be_started_is_replaced_and_the_others_work():
    broken = Member("alder")
    broken.start = lambda: exec("raise OSError('no port is free')")
    pool = PoolExecutor("pool", [broken, Member("birch")])
    faults = []
    pool.advice.absorb = lambda part, error: faults.append(str(error))
    pool.start()
    try:
        assert faults == ["no port is free"]
        assert pool.submit(only, {}, 1).copies()[0].label == "birch"
        until(lambda: pool.seats["alder"].number == 2)
        assert pool.seats["alder"].wrong == ""
    finally:
        pool.shutdown()


def test_a_pool_of_which_no_member_can_be_started_cannot_be_either():
    broken = Member("alder")
    broken.start = lambda: exec("raise OSError('no port is free')")
    with pytest.raises(OSError, match="no port is free"):
        PoolExecutor("pool", [broken]).start()


def test_work_waits_while_all_members_are_bad_and_goes_to_the_first_fresh_one():
    scene = Scene()
    early = scene.submit(only, 1)
    scene.member("alder").turn_bad()
    scene.member("birch").turn_bad()
    late = scene.submit(only, 2)
    assert (scene.at(early), scene.at(late)) == ((), ())
    scene.look()
    scene.look(1.1)
    scene.look()
    assert len(scene.at(early)) == len(scene.at(late)) == 1


def test_work_does_not_wait_for_ever():
    scene = Scene(Member("alder"), replacements=0)
    scene.member("alder").turn_bad()
    future = scene.submit(only, 1)
    scene.look(PATIENCE - 1)
    assert not future.done()
    scene.look(2)
    with pytest.raises(NoMember, match="all blocks have failed"):
        future.result()
    assert scene.pool.outstanding() == []


# --- stragglers ---


def test_a_straggler_of_an_idempotent_app_gets_one_copy_and_the_first_result_counts():
    scene = Scene(hedge_share=1.0)
    learned(scene)
    future = scene.submit(harmless, 5)
    (first,) = scene.at(future)
    scene.look(0.9)
    assert scene.at(future) == (first,)
    scene.look(0.2)
    scene.look(10)
    other = {"alder": "birch", "birch": "alder"}[first]
    assert scene.at(future) == (first, other)
    scene.member(other).end(result="second")
    scene.member(first).end(result="first")
    assert future.result() == "second"
    (event,) = [each for each in scene.said if isinstance(each, TaskHedged)]
    assert (event.executor, event.to) == (first, other)
    assert event.after >= 1.0
    assert [seat.outstanding for seat in scene.pool.seats.values()] == [0, 0]


def test_if_one_copy_fails_the_other_counts_and_if_both_fail_the_last_error_does():
    for last in ("result", ValueError("both")):
        scene = Scene(hedge_share=1.0)
        learned(scene)
        future = scene.submit(harmless, 5)
        (first,) = scene.at(future)
        scene.look(2)
        scene.member(first).end(error=ValueError("one"))
        assert not future.done()
        (other,) = scene.at(future)
        scene.member(other).end(**({"error": last} if isinstance(last, ValueError) else {"result": last}))
        assert (future.exception() or future.result()) is last


def test_an_app_that_is_not_marked_gets_no_copy():
    scene = Scene(hedge_share=1.0)
    learned(scene, only)
    future = scene.submit(only, 5)
    scene.look(100)
    assert len(scene.at(future)) == 1


def test_no_more_than_a_share_of_the_work_gets_copies():
    scene = Scene(hedge_share=0.1)
    learned(scene, times=28)
    futures = [scene.submit(harmless, number) for number in range(2)]
    for _ in range(4):
        scene.look(5)
        for label in ("alder", "birch"):
            while scene.number(label) > 1:
                scene.member(label).end()
    more = [scene.submit(harmless, number) for number in range(2)]
    for _ in range(4):
        scene.look(5)
    assert scene.pool.hedging.hedged <= 3
    assert futures
    assert more


# --- moves ---


def test_work_of_threads_is_moved_if_it_has_not_begun():
    pool = PoolExecutor(
        "pool",
        [ThreadPoolExecutor("alder", max_threads=1), ThreadPoolExecutor("birch", max_threads=1)],
    )
    gate = threading.Event()
    pool.start()
    try:
        futures = [pool.submit(gate.wait, {}, 20) for _ in range(6)]
        rows = pool.outstanding()
        queued = [row for row in rows if not row.started and row.at == ("alder",)]
        running = next(row for row in rows if row.started)
        assert pool.move(queued[-1].number, to="birch").result(timeout=5) is True
        (row,) = [row for row in pool.outstanding() if row.number == queued[-1].number]
        assert row.at == ("birch",)
        with pytest.raises(ConfigurationError, match="not marked idempotent"):
            pool.move(running.number, to="birch" if running.at == ("alder",) else "alder")
        gate.set()
        assert [future.result(timeout=20) for future in futures] == [True] * 6
        assert [seat.outstanding for seat in pool.seats.values()] == [0, 0]
    finally:
        gate.set()
        pool.shutdown()


def test_idempotent_work_is_moved_where_nothing_gives_it_back_and_what_was_begun_no_longer_counts():
    scene = Scene()
    future = scene.submit(harmless, 3)
    (first,) = scene.at(future)
    other = {"alder": "birch", "birch": "alder"}[first]
    assert scene.pool.move(future, to=other, reason="a trial").result(timeout=1)
    scene.member(first).end(result="old")
    assert not future.done()
    scene.member(other).end(result="new")
    assert future.result() == "new"
    (event,) = [each for each in scene.said if isinstance(each, TaskMoved)]
    assert (event.executor, event.to, event.reason) == (first, other, "a trial")


@pytest.mark.parametrize(
    ("to", "words"),
    [
        ("brich", "no member is called"),
        ("alder", "it is at alder already"),
        ("birch", "nothing can take it back"),
    ],
)
def test_a_move_that_cannot_be_is_refused_with_the_reason(to, words):
    scene = Scene()
    future = scene.submit(only, 3)
    while scene.at(future) != ("alder",):
        future = scene.submit(only, 3)
    with pytest.raises(ConfigurationError, match=words):
        scene.pool.move(future, to=to)
    with pytest.raises(ConfigurationError, match="has no work of 4711"):
        scene.pool.move(4711, to=to)


# --- configuration ---


def test_nonsense_is_refused():
    alder = ThreadPoolExecutor(label="alder")
    with pytest.raises(ConfigurationError, match="has no members"):
        PoolExecutor("pool", [])
    with pytest.raises(ConfigurationError, match="called 'alder'"):
        PoolExecutor("pool", [alder, ThreadPoolExecutor(label="alder")])
    with pytest.raises(ConfigurationError, match="is a pool itself"):
        PoolExecutor("pool", [PoolExecutor("inner", [alder])])
    with pytest.raises(ConfigurationError, match="hedge_share"):
        PoolExecutor("pool", [alder], hedge_share=2)
    with pytest.raises(ConfigurationError, match="names no member"):
        PoolExecutor("pool", [alder], sites={"birch": "north"})


def test_a_resilient_configuration_knows_members_by_their_labels_and_leaves_the_given_pool_as_it_was():
    from parsl.executors import HighThroughputExecutor

    from parsl_diaspora.executors import ResilientHighThroughputExecutor

    pool = PoolExecutor(
        "pool",
        [HighThroughputExecutor(label="alder", address="127.0.0.1"), ThreadPoolExecutor(label="birch")],
    )
    config = resilient(Config(executors=[pool], strategy="none"), fabric="memory:", sites={"alder": "north"})
    assert [executor.label for executor in config.executors] == ["pool", "alder", "birch"]
    assert type(config.executors[0].seats["alder"].executor) is ResilientHighThroughputExecutor
    assert type(pool.seats["alder"].executor) is HighThroughputExecutor
    assert config.executors[0].surroundings().strategy == "none"
