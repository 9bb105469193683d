"""The story of one task, as data: printed as JSON, or told by `parsl_diaspora.cli.story_text`.

All times in it are seconds after the task was submitted; ``submitted`` itself is seconds since the epoch.
"""

from __future__ import annotations

from typing import Any

import msgspec

from parsl_diaspora.cli.state_story import StateStory
from parsl_diaspora.events import Diagnosis, Failure


class Decline(msgspec.Struct, kw_only=True):
    """A worker handed a try back before it began, because the try should avoid that place.

    Attributes:
        at: when.
        place: where.
        count: how often the try had been handed back by then.
    """

    at: float
    place: dict[str, Any]
    count: int


class Choice(msgspec.Struct, kw_only=True):
    """What was decided, why, and what else was looked at.

    Attributes:
        at: when.
        words: the action in words.
        action: ``retry``, ``avoid``, ``move`` or ``fail``.
        target: label of the executor that the next try goes to, if it is another one.
        avoid: managers that the next try declines.
        delay: seconds before the next try.
        rule: name of the rule that matched.
        reason: its reason.
        budget: name of the budget that was charged.
        used: what it has spent, this failure included.
        limit: what it allows.
        tries: tries so far.
        max_tries: the hard total.
        alternatives: rules that were looked at first, and why each did not match.
        diagnosis: why the try failed; for a first try that was moved, what is known of the place.
    """

    at: float = 0.0
    words: str = ""
    action: str
    target: str | None
    avoid: tuple[str, ...]
    delay: float
    rule: str
    reason: str
    budget: str
    used: int
    limit: int
    tries: int
    max_tries: int
    alternatives: tuple[str, ...]
    diagnosis: Diagnosis


class Nearby(msgspec.Struct, kw_only=True):
    """Something else that happened at the place of a failed try at about that time.

    Attributes:
        at: when.
        kind: kind of the event.
        words: what happened.
    """

    at: float
    kind: str
    words: str


class Passage(msgspec.Struct, kw_only=True):
    """A try got a second copy at another executor of its pool, or was taken there.

    Attributes:
        at: when.
        to: label of that executor.
        moved: it was taken there, and went on only there.
        reason: in words.
    """

    at: float
    to: str
    moved: bool
    reason: str


class TryStory(msgspec.Struct, kw_only=True):
    """One try.

    Attributes:
        number: of the try, from 0, as in Parsl's log.
        status: ``launched``, ``running``, ``succeeded``, ``failed`` or ``stopped``.
        launched: when it was handed to its executor; None if the log does not have it.
        started: when a worker began it; None if no worker told.
        ended: when its end was known.
        seconds: wall time on the worker; None if the worker did not live to tell, or is of a kind that
            does not.
        place: where, as far as it is known: executor, node, block, manager, worker, pid.
        avoid: managers that it declines.
        declined: places that handed it back.
        failure: the exception, as evidence.
        diagnosis: why it failed.
        decision: what was decided then.
        nearby: what else happened there.
        stopped: how it was stopped: ``signal``, ``kill``, or ``end`` if it ran on to its own end.
        compacted: a compaction dropped its details, as it was the only try and succeeded.
        placed: why it was given to that executor of its pool, in words; empty where there was no choice.
        copies: executors of a pool that had it, where they were more than one.
        passages: how it came to the further ones.
        state: what became of its states.
    """

    number: int
    status: str = "launched"
    launched: float | None = None
    started: float | None = None
    ended: float | None = None
    seconds: float | None = None
    place: dict[str, Any] = {}
    avoid: tuple[str, ...] = ()
    declined: list[Decline] = []
    failure: Failure | None = None
    diagnosis: Diagnosis | None = None
    decision: Choice | None = None
    nearby: list[Nearby] = []
    stopped: str = ""
    compacted: bool = False
    placed: str = ""
    copies: tuple[str, ...] = ()
    passages: list[Passage] = []
    state: StateStory = msgspec.field(default_factory=StateStory)


class Cancel(msgspec.Struct, kw_only=True):
    """Somebody asked that the task be stopped.

    Attributes:
        at: when.
        owner: who asked.
        reason: what they said.
        done: what was done about it, in words; empty if the log does not have it.
    """

    at: float
    owner: str
    reason: str
    done: str = ""


class HoldStory(msgspec.Struct, kw_only=True):
    """The task was held.

    Attributes:
        at: when.
        number: of the reason.
        reason: in words.
        suggestion: what may be done about it.
        owner: who held it.
        released: when it was released; None if it was not.
        how: ``release``, ``retry`` or ``fail``.
        released_by: who released it.
    """

    at: float = 0.0
    number: int
    reason: str
    suggestion: str
    owner: str
    released: float | None = None
    how: str = ""
    released_by: str = ""


class TaskStory(msgspec.Struct, kw_only=True):
    """One task.

    Attributes:
        run: Parsl's run id.
        program: the script's file name.
        run_state: whether the run has ended, as `parsl_diaspora.cli.summary` says it.
        task: Parsl's task id.
        func: name of the app; empty for a task that never ran.
        submitted: when its first try was handed to an executor, or else its first event, seconds UTC.
        routing: the decision that sent its first try elsewhere, if there was one.
        cancel: that somebody asked for its end, if so.
        holds: when and why it was held.
        tries: its tries, in order.
        outcome: ``done``, ``failed``, ``dependency_failed``, ``memoized``, ``substituted``
            or ``cancelled``; empty while it has no end.
        error: class and text of the exception that the program sees.
        root: for ``dependency_failed``, the task where the trouble began, if the error names it.
        ended: when it ended.
        worker_seconds: wall time on workers, over all tries that told.
    """

    run: str
    program: str = ""
    run_state: str = ""
    task: int
    func: str = ""
    submitted: float = 0.0
    routing: Choice | None = None
    cancel: Cancel | None = None
    holds: list[HoldStory] = []
    tries: list[TryStory] = []
    outcome: str = ""
    error: str = ""
    root: int | None = None
    ended: float | None = None
    worker_seconds: float = 0.0
