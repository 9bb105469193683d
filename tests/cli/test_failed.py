"""What made tasks fail, root causes first, like with like."""

from __future__ import annotations

from parsl_diaspora.cli.failed import causes_of
from parsl_diaspora.events import DecisionMade, Diagnosis, TaskEnded, TaskSubmitted, TryFailed

RUN = "run"


def task(number, func, error="", *, outcome="failed", root=None, kind="bug", rule="proven-hopeless"):
    events = []
    if outcome == "failed":
        diagnosis = Diagnosis(failure_class=kind, evidence=(f"{kind} it is",))
        events = [
            TaskSubmitted(task=number, try_id=0, executor="alder", func=func),
            TryFailed(task=number, try_id=0, executor="alder", node="n1"),
            DecisionMade(
                task=number, try_id=0, diagnosis=diagnosis, rule=rule, reason="so", action="fail", tries=1
            ),
        ]
    events.append(TaskEnded(task=number, outcome=outcome, error=error, func=func, root=root))
    for event in events:
        event.run = RUN
    return events


LOG = [
    *task(1, "load", "ValueError: bad header"),
    *task(2, "simulate", "KeyError: 'x'"),
    *task(3, "simulate", "KeyError: 'y'"),
    *task(4, "merge", "DependencyFailed: Task 4 never ran", outcome="dependency_failed", root=2),
    *task(5, "plot", "DependencyFailed: Task 5 never ran", outcome="dependency_failed", root=2),
    *task(6, "other", outcome="done"),
    *task(7, "late", "DependencyFailed: x", outcome="dependency_failed", root=99),
]


def test_tasks_that_failed_alike_are_one_cause_with_all_that_it_cost():
    causes = causes_of(LOG, RUN)
    first = causes[0]
    assert (first.func, first.tasks, first.dependents) == ("simulate", [2, 3], [4, 5])
    assert first.error == "KeyError: 'x'"
    assert (first.failure_class, first.rule, first.places) == ("bug", "proven-hopeless", {"alder/n1": 2})
    assert [cause.func for cause in causes[1:]] == ["load", "late"]


def test_the_same_exception_for_another_reason_is_another_cause():
    log = [*task(1, "f", "OSError: x", kind="disk_full"), *task(2, "f", "OSError: x", kind="permission")]
    assert [cause.failure_class for cause in causes_of(log, RUN)] == ["disk_full", "permission"]


def test_other_runs_do_not_count():
    assert causes_of(LOG, "another") == []
