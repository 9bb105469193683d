"""A policy from a file on a real pool: what it says is what happens."""

from __future__ import annotations

import time
from pathlib import Path

from parsl_diaspora.cli.find import Found
from parsl_diaspora.cli.policy import simulate
from parsl_diaspora.events import DecisionMade, TaskEnded
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
    read = apps.reader(late)
    picked, counted, waited = apps.picky(block), apps.checkpointed(note), apps.patient(moment)
    optional = apps.after(apps.optional())
    write_once_it_is_waited_for(program, late)

    first, second = picked.result(timeout=100)
    assert first != second
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
