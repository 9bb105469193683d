"""What must hold after a campaign, whatever happened to it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from parsl_diaspora.events import DecisionMade, Event, EventsLost, TaskEnded, TaskSubmitted, TryFailed
from tests.soak.driver import Campaign

GROWTH = 24  # MB that the program may grow by from 40-60 % to 80-100 % of the campaign
MORE_OBJECTS = 4_000  # objects of this package's classes that there may be more in the end than in the middle
INFRASTRUCTURE = {"worker_lost", "manager_lost", "node_lost", "interchange_lost", "block_lost", "network"}


def check_program(campaign: Campaign) -> None:
    """Every task has ended, each as it must, and nothing is left of the program."""
    outcomes = campaign.outcomes()
    wrong = {number: said for number, said in outcomes.items() if said != "ok"}
    assert not wrong, f"{len(wrong)} of {campaign.tasks} tasks: {dict(list(wrong.items())[:5])}"
    assert sorted(outcomes) == list(range(campaign.tasks))
    assert campaign.left == []
    end = campaign.end()
    assert end["threads"] == [], "threads of this package outlive the program's run"
    assert end["after"] <= end["before"] + 10, f"descriptors: {end['before']} before, {end['after']} after"


def check_memory(campaign: Campaign) -> None:
    """Memory is flat."""
    assert campaign.growth() < GROWTH, (
        f"the program has grown by {campaign.growth()} MB: {campaign.memory[::40]}"
    )
    middle, last = (Counter(held) for held in campaign.end()["held"])
    more = last - middle
    assert more.total() < MORE_OBJECTS, f"more objects than in the middle: {more.most_common(8)}"


def check_log(campaign: Campaign, events: list[Event]) -> None:
    """The log tells each task's one end, and explains each failed try."""
    ends = [event for event in events if isinstance(event, TaskEnded)]
    ended = Counter(event.task for event in ends)
    assert not [task for task, times in ended.items() if times > 1], "a task's result was accepted twice"
    assert len(ended) >= campaign.tasks
    submitted = {event.task for event in events if isinstance(event, TaskSubmitted)}
    never_ran = {event.task for event in ends if event.outcome == "dependency_failed"}
    assert submitted | never_ran == set(ended)
    failed = {event.id for event in events if isinstance(event, TryFailed)}
    decisions = [event for event in events if isinstance(event, DecisionMade)]
    causes = Counter(cause for event in decisions if not event.revises for cause in event.cause)
    assert failed == set(causes), f"{len(failed - set(causes))} failed tries have no decision"
    assert set(causes.values()) <= {1}
    assert all(event.rule and event.reason and event.diagnosis.failure_class for event in decisions)
    assert not _lost(events)


def check_explained(text: str, events: Iterable[Event], task: int) -> None:
    """What ``explain`` prints of a task names each of its decisions: rule and reason."""
    said = re.sub(r"\s+", " ", text)
    for event in events:
        if isinstance(event, DecisionMade) and event.task == task and not event.revises:
            assert event.rule in said, (event.rule, text)
            assert event.reason in said, (event.reason, text)


def _lost(events: Iterable[Event]) -> list[EventsLost]:
    return [event for event in events if isinstance(event, EventsLost)]


def table(campaign: Campaign, events: list[Event]) -> str:
    """What happened, in lines."""
    decisions = Counter(
        event.diagnosis.failure_class
        for event in events
        if isinstance(event, DecisionMade) and not event.revises
    )
    failed = sum(isinstance(event, TryFailed) for event in events)
    rows = {
        "seed": campaign.seed,
        "tasks": campaign.tasks,
        "kills": f"{campaign.kills.total()}: {_counts(campaign.kills)}",
        "failed tries": f"{failed}: {_counts(decisions)}",
        "events": len(events),
        "MB of the program": f"{campaign.memory[len(campaign.memory) // 4][1]} after a quarter, "
        f"{campaign.memory[-1][1]} in the end",
        "seconds": round(campaign.seconds),
    }
    return "\n".join(f"  {name:18} {value}" for name, value in rows.items())


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in counts.most_common())
