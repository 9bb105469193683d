"""First tries go where they are likely to succeed, and tries teach where that is."""

from __future__ import annotations

import pytest
from parsl import python_app

from parsl_diaspora.events import DecisionMade, ManagerLost, ManagerSeen, NodeSeen
from parsl_diaspora.state.places import PROOF_HOLDS
from tests.monitoring.fakes import Program
from tests.waiting import until


@pytest.fixture
def program(tmp_path):
    made = []

    def make(*labels, **arguments):
        program = Program(tmp_path, *(labels or ("alder", "birch")), **arguments)
        if program.session.live is not None:
            program.session.live.listen(program.session.routing.hear)
        made.append(program)
        return program

    yield make
    for each in made:
        each.memoizer.close()


@python_app
def needs_strokes():
    import strokes

    return strokes


@python_app
def grow():
    return bytes(10)


def divide():
    try:
        return 1 / 0
    except ZeroDivisionError as error:
        return error


def tell(made, label, packages=("numpy",), memory=0, **limits):
    made.see_manager(f"{label}-1", label)
    versions = dict.fromkeys(packages, "1")
    seen = NodeSeen(executor=label, manager=f"{label}-1", packages=versions, memory=memory, limits=limits)
    made.session.live.say(seen)


def first(made, app, executor="alder"):
    task = made.task(executor, func=app.func)
    made.launch(task)
    return task


def decision(made):
    return made.said(DecisionMade)[-1]


def test_a_place_whose_managers_do_not_list_what_the_app_imports_is_avoided_before_anything_fails(program):
    made = program()
    tell(made, "alder")
    tell(made, "birch", ("numpy", "strokes"))
    assert first(made, needs_strokes)["executor"] == "birch"
    told = decision(made)
    assert (told.rule, told.target, told.diagnosis.missing) == ("known-lack", "birch", "strokes")
    assert "module 'strokes'" in told.reason


def test_a_package_that_nobody_lists_may_be_anywhere(program):
    made = program()
    tell(made, "alder")
    tell(made, "birch")
    assert first(made, needs_strokes)["executor"] == "alder"


def test_a_module_that_was_missing_at_a_place_is_not_looked_for_there_again(program):
    made = program(retries=2)
    task = made.task(func=needs_strokes.func)
    made.run([ModuleNotFoundError("No module named 'strokes'", name="strokes")], task)
    assert first(made, needs_strokes)["executor"] == "birch"
    assert first(made, grow)["executor"] == "alder"


def test_where_memory_was_short_tasks_of_that_app_do_not_begin(program):
    made = program(retries=2)
    made.run([MemoryError("no")], made.task(func=grow.func))
    assert first(made, grow)["executor"] == "birch"
    assert decision(made).reason == "not at alder: it lacks memory; birch is used at once"


def test_a_place_with_less_memory_than_a_success_elsewhere_has_used_is_avoided(program):
    made = program()
    tell(made, "alder", memory=2_000, address_space=1_000)
    tell(made, "birch", memory=2_000)
    task = first(made, grow, "birch")
    made.report(manager="birch-1")
    made.session.tries._reports[task["id"], 0, "birch"].memory = 900
    made.succeed(task)
    assert first(made, grow)["executor"] == "birch"


def test_a_proof_holds_for_a_while_only(program):
    made = program(retries=2)
    made.run([MemoryError("no")], made.task(func=grow.func))
    made.picture.unfit.clear()
    made.clock.advance(PROOF_HOLDS * 10)
    assert made.session.routing.chance(grow.func, "alder") == pytest.approx(0.8, abs=0.1)
    assert first(made, grow)["executor"] == "alder"


def test_an_app_that_may_only_run_at_one_place_stays_there(program):
    made = program(move="none", retries=2)
    made.run([MemoryError("no")], made.task(func=grow.func))
    assert first(made, grow)["executor"] == "alder"


def test_a_success_after_a_failure_at_the_same_place_clears_it(program):
    made = program(retries=5, move="none")
    made.run([MemoryError("no")], made.task(func=grow.func))
    routing = made.session.routing
    assert routing.places.of(routing.identity(grow.func), "executor:alder").lack == ""


def test_a_failure_that_was_proven_to_be_the_apps_own_is_known_the_next_time(program):
    made = program(retries=5)
    error = divide()
    for label in ("alder", "birch"):
        made.see_manager(f"{label}-1", label)
    task = made.task(func=grow.func)
    for _ in range(5):
        made.launch(task)
        made.report(error, manager=f"{task['executor']}-1")
        if not made.fail(task, error):
            break
    last = made.picture.tasks[task["id"]].tries[-1]
    assert "proven to be the app's own" in made.session.routing.proof(grow.func, last.fingerprint)
    assert made.session.routing.proof(grow.func, "another") == ""


def mixed(made):
    """One executor with a node that has the package and one that has not."""
    for name, packages in (("bare", ("numpy",)), ("full", ("numpy", "strokes"))):
        made.session.live.say(ManagerSeen(executor="alder", manager=name, node=f"node-{name}", workers=2))
        made.session.live.say(
            NodeSeen(
                executor="alder", manager=name, node=f"node-{name}", packages=dict.fromkeys(packages, "1")
            )
        )


def test_a_first_try_is_handed_back_by_a_manager_of_its_executor_that_lacks_a_package(program):
    made = program("alder")
    mixed(made)
    first(made, needs_strokes)
    assert made.launch_seen.avoid == ("bare",)
    first(made, grow)
    assert made.launch_seen.avoid == ()


def test_a_node_where_memory_was_short_is_avoided_until_a_try_succeeds_there(program):
    made = program("alder", retries=2)
    mixed(made)
    task = first(made, grow)
    made.report(MemoryError("no"), manager="bare")
    made.session.tries._reports[task["id"], 0, "alder"].node = "node-bare"
    made.fail(task, MemoryError("no"))
    first(made, grow)
    assert made.launch_seen.avoid == ("bare",)
    again = first(made, grow)
    made.report(manager="bare")
    made.session.tries._reports[again["id"], 0, "alder"].node = "node-bare"
    made.succeed(again)
    first(made, grow)
    assert made.launch_seen.avoid == ()


def test_the_last_manager_is_not_avoided_whatever_it_lacks(program):
    made = program("alder", retries=2)
    mixed(made)
    made.session.live.say(ManagerLost(executor="alder", manager="full", reason="gone"))
    first(made, needs_strokes)
    assert made.launch_seen.avoid == ()


def test_the_next_program_knows_it_at_once_unless_the_memory_is_off(program):
    found = []
    for number, places in enumerate(("off", None, None)):
        made = program(retries=2, whole=True, places=places)
        made.session.begin(made.run_id)
        until(lambda read=made.session.routing.places, wanted=number > 1: bool(len(read)) == wanted)
        found.append(first(made, grow)["executor"])
        made.run([MemoryError("no")], made.task(func=grow.func))
        made.memoizer.close()
    assert found == ["alder", "alder", "birch"]


def fail_everywhere(made, error):
    """One task fails at one place after another, until it has no further try; how many tries it had."""
    task = made.task(func=grow.func)
    for tries in range(1, 20):
        made.launch(task)
        made.report(error, manager=f"{task['executor']}-1")
        if not made.fail(task, error):
            return tries
    return 0


@pytest.mark.parametrize(("successes", "tries"), [(0, 2), (3, 5 + 2 + 1), (300, 2)])
def test_failures_that_are_no_rarer_than_usual_prove_nothing(program, successes, tries):
    made = program(retries=5)
    for label in ("alder", "birch"):
        made.see_manager(f"{label}-1", label)
    for _ in range(successes):
        made.run([], made.task(func=grow.func))
    assert fail_everywhere(made, divide()) == tries


def test_what_was_proven_once_ends_the_next_task_at_its_first_failure_until_a_success_refutes_it(program):
    made = program(retries=5)
    for label in ("alder", "birch"):
        made.see_manager(f"{label}-1", label)
    assert [fail_everywhere(made, divide()) for _ in range(2)] == [2, 1]
    made.run([], made.task(func=grow.func))
    assert fail_everywhere(made, divide()) > 1
