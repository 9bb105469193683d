"""What a policy would have decided on a log: each failed try again, beside what was done about it.

What came of other decisions nobody knows. Certain is which tries would not have been made, because the policy
ends a task earlier, and likely that a task that succeeded somewhere would have succeeded there at once.
"""

from __future__ import annotations

import msgspec

from parsl_diaspora.events import DecisionMade, Event, RunStarted, TaskEnded, TryFailed
from parsl_diaspora.recovery.budgets import Budgets
from parsl_diaspora.recovery.decision import decide
from parsl_diaspora.recovery.language.policy import Policy
from parsl_diaspora.recovery.options import NO_OPTIONS
from parsl_diaspora.recovery.replay import sites_of, situation_again
from parsl_diaspora.recovery.situation import Situation
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import Picture, TaskState

ENDS = ("fail", "hold", "substitute")
MOST_KEPT = 100_000
_SETTINGS = ("retry_delay", "retry_delay_max", "quarantine_for", "retries", "max_tries", "sites")
_OBEYED = "own-handler-moves"  # the program's own handler has decided, and no policy goes over it


class Side(msgspec.Struct, kw_only=True, frozen=True):
    """One decision, shortly.

    Attributes:
        rule: that decided.
        action: as in `DecisionMade`.
        target: label of the executor for the next try.
        delay: seconds before it.
        memory: bytes that it needs.
        reason: in words.
    """

    rule: str
    action: str
    target: str | None = None
    delay: float = 0.0
    memory: int | None = None
    reason: str = ""

    @property
    def what(self) -> tuple[str, str | None, float, int | None]:
        """What is done, whichever rule says so."""
        return self.action, self.target, self.delay, self.memory


class Difference(msgspec.Struct, kw_only=True, frozen=True):
    """A failed try about which the policy decides otherwise.

    Attributes:
        task: Parsl's task id.
        try_id: number of the try.
        func: name of the app.
        failure_class: as diagnosed then.
        was: what was decided.
        would: what the policy decides.
    """

    task: int
    try_id: int
    func: str
    failure_class: str
    was: Side
    would: Side


class ClassTotals(msgspec.Struct, kw_only=True):
    """What the policy changes about one class of failures.

    Attributes:
        failed: tries that failed so and were decided upon again.
        changed: those about which the policy decides otherwise.
        wasted: tries that failed afterwards, for the same tasks, in the log.
        saved: those of them that would not have been made.
        seconds_saved: that those took, with the delays before them.
        lost: tasks that the policy ends and that came to a good end in the log.
        prolonged: tasks that the policy tries again where the log has their end.
    """

    failed: int = 0
    changed: int = 0
    wasted: int = 0
    saved: int = 0
    seconds_saved: float = 0.0
    lost: int = 0
    prolonged: int = 0


class _Fork(msgspec.Struct):
    """A task for which the policy goes another way: what comes after is no longer what it would have seen."""

    failure_class: str
    would: Side
    tries: int = 0
    seconds: float = 0.0

    @property
    def ends(self) -> bool:
        return self.would.action in ENDS


class Simulation:
    """Decides again, event by event.

    Args:
        policy: that decides.
        run: Parsl's run id.
        against: decides beside it; what was decided then by default.

    Attributes:
        classes: totals by failure class.
        differences: the first of them.
        untold: decisions of releases that kept too little to decide again.
    """

    def __init__(self, policy: Policy, run: str, against: Policy | None = None) -> None:
        self._policy = policy
        self._against = against
        self._settings = Settings()
        self._retries = 0
        self._picture = Picture(run, keep=MOST_KEPT)
        self._failed: dict[tuple[int, int], TryFailed] = {}
        self._forks: dict[int, _Fork] = {}
        self._newest: dict[int, str] = {}
        self.classes: dict[str, ClassTotals] = {}
        self.differences: list[Difference] = []
        self.untold = 0

    def take(self, event: Event) -> None:
        """Take the next event of the log."""
        if event.run != self._picture.run:
            return
        if isinstance(event, RunStarted):
            self._begin(event)
        elif isinstance(event, TryFailed):
            self._try_failed(event)
        elif isinstance(event, DecisionMade) and event.tries and not event.revises:
            self._decide(event)
        elif isinstance(event, TaskEnded):
            self._task_ended(event)
        self._picture.fold(event)

    def _begin(self, event: RunStarted) -> None:
        values = {name: event.settings[name] for name in _SETTINGS if name in event.settings}
        self._settings, self._retries = Settings.from_dict(values, where="the log"), event.retries

    def _try_failed(self, event: TryFailed) -> None:
        number = event.task if event.task is not None else -1
        self._failed[number, event.try_id or 0] = event
        if (fork := self._forks.get(number)) is not None:
            fork.tries += 1
            fork.seconds += event.seconds or 0.0
        if (kind := self._newest.get(number)) is not None:
            self._of(kind).wasted += 1

    def _decide(self, event: DecisionMade) -> None:
        number = event.task if event.task is not None else -1
        failed = self._failed.pop((number, event.try_id or 0), None)
        if failed is None or event.rule == _OBEYED:
            return
        kind = event.diagnosis.failure_class
        self._newest[number] = kind
        if number in self._forks:
            self._forks[number].seconds += event.delay
            return
        if not event.known:
            self.untold += 1
            return
        self._of(kind).failed += 1
        task = self._picture.tasks.get(number) or TaskState()
        site = sites_of(self._settings.sites, failed.executor or "")
        where = situation_again(failed, event, task, self._picture, site)
        would = self._side(self._policy, where, task)
        was = _side(event) if self._against is None else self._side(self._against, where, task)
        if would.what != was.what:
            self._differ(event, failed, where.func, was, would)

    def _differ(self, event: DecisionMade, failed: TryFailed, func: str, was: Side, would: Side) -> None:
        kind, number = event.diagnosis.failure_class, failed.task if failed.task is not None else -1
        self._of(kind).changed += 1
        if len(self.differences) < MOST_KEPT:
            self.differences.append(
                Difference(
                    task=number,
                    try_id=failed.try_id or 0,
                    func=func,
                    failure_class=kind,
                    was=was,
                    would=would,
                )
            )
        self._forks[number] = _Fork(kind, would, seconds=max(0.0, was.delay - would.delay))
        if was.action in ENDS and would.action not in ENDS:
            self._of(kind).prolonged += 1

    def _task_ended(self, event: TaskEnded) -> None:
        number = event.task if event.task is not None else -1
        self._newest.pop(number, None)
        if (fork := self._forks.pop(number, None)) is None:
            return
        totals, done = self._of(fork.failure_class), event.outcome == "done"
        last = self._picture.last_try(number)
        if fork.ends and done and fork.would.action != "hold":  # somebody would have released it
            totals.lost += 1
        if fork.ends or (done and last is not None and last.executor == fork.would.target):
            totals.saved += fork.tries
            totals.seconds_saved += fork.seconds

    def _of(self, kind: str) -> ClassTotals:
        return self.classes.setdefault(kind, ClassTotals())

    def _side(self, policy: Policy, where: Situation, task: TaskState) -> Side:
        return _side(decide(self._with_budget(policy, where, task), self._settings, policy=policy))

    def _with_budget(self, policy: Policy, where: Situation, task: TaskState) -> Situation:
        """The situation with the policy's own budgets; with those of the log where it names none."""
        total = policy.max_tries or where.max_tries
        if not policy.budgets:
            return msgspec.structs.replace(where, max_tries=total)
        accounts = Budgets(self._settings, self._retries, policy)
        name = accounts.name(where.diagnosis.failure_class)
        if name not in policy.budgets:
            return msgspec.structs.replace(where, max_tries=total)
        earlier = [each.failure_class for each in task.tries[task.forgiven :] if each.failure_class]
        used = 1 + sum(accounts.name(kind) == name for kind in earlier)
        limit = accounts.limit(where.diagnosis.failure_class, NO_OPTIONS)
        return msgspec.structs.replace(where, max_tries=total, budget=name, used=used, limit=limit)


def _side(event: DecisionMade) -> Side:
    return Side(
        rule=event.rule,
        action=event.action,
        target=event.target,
        delay=round(event.delay, 6),
        memory=event.memory,
        reason=event.reason,
    )
