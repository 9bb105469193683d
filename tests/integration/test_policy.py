"""A policy from a file on a real pool: what it says is what happens."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from parsl_diaspora.cli.find import Found
from parsl_diaspora.cli.policy import simulate
from parsl_diaspora.events import DecisionMade, DiagnosisRevised, PlaceQuarantined, TaskEnded, TryStarted
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.recovery import Policy, built_in
from tests.integration import policy_apps as apps

POLICY = """
rules:
  - name: picky
    when: {func: picky, exception: RuntimeError}
    do: other block
    reason: "block of {manager} will not do"
  - name: checkpointed
    when: {exit_code: 85}
    do: here
    times: 5
    reason: it has written a checkpoint
  - name: not-there-yet
    when: {func: reader, exception: FileNotFoundError}
    do: {wait: {for: "file:{file}", at_most: 60, then: fail}}
    reason: "{file} is on its way"
  - name: optional
    when: {func: optional}
    do: {substitute: nothing}
    reason: nobody needs it
"""

SECOND_POLICY = """
rules:
  - name: sick
    when: {func: sick, exception: RuntimeError}
    do: {try: other manager, quarantine: {manager: 600}}
    reason: "{manager} is sick"
  - name: urgent
    when: {func: urgent}
    do: {try: here, priority: -10, delay: 0}
    reason: it is urgent
  - name: told
    when: {class: gpu, func: odd}
    do: {substitute: told}
    reason: the site's own diagnoser has told why
  - name: odd
    when: {func: odd}
    do: {try: here, delay: 30}
    reason: nobody knows yet
"""


def wait_for_both_blocks():
    seen, end = set(), time.monotonic() + 60
    while len(seen) < 2 and time.monotonic() < end:
        seen |= {future.result(timeout=60) for future in [apps.block(), apps.block()]}
    assert seen == {"0", "1"}


def write_once_it_is_waited_for(program, path):
    parked = program.kernel.memoizer.session.parked
    end = time.monotonic() + 60
    while not any(entry.state == "waiting" for entry in parked) and time.monotonic() < end:
        time.sleep(0.05)
    Path(path).write_text("here it is")


def test_a_policy_is_what_happens_and_its_log_decides_the_same_again(program, tmp_path, check_story):
    path = tmp_path / "policy.yaml"
    path.write_text(POLICY)
    program.load(program.pool("alder", blocks=2, workers=1), policy=str(path))
    wait_for_both_blocks()
    block, note, moment, late = (str(tmp_path / name) for name in ("block", "count", "time", "late"))
    first, second = apps.picky(block).result(timeout=100)  # alone: the other block must have room
    assert first != second
    read = apps.reader(late)
    counted, waited = apps.checkpointed(note), apps.patient(moment)
    optional = apps.after(apps.optional())
    write_once_it_is_waited_for(program, late)

    assert counted.result(timeout=60) == 0
    assert waited.result(timeout=60) >= 1.5
    assert read.result(timeout=60) == "here it is"
    assert optional.result(timeout=60) == "after nothing"

    events = program.events()
    check_story(events)
    rules = [event.rule for event in events if isinstance(event, DecisionMade)]
    assert {name: rules.count(name) for name in set(rules)} == {
        "picky": 1,
        "checkpointed": 2,
        "not-there-yet": 1,
        "asked-to-wait": 1,
        "optional": 1,
    }
    assert {event.outcome for event in events if isinstance(event, TaskEnded)} == {"done", "substituted"}

    own = Policy.load(path).over(built_in())
    report = simulate(own, Found(events[0].run, open_fabric(program.url), 0.0))
    assert report.differences == []
    assert sum(each.failed for each in report.classes.values()) == len(rules)


@pytest.mark.slow
def test_a_rule_lets_a_manager_rest_gives_precedence_and_takes_the_sites_own_diagnosis(
    program, tmp_path, check_story
):
    path = tmp_path / "policy.yaml"
    path.write_text(SECOND_POLICY)
    diagnoser = "tests.integration.policy_apps:diagnose"
    program.load(program.pool("alder", blocks=2, workers=1), policy=str(path), diagnoser=diagnoser)
    wait_for_both_blocks()

    well = apps.sick(str(tmp_path / "sick")).result(timeout=60)
    assert [apps.sick(str(tmp_path / "sick")).result(timeout=60) for _ in range(5)] == [well] * 5
    urgent = apps.urgent(str(tmp_path / "urgent"))
    queued = [apps.block() for _ in range(30)]
    began = time.monotonic()
    assert apps.odd().result(timeout=60) == "told"
    assert time.monotonic() - began < 30
    assert {future.result(timeout=60) for future in [urgent, *queued]} == {None, well}

    events = program.events()
    check_story(events)
    (rest,) = [event for event in events if isinstance(event, PlaceQuarantined)]
    assert rest.manager
    (revised,) = [event for event in events if isinstance(event, DiagnosisRevised)]
    assert (revised.diagnosis.failure_class, revised.task) == ("gpu", queued[-1].tid + 1)
    started = [event.task for event in events if isinstance(event, TryStarted) and event.try_id <= 1]
    second = [at for at, task in enumerate(started) if task == urgent.tid][1]
    assert second < started.index(queued[-1].tid), "it waited behind all that were queued before it"
