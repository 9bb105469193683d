"""What a run's tries teach about places, and what is asked of that when a try has failed.

All of it happens in Parsl's own threads: it reads memory, and answers at once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import DecisionMade, Event, Lesson
from parsl_diaspora.executors.launch import Report
from parsl_diaspora.failures import is_infrastructure
from parsl_diaspora.monitoring.kernel import Record
from parsl_diaspora.monitoring.placing.apps import Apps
from parsl_diaspora.recovery.placement import PROOFS, weight_of
from parsl_diaspora.state.offers import Offers
from parsl_diaspora.state.picture import OWN_PACKAGE
from parsl_diaspora.state.places import EXECUTOR, NODE, PROOF_HOLDS, Belief, Places

BY_CHANCE = 1e-4  # what happens more rarely in as many tries does not happen by chance
MEMORY, MISSING_MODULE = "memory", "missing_module"
MODULE = "module "


class Learning:
    """What is believed of places, and how tries change it.

    Args:
        clock: time.

    Attributes:
        places: what is believed, from this run and from others.
        offers: what the executors' managers have to offer.
        teach: called with each lesson that this run learns.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._apps = Apps()
        self.places = Places()
        self.offers = Offers()
        self.teach: Callable[[Lesson], None] = _keep_to_itself

    def hear(self, event: Event) -> None:
        """Take note of what managers have to offer."""
        self.offers.fold(event)

    def chance(self, function: Any, label: str) -> float:
        """Estimated share of an app's tries that succeed at an executor, 0 to 1."""
        return self._belief(self.identity(function), label).chance(self._clock.time())

    def proof(self, function: Any, fingerprint: str) -> str:
        """How it was proven before that a failure is the app's own, in words; empty if it was not.

        Of an app that ever succeeded nothing is said: whether it fails may depend on its inputs.
        """
        func = self.identity(function)
        when, now = self.places.hopeless(func, fingerprint), self._clock.time()
        if not when or now - when > PROOF_HOLDS or self.places.is_known(func):
            return ""
        return (
            f"the same failure was proven to be the app's own {now - when:.0f} s ago, and it never succeeded"
        )

    def is_by_chance(self, function: Any, times: int) -> bool:
        """Whether so many failures in a row may come about by chance, as often as the app's tries fail.

        An app that never succeeded does not fail by chance.
        """
        share = self.places.share_failed(self.identity(function))
        return share is not None and share**times > BY_CHANCE

    def identity(self, function: Any) -> str:
        """What tells a task's function from others, in this program and the next one."""
        return function if isinstance(function, str) else self._apps.identity(function)

    def succeeded(self, task: Record, report: Report | None, refuted: tuple[str, ...] = ()) -> None:
        """A try of the task ended with a result.

        Args:
            task: of which it was.
            report: what the worker told of it.
            refuted: fingerprints of the task's earlier failures.
        """
        func, label = self.identity(task["func"]), task["executor"]
        memory = (report.memory or 0) if report is not None else 0
        self._learn(self._lesson(func, label, report, good=1.0, tries=1, memory=memory))
        if report is not None and report.node in self.places.bad_nodes(func):
            self._learn(Lesson(func=func, place=f"{NODE}{report.node}", good=1.0, tries=1))
        for fingerprint in refuted:
            if self.places.hopeless(func, fingerprint):
                self._learn(Lesson(func=func, hopeless=fingerprint, refuted=True))

    def failed(
        self,
        task: Record,
        decision: DecisionMade,
        fingerprint: str = "",
        revises: DecisionMade | None = None,
    ) -> None:
        """A try of the task has failed, and it was decided what to do.

        Args:
            task: of which it was, before it is moved anywhere.
            decision: with the diagnosis, and where the try was.
            fingerprint: of the failure.
            revises: the decision upon the same failure that it replaces: the try counts once, and against its
                place only what that one did not say yet.
        """
        func, diagnosis = self.identity(task["func"]), decision.diagnosis
        kind = diagnosis.failure_class
        if diagnosis.destined and fingerprint:
            self._learn(Lesson(func=func, hopeless=fingerprint))
        weight = _weight_of(decision)
        if not weight or diagnosis.missing == OWN_PACKAGE:
            return
        said = _weight_of(revises) if revises is not None else 0.0
        bad, tries = max(0.0, weight - said), int(not said)
        label = decision.executor or task["executor"]
        offer = self.offers.of_manager(label, decision.manager or "")
        lack, memory = _lack(decision), offer.memory if kind == MEMORY else 0
        everywhere = "" if self.offers.is_mixed(label) else lack  # else it is this node's, not the executor's
        lesson = self._lesson(func, label, decision, bad=bad, tries=tries, lack=everywhere, memory=memory)
        self._learn(lesson)
        if lack and decision.node:
            self._learn(Lesson(func=func, place=f"{NODE}{decision.node}", bad=bad, tries=tries, lack=lack))

    def now(self) -> float:
        """Seconds UTC."""
        return self._clock.time()

    def forget(self) -> None:
        """Forget all that is believed of places."""
        self.places = Places()

    def _lesson(self, func: str, label: str, where: Any, **more: Any) -> Lesson:
        """About an executor, in the environment of the manager where it happened."""
        manager = getattr(where, "manager", None) or ""
        environment = self.offers.of_manager(label, manager).environment or self.offers.of(label).environment
        return Lesson(func=func, place=f"{EXECUTOR}{label}", environment=environment, **more)

    def _learn(self, lesson: Lesson) -> None:
        self.places.learn(lesson, self._clock.time())
        self.teach(lesson)

    def _belief(self, func: str, label: str) -> Belief:
        return self.places.of(func, f"{EXECUTOR}{label}", self.offers.of(label).environment)


def _weight_of(decision: DecisionMade) -> float:
    kind = decision.diagnosis.failure_class
    return weight_of(kind, infrastructure=is_infrastructure(kind))


def _lack(decision: DecisionMade) -> str:
    """What a failure proves its place to lack, in words."""
    kind, missing = decision.diagnosis.failure_class, decision.diagnosis.missing
    if kind not in PROOFS:
        return ""
    if kind == MISSING_MODULE:
        return f"{MODULE}{missing!r}" if missing.replace(".", "_").isidentifier() else ""  # no name, no proof
    return kind


def _keep_to_itself(lesson: Lesson) -> None:
    """Where nobody else is told."""
