"""What a policy says is done: to Parsl's record of the task, to places, and in what is told."""

from __future__ import annotations

import pytest
from parsl import ThreadPoolExecutor
from parsl.executors import HighThroughputExecutor
from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

from parsl_diaspora import RetryAfter, Settings, resilience
from parsl_diaspora.errors import SettingsError
from parsl_diaspora.events import (
    DecisionMade,
    NodeSeen,
    PlaceQuarantined,
    PlaceReleased,
    TaskEnded,
    TaskHeld,
    TryLaunched,
)
from parsl_diaspora.recovery import Do, Policy, Rule, When
from parsl_diaspora.recovery.language.rules import ACTIONS
from parsl_diaspora.state.records import NodeState

GB = 10**9


def rule(do, **more):
    return {"rules": [{"name": "own", "do": do, "reason": "because", **more}]}


def failed_once(made, error=None, task=None):
    """A task whose first try has failed; whether Parsl tries it again."""
    task = task or made.task()
    made.launch(task)
    made.report(error or ValueError("x"))
    return task, made.fail(task, error or ValueError("x"))


def decisions(made):
    return [(event.rule, event.action) for event in made.said(DecisionMade)]


def test_a_policy_may_be_a_file_or_a_mapping_and_is_checked_at_once(tmp_path, program):
    path = tmp_path / "policy.yaml"
    path.write_text("rules: [{name: own, when: {exception: KeyError}, do: fail, reason: because}]")
    made = program(policy=str(path), retries=5)
    assert not failed_once(made, KeyError("x"))[1]
    assert decisions(made) == [("own", "fail")]
    with pytest.raises(SettingsError, match="no class of failures"):
        program(policy={"rules": [{"name": "a", "when": {"class": "memroy"}, "do": "fail", "reason": "b"}]})


def test_a_task_goes_to_the_executor_that_a_rule_names(program):
    made = program(
        "alder", "birch", "cedar", policy=rule({"try": "other executor", "to": "cedar"}), move="any"
    )
    task, again = failed_once(made)
    assert (again, task["executor"]) == (True, "cedar")


def test_a_task_goes_to_another_site_where_executors_share_one(program):
    sites = {"alder": "mountain", "birch": "mountain", "cedar": "coast"}
    made = program("alder", "birch", "cedar", policy=rule("other site"), move="any", sites=sites)
    assert failed_once(made)[0]["executor"] == "cedar"


def test_what_the_next_try_is_to_avoid_travels_with_it(program):
    made = program(policy=rule("other node"))
    made.see_manager("m1")
    made.see_manager("m2")
    task, _ = failed_once(made)
    made.launch(task)
    assert made.launch_seen.avoid == ("node:n1",)
    assert made.said(TryLaunched)[-1].avoid == ("node:n1",)


def test_the_memory_that_a_task_needs_travels_with_its_tries_and_grows(program):
    @resilience(memory="2 GB")
    def hungry():
        return 1

    made = program(policy=rule({"resize": {"memory": "x2"}}, when={"class": "memory"}))
    made.see_manager("m1")
    made.see_manager("m2")
    task = made.task(func=hungry)
    made.launch(task)
    assert made.launch_seen.memory == 2 * GB
    assert made.fail(task, MemoryError())
    made.launch(task)
    assert made.launch_seen.memory == 4 * GB


def test_no_worker_hands_a_task_back_for_its_memory_where_no_other_one_is(program):
    made = program()
    made.see_manager("m1")
    made.launch(made.task(func=resilience(memory="2 GB")(lambda: 1)))
    assert made.launch_seen.memory == 0


def test_no_worker_hands_a_task_back_for_memory_that_no_node_has(program):
    made = program()
    live = made.session.live
    made.session.routing.begin(live)
    for name in ("m1", "m2"):
        made.see_manager(name)
        live.say(NodeSeen(executor="alder", manager=name, node=name, memory=4 * GB))
    for memory, expected in (("3 GB", 3 * GB), ("5 GB", 0)):
        made.launch(made.task(func=resilience(memory=memory)(lambda: 1)))
        assert made.launch_seen.memory == expected


def test_a_task_that_ran_out_of_memory_goes_where_a_node_has_more(program):
    made = program(
        "alder",
        "birch",
        "cedar",
        move="any",
        policy=rule({"try": "other executor", "resize": {"memory": "4 GB"}}),
    )
    live = made.session.live
    made.session.routing.begin(live)
    for label, memory in (("alder", 3), ("birch", 2), ("cedar", 16)):
        live.say(NodeSeen(executor=label, manager=f"{label}-1", node=f"{label}-n", memory=memory * GB))
    task = made.task()
    made.launch(task)
    task["executor"] = "alder"
    assert made.fail(task, MemoryError())
    assert task["executor"] == "cedar"


def test_memory_is_said_in_megabytes_to_executors_that_were_told_of_it(program):
    made = program(policy=rule({"resize": {"memory": "x2"}}))
    task = made.task(resource_specification={"cores": 1, "memory": 500, "disk": 10})
    assert failed_once(made, task=task)[1]
    assert task["resource_specification"] == {"cores": 1, "memory": 1_000, "disk": 10}


@pytest.mark.parametrize(
    ("executor", "expected"),
    [
        (HighThroughputExecutor(label="alder", address="127.0.0.1"), {"priority": 2}),
        (ThreadPoolExecutor(label="alder"), {}),
    ],
)
def test_a_priority_is_told_to_executors_that_know_one(program, executor, expected):
    made = program(policy=rule({"priority": 2}))
    made.executors["alder"] = executor
    task, again = failed_once(made, task=made.task(resource_specification={}))
    assert again
    assert task["resource_specification"] == expected


def test_a_task_waits_for_the_file_that_it_lacks(program, tmp_path):
    path = tmp_path / "late.h5"
    made = program(policy=rule({"wait": {"for": "file:{file}", "at_most": 60}}))
    error = FileNotFoundError(2, "No such file", str(path))
    assert failed_once(made, error)[1]
    (decision,) = made.said(DecisionMade)
    assert (decision.wait, decision.wait_timeout) == (f"file:{path}", 60.0)
    assert [entry.state for entry in made.session.parked] == ["waiting"]


def test_an_app_that_asks_for_time_gets_it_and_spends_no_budget(program):
    made = program(retries=0)
    task = made.task()
    for number in range(3):
        made.launch(task)
        assert made.fail(task, RetryAfter(30 + number, "the licence server is busy"))
    assert [(e.rule, e.delay) for e in made.said(DecisionMade)] == [
        ("asked-to-wait", 30.0),
        ("asked-to-wait", 31.0),
        ("asked-to-wait", 32.0),
    ]
    made.clock.advance(31)
    assert made.relaunched == []
    made.clock.advance(1)
    assert made.relaunched == [task["id"]]


def test_a_held_task_stays_with_number_and_suggestion(program):
    made = program(policy=rule({"hold": {"number": 101, "suggestion": "renew the licence"}}))
    assert failed_once(made)[1]
    (held,) = made.said(TaskHeld)
    assert (held.number, held.suggestion) == (101, "renew the licence")
    assert made.relaunched == []


def test_a_value_of_a_rule_stands_in_for_the_result(program):
    made = program(policy=rule({"substitute": {"loss": None}}))
    task, again = failed_once(made)
    assert again
    assert made.launch(task).result() == {"loss": None}


def test_a_value_of_the_app_stands_in_once_all_else_has_failed(program):
    @resilience(substitute=float("inf"), retries=1)
    def fragile():
        return 1

    made = program()
    task = made.task(func=fragile)
    assert failed_once(made, task=task)[1]
    assert failed_once(made, KeyError("y"), task=task)[1]
    assert [action for _, action in decisions(made)][-1] == "substitute"
    assert made.launch(task).result() == float("inf")
    made.succeed(task)
    assert made.said(TaskEnded)[-1].outcome == "substituted"


# --- places that rest ---


def test_a_node_rests_with_all_its_managers_for_the_time_that_a_rule_says(program):
    made = program(policy=rule({"quarantine": {"node": 60}}))
    live = made.session.live
    for name in ("m1", "m2", "m3"):
        made.see_manager(name)
    for name in ("m1", "m2"):
        live.picture.managers[name].node = "n1"
    live.picture.nodes["n1"] = NodeState(managers={"m1", "m2"})
    failed_once(made)
    told = made.said(PlaceQuarantined)
    assert [(event.node, event.seconds) for event in told] == [("n1", 60.0)]
    assert live.picture.present["alder"] == {"m3"}
    made.clock.advance(60)
    assert [event.node for event in made.said(PlaceReleased)] == ["n1"]
    assert live.picture.present["alder"] == {"m1", "m2", "m3"}


def test_the_last_manager_of_an_executor_does_not_rest_because_of_one_rule(program):
    made = program(policy=rule({"quarantine": "manager"}))
    made.see_manager("m1")
    failed_once(made)
    assert made.said(PlaceQuarantined) == []


def test_failures_of_several_tasks_at_a_place_are_counted(program):
    when = {"count": {"by": "manager", "at_least": 3, "within": 60}}
    made = program(policy=rule("fail", when=when), quarantine_after=0)
    made.see_manager("m1")
    assert [failed_once(made, ValueError(n))[1] for n in range(3)] == [True, True, False]
    assert decisions(made)[-1] == ("own", "fail")


# --- what an app's author says ---


def test_rules_of_an_app_come_before_those_of_the_program(program):
    @resilience(
        rules=[Rule(name="mine", when=When(exceptions=("KeyError",)), do=Do(action="hold"), reason="look")]
    )
    def careful():
        return 1

    made = program(policy=rule("fail"))
    failed_once(made, KeyError("x"), made.task(func=careful))
    failed_once(made, ValueError("x"), made.task(func=careful))
    failed_once(made, KeyError("x"))
    assert decisions(made) == [("mine", "hold"), ("own", "fail"), ("own", "fail")]


def test_an_app_may_have_a_policy_from_a_file_with_budgets_of_its_own(tmp_path, program):
    path = tmp_path / "own.yaml"
    path.write_text(
        "{budgets: {bad_input: 3}, max_tries: 9, "
        "rules: [{name: mine, when: {class: bug}, do: fail, reason: because}]}"
    )

    @resilience(policy=path, max_tries=4)
    def careful():
        return 1

    made = program()
    task = made.task(func=careful)
    for number in range(2):
        assert failed_once(made, ValueError(number), task)[1]
    assert [(e.budget, e.limit, e.max_tries) for e in made.said(DecisionMade)] == [("bad_input", 3, 4)] * 2
    assert not failed_once(made, KeyError("x"), made.task(func=careful))[1]


@pytest.mark.parametrize(
    "wrong",
    [
        {"rules": [{"name": "a", "do": "fial", "reason": "b"}]},
        {"rules": [Rule(name="a", reason="b"), Rule(name="a", reason="b")]},
        {"memory": "much"},
        {"memory": -1},
        {"policy": "no/such/file.yaml"},
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_where_it_is_said(wrong):
    with pytest.raises(SettingsError):
        resilience(**wrong)


ERRORS = [KeyError("x"), MemoryError(), WorkerLost(3, "n1"), ManagerLost(b"m1", "n1"), OSError(28, "full")]


@pytest.mark.parametrize("action", [each for each in ACTIONS if each not in ("substitute", "hold")])
@pytest.mark.parametrize(
    "extra", [{}, {"delay": 1}, {"resize": {"memory": "x2"}}, {"quarantine": "node"}], ids=str
)
def test_whatever_a_rule_says_the_task_ends_within_its_total_and_no_fault_is_met(program, action, extra):
    do = {"try": action, **extra} if action != "fail" else {"fail": True}
    made = program("alder", "birch", policy=rule(do, times=4, **{"else": "here"}), max_tries=6, move="any")
    for name in ("m1", "m2"):
        made.see_manager(name)
    task = made.task()
    for number in range(20):
        made.launch(task)
        made.report(ERRORS[number % len(ERRORS)])
        if not made.fail(task, ERRORS[number % len(ERRORS)]):
            break
    assert 1 <= task["fail_count"] <= 6
    assert made.session.live.faults == {}


def test_settings_show_the_policy(tmp_path):
    assert Settings(policy={"max_tries": 3}).shown()["policy"] == {"max_tries": 3}
    assert Policy.of({"max_tries": 3}).max_tries == 3
