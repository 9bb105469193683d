"""How two runs of a suite are compared."""

from __future__ import annotations

import json
from pathlib import Path

from tests.parsl_suite.campaigns import CONFIGS
from tests.parsl_suite.comparison import Comparison
from tests.parsl_suite.outcomes import Difference, Run, differences
from tests.parsl_suite.promised import PROMISED

ROOT = Path(__file__).parents[2]


def phases(test, *outcomes):
    return [
        {"test": test, "phase": phase, "outcome": outcome, "seconds": 0.5, "text": f"{phase} of {test}"}
        for phase, outcome in zip(("setup", "call", "teardown"), outcomes, strict=False)
    ]


def run_of(tmp_path, *lines):
    record = tmp_path / "record.jsonl"
    record.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return Run.read(record)


def test_a_test_has_passed_only_if_each_of_its_phases_has(tmp_path):
    run = run_of(
        tmp_path,
        *phases("good", "passed", "passed", "passed"),
        *phases("bad", "passed", "failed", "passed"),
        *phases("not set up", "failed", "passed"),
        *phases("leaves a mess", "passed", "passed", "failed"),
        *phases("left out", "skipped", "passed"),
    )
    assert run.outcomes == {
        "good": "passed",
        "bad": "failed",
        "not set up": "error",
        "leaves a mess": "error",
        "left out": "skipped",
    }
    assert run.texts == {
        "bad": "call of bad",
        "not set up": "setup of not set up",
        "leaves a mess": "teardown of leaves a mess",
    }
    assert run.seconds == 6.5


def test_a_test_that_was_not_run_at_all_is_a_difference(tmp_path):
    whole = run_of(tmp_path, *phases("one", "passed", "passed"), *phases("two", "passed", "failed"))
    part = run_of(tmp_path, *phases("one", "passed", "passed"))
    assert differences(whole, whole) == []
    assert differences(whole, part) == [Difference("two", "failed", "not run", "call of two")]


def test_a_test_that_was_cut_off_in_its_midst_has_not_passed(tmp_path):
    run = run_of(tmp_path, *phases("endless", "passed"))
    assert run.outcomes == {"endless": "unfinished"}


def test_the_table_shows_both_runs_and_what_a_module_has_left_more_of(tmp_path):
    left = {"threads": ["timer 1"], "processes": [], "fds": 2}
    none = {"threads": [], "processes": [], "fds": 0}
    stock = run_of(tmp_path, *phases("one", "passed", "passed", "passed"), {"module": "m", "left": none})
    ours = run_of(tmp_path, *phases("one", "passed", "failed", "passed"), {"module": "m", "left": left})
    comparison = Comparison("local", stock, ours, differences(stock, ours), [])
    table = Comparison.table([comparison])
    assert "| local | stock | 1 | 0 | 0 | 0 | 0 | 2 |  |  |  | 0 |" in table
    assert "|  | resilient | 0 | 1 | 0 | 0 | 0 | 2 | 0 | 0 | 1 | 0 |" in table
    assert "differs: one: passed -> failed\ncall of one" in comparison.details()
    assert "left by m: nothing -> threads ['timer 1'], fds 2" in comparison.details()


def test_what_is_promised_to_differ_is_documented_for_people():
    text = (ROOT / "docs" / "parsl_tests.md").read_text()
    for test in PROMISED:
        assert test.partition("::")[0].rpartition("/")[2] in text
    for name in CONFIGS:
        assert f"| `{name}` |" in text
