"""`policy check` and `policy simulate`: on logs that the real retry handler has written."""

from __future__ import annotations

import itertools
import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from parsl.executors.high_throughput.errors import ManagerLost, WorkerLost

from parsl_diaspora import RetryAfter
from parsl_diaspora.cli.find import Found
from parsl_diaspora.cli.policy import simulate
from parsl_diaspora.events import DecisionMade, RunStarted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.recovery import Policy, built_in
from tests.monitoring.fakes import Program

ERRORS = {
    "bug": KeyError,
    "memory": lambda n: MemoryError(),
    "worker": lambda n: WorkerLost(3, "n1"),
    "manager": lambda n: ManagerLost(b"m1", "n1"),
    "module": lambda n: ModuleNotFoundError("No module named 'x'", name="x"),
    "file": lambda n: FileNotFoundError(2, "No such file", "/data/x"),
    "wait": lambda n: RetryAfter(5, "busy"),
}
OWN = {
    "budgets": {"memory": 5},
    "rules": [
        {
            "name": "crowd",
            "when": {"count": {"by": "func", "at_least": 3, "within": 600}, "class": "memory"},
            "do": {"try": "other executor", "resize": {"memory": "x2"}, "delay": "backoff"},
            "else": {"try": "here", "delay": 3},
            "reason": "many of them",
        },
        {"name": "bugs", "when": {"if": "tries > 1", "class": "bug"}, "do": "fail", "reason": "enough"},
        {
            "name": "thrice",
            "when": {"class": "missing_file"},
            "do": "here",
            "times": 3,
            "reason": "it may come",
        },
    ],
}
numbers = itertools.count()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run a program whose tasks fail as told; where its log is."""
    made = []

    def run(stories, *labels, **arguments):
        directory = tmp_path_factory.mktemp("run")
        program = Program(directory, *labels, move="any", **arguments)
        made.append(program)
        live = program.session.live
        chosen = program.session.settings
        live.say(RunStarted(retries=program.retries, settings=chosen.shown()))
        for story in stories:
            program.run([ERRORS[kind](number) for number, kind in enumerate(story)])
        return Found(program.run_id, open_fabric(program.url), 0.0)

    yield run
    for each in made:
        each.memoizer.close()


stories = st.lists(st.lists(st.sampled_from(sorted(ERRORS)), max_size=8), min_size=1, max_size=6)


@given(stories, st.sampled_from([None, OWN]), st.sampled_from([("alder",), ("alder", "birch")]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_policy_of_a_run_decides_the_same_from_its_log(runs, told, policy, labels):
    found = runs(told, *labels, policy=policy)
    own = Policy.of(policy).over(built_in()) if policy else built_in()
    report = simulate(own, found)
    assert report.differences == []
    decided = [
        event
        for event in open_fabric(found.fabric.url).consumer("count").poll()
        if isinstance(event, DecisionMade)
    ]
    assert sum(each.failed for each in report.classes.values()) == len([e for e in decided if e.tries])
    assert simulate(own, found) == report


def test_tries_that_a_stricter_policy_saves_are_counted_with_their_class(runs):
    found = runs([["bug"] * 9, ["memory"] * 2], "alder", "birch", retries=5)
    strict = Policy.parse("rules: [{name: strict, when: {class: bug}, do: fail, reason: because}]")
    report = simulate(strict, found)
    bug = report.classes["bug"]
    assert (bug.failed, bug.changed, bug.wasted, bug.saved, bug.lost) == (1, 1, 5, 5, 0)
    assert report.classes["memory"].changed == 0
    (difference,) = report.differences
    assert (difference.task, difference.try_id, difference.would.rule) == (0, 0, "strict")


def test_a_task_that_the_policy_would_have_lost_is_counted(runs):
    found = runs([["bug"]], "alder", retries=5)
    report = simulate(Policy.parse("rules: [{name: strict, do: fail, reason: because}]"), found)
    assert (report.classes["bug"].lost, report.classes["bug"].saved) == (1, 0)


def test_a_task_that_the_policy_would_have_tried_longer_is_counted(runs):
    found = runs([["memory"] * 9], "alder")
    report = simulate(Policy.parse("budgets: {memory: 50}"), found)
    assert (report.classes["memory"].prolonged, report.classes["memory"].changed) == (1, 1)


def test_a_policy_may_be_compared_with_another_one(runs):
    found = runs([["bug"] * 9], "alder", "birch", retries=5)
    strict = Policy.parse("rules: [{name: strict, when: {class: bug}, do: fail, reason: because}]")
    assert simulate(strict, found, strict).differences == []
    assert simulate(built_in(), found, strict).classes["bug"].prolonged == 1


# --- the commands ---


def written(tmp_path, text):
    path = tmp_path / "own.yaml"
    path.write_text(text)
    return path


def test_a_sound_policy_is_told_in_words(call, tmp_path):
    path = written(
        tmp_path,
        "budgets: {memory: 5}\nmax_tries: 20\n"
        "rules: [{name: big, when: {class: memory}, do: {try: other node, resize: {memory: x2}}, "
        "reason: it is small}]",
    )
    answer = call("policy", "check", str(path))
    assert answer.status == 0
    for words in (
        "own.yaml is sound",
        "memory 5",
        "20 tries",
        "built-in rules",
        "big",
        "avoid this node",
        "it is small",
    ):
        assert words in answer.words
    told = json.loads(call("policy", "check", str(path), "--json").out)
    assert (told["budgets"], told["max_tries"], told["rules"][0]["name"]) == ({"memory": 5}, 20, "big")


def test_what_is_wrong_is_told_with_its_line_and_a_remedy(call, tmp_path):
    path = written(tmp_path, "rules:\n- name: a\n  whn: {}\n  do: fail\n  reason: b")
    answer = call("policy", "check", path)
    assert answer.status == 2
    assert "own.yaml, line 3" in answer.err
    assert "Did you mean 'when'?" in answer.err


def test_the_built_in_policy_can_be_looked_at(call):
    answer = call("policy", "check", "default")
    assert answer.status == 0
    assert "second-opinion-move" in answer.words


def test_a_log_of_a_release_that_kept_less_is_said_not_guessed(call, log, tmp_path):
    path = written(tmp_path, "rules: [{name: own, do: fail, reason: because}]")
    answer = call("policy", "simulate", str(path), "--run", "last")
    assert answer.status == 0
    assert "cannot be made again" in answer.words
    report = json.loads(call("policy", "simulate", str(path), "--json").out)
    assert (report["differences"], report["untold"] > 0) == ([], True)


def test_a_simulation_is_told_in_words(call, tmp_path):
    url = f"file:{tmp_path / 'events'}"
    program = Program(tmp_path, "alder", "birch", retries=5, move="any")
    live = program.session.live
    try:
        program.run([KeyError(n) for n in range(9)])
        events = program.said()
    finally:
        program.memoizer.close()
    publisher = open_fabric(url).publisher("copy", immediate=True)
    for event in events:
        publisher.forward(event)
    publisher.close()
    path = written(tmp_path, "rules: [{name: strict, when: {class: bug}, do: fail, reason: because}]")
    answer = call("policy", "simulate", str(path), "--run", live.picture.run, "--fabric", url)
    assert answer.status == 0
    for words in ("what was decided", "saved", "bug", "fail (strict)", "move to birch"):
        assert words in answer.words


def test_random_policies_make_sense_of_random_runs(runs):
    chance = random.Random(3)
    found = runs([chance.choices(sorted(ERRORS), k=6) for _ in range(20)], "alder", "birch", retries=3)
    for text in (
        "max_tries: 2",
        "budgets: {bug: 0}",
        "inherit: false",
        "rules: [{name: h, do: hold, reason: r}]",
    ):
        totals = simulate(Policy.parse(text), found).classes.values()
        assert sum(each.saved for each in totals) <= sum(each.wasted for each in totals)
        assert all(each.changed <= each.failed for each in totals)
