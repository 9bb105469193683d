"""Runs as their events tell them: what the submit side says, and what the workers say."""

from __future__ import annotations

from hypothesis import strategies as st

from parsl_diaspora.events import (
    DecisionMade,
    Diagnosis,
    Event,
    Failure,
    ManagerLost,
    ManagerSeen,
    TaskEnded,
    TaskSubmitted,
    TryEnded,
    TryFailed,
    TryLaunched,
    TryStarted,
    TryStopped,
)

RUN = "run"
LAST = ["ended", "failed", "lost", "runs on", "waits", "cancelled before it began", "cancelled"]
LAST += ["cancelled and stopped"]
MANAGERS = {"m1": ("alder", "0", "n1"), "m2": ("alder", "1", "n2"), "m3": ("birch", "0", "n1")}


class Story:
    """Two streams of events in the order in which they happened."""

    def __init__(self) -> None:
        self.submit: list[Event] = []
        self.workers: dict[str, list[Event]] = {}
        self._time = 100.0

    def say(self, event: Event) -> None:
        self.submit.append(self._stamped(event))

    def start(self, manager: str, task: int, try_id: int) -> None:
        executor, block, node = MANAGERS[manager]
        place = {"executor": executor, "block": block, "manager": manager, "node": node, "worker": 0}
        event = TryStarted(task=task, try_id=try_id, pid=1000 + task, **place)
        self.workers.setdefault(manager, []).append(self._stamped(event))

    def stop(self, manager: str, task: int, try_id: int) -> None:
        event = TryStopped(task=task, try_id=try_id, how="kill", worker=0, **where(manager))
        self.workers.setdefault(f"node of {manager}", []).append(self._stamped(event))

    def _stamped(self, event: Event) -> Event:
        self._time += 1.0
        event.run, event.time = RUN, self._time
        return event


def where(manager: str | None) -> dict[str, str]:
    if manager is None:
        return {}
    executor, block, node = MANAGERS[manager]
    return {"executor": executor, "block": block, "manager": manager, "node": node}


@st.composite
def stories(draw) -> Story:
    """Tasks with tries that succeed, fail, are lost with or without a trace, or still run."""
    story = Story()
    for name in MANAGERS:
        story.say(ManagerSeen(workers=2, **where(name)))
    for task in range(draw(st.integers(1, 4))):
        _tell_task(story, draw, task)
    for name in draw(st.sets(st.sampled_from(sorted(MANAGERS)))):
        story.say(ManagerLost(reason="gone", held=1, **where(name)))
    return story


def _tell_task(story: Story, draw, task: int) -> None:
    tries = draw(st.integers(1, 3))
    for try_id in range(tries):
        manager = draw(st.sampled_from(sorted(MANAGERS)))
        executor = MANAGERS[manager][0]
        launched = {"task": task, "try_id": try_id, "executor": executor}
        story.say(
            TaskSubmitted(func=f"app{task % 2}", **launched) if try_id == 0 else TryLaunched(**launched)
        )
        fate = draw(st.sampled_from(["failed", "lost", "lost before it began"]))
        if try_id == tries - 1:
            fate = draw(st.sampled_from(LAST))
        if fate not in ("waits", "lost before it began", "cancelled before it began"):
            story.start(manager, task, try_id)
        if fate in ("runs on", "waits"):
            return
        if fate.startswith("cancelled"):
            story.say(TaskEnded(task=task, outcome="cancelled", tries=try_id + 1))
            if fate == "cancelled and stopped":
                story.stop(manager, task, try_id)
            return
        told = where(manager) if fate in ("failed", "ended") else {}
        if fate == "ended":
            story.say(TryEnded(seconds=1.0, **{**launched, **told}))
            story.say(TaskEnded(task=task, outcome="done", tries=try_id + 1))
            return
        kind = draw(st.sampled_from(["application", "missing_module"])) if fate == "failed" else "worker_lost"
        failure = Failure(chain=("x.Odd",), frame=f"study.py:app:{draw(st.integers(1, 2))}")
        story.say(TryFailed(failure=failure, **{**launched, **told}))
        diagnosis = Diagnosis(failure_class=kind, missing="strokes" if kind == "missing_module" else "")
        story.say(DecisionMade(diagnosis=diagnosis, budget=kind, used=1, tries=try_id + 1, **launched))
    story.say(TaskEnded(task=task, outcome="failed", tries=tries, error="x.Odd"))


def arrival(draw, story: Story) -> list[Event]:
    """One order in which both streams can arrive: each source in its own order, the sources in any."""
    waiting = [list(events) for events in (story.submit, *story.workers.values())]
    arrived = []
    while any(waiting):
        source = draw(st.sampled_from([events for events in waiting if events]))
        arrived.append(source.pop(0))
    return arrived
