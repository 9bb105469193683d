"""Where a task may go, where a new one goes, and what its tries teach about places.

All of it happens in Parsl's own threads: it reads memory, and answers at once.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import msgspec

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import DecisionMade, Diagnosis, Event, Lesson
from parsl_diaspora.executors.launch import Report
from parsl_diaspora.failures import CLASSES
from parsl_diaspora.monitoring.apps import INTERNAL, Apps, has_staged_files
from parsl_diaspora.monitoring.needs import Distributions
from parsl_diaspora.recovery.options import options_of
from parsl_diaspora.recovery.placement import PROOFS, Candidate, Choice, best_first, choose, weight_of
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import Live
from parsl_diaspora.state.offers import Offer, Offers
from parsl_diaspora.state.picture import OWN_PACKAGE
from parsl_diaspora.state.places import EXECUTOR as PLACE
from parsl_diaspora.state.places import NODE, PROOF_HOLDS, Belief, Places
from parsl_diaspora.state.resting import EXECUTOR

#: A Parsl task record.
Record = dict[str, Any]

EXPLORE_AFTER = 600.0  # seconds after which a place of poor repute is tried again by one task
BY_CHANCE = 1e-4  # what happens more rarely in as many tries does not happen by chance
MARGIN = 1.2  # times the memory that a function was seen to use
MEMORY = "memory"
MISSING_MODULE = "missing_module"


class Routing:
    """Knows the executors that each app may use, and chooses among them.

    Args:
        settings: the program's settings.
        clock: time.
        chance: source of draws.

    Attributes:
        places: what is believed of places, from this run and from others.
        offers: what the executors' managers have to offer.
        teach: called with each lesson that this run learns.
    """

    def __init__(self, settings: Settings, clock: Clock, chance: random.Random | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._chance = chance or random.Random()
        self._apps = Apps()
        self._distributions = Distributions()
        self._explored: dict[tuple[str, str], float] = {}
        self.places = Places()
        self.offers = Offers()
        self.teach: Callable[[Lesson], None] = _keep_to_itself

    def begin(self, live: Live) -> None:
        """The run begins."""
        live.listen(self.hear)
        self._distributions.read_soon()

    def hear(self, event: Event) -> None:
        """Take note of what managers have to offer."""
        self.offers.fold(event)

    # --- questions ---

    def allowed(self, task: Record) -> list[str]:
        """Labels that the task may run at, its present one among them."""
        here = task["executor"]
        if self._settings.move == "none" or here == INTERNAL or has_staged_files(task):
            return [here]
        known = task["dfk"].executors
        if self._settings.move == "any":
            return [label for label in known if label != INTERNAL]
        declared = self._apps.declared(task["func"], known)
        return sorted(declared if declared is not None else {here, *self._apps.of(task["func"]).placed})

    def others(self, task: Record, live: Live) -> list[str]:
        """Other executors that the task may move to, the best first: those with managers, the likeliest."""
        here = task["executor"]
        labels = [label for label in self.allowed(task) if label != here]
        return [each.label for each in best_first(self._candidates(live, task, labels))]

    def is_unfit_elsewhere(self, task: Record, live: Live) -> bool:
        """Whether each other executor that the task may use is proven, or seen, to lack something for it."""
        elsewhere = [label for label in self.allowed(task) if label != task["executor"]]
        return bool(elsewhere) and all(each.lack for each in self._candidates(live, task, elsewhere))

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

    # --- first tries ---

    def first(self, live: Live, task: Record) -> None:
        """Send a first try where it is likely to succeed: where Parsl has drawn, unless another is better."""
        here = task["executor"]
        self._apps.of(task["func"]).placed.add(here)
        labels = self.allowed(task)
        if len(labels) < 2:  # noqa: PLR2004 - nothing to choose between
            return
        func = self.identity(task["func"])
        candidates = self._candidates(live, task, labels)
        unmeasured = not self.places.is_known(func) and not _declared_memory(task)
        choice = choose(
            candidates, here, unmeasured=unmeasured, explore_after=EXPLORE_AFTER, chance=self._chance
        )
        if choice.label != here:
            self._send(live, task, choice, next((c.lack for c in candidates if c.label == here), ""))

    def avoided(self, live: Live, task: Record) -> tuple[str, ...]:
        """Managers of its executor that a first try hands back: those that are no use to its function.

        None, if no other manager would be left.
        """
        bad, label = self.places.bad_nodes(self.identity(task["func"])), task["executor"]
        mixed = self.offers.is_mixed(label)
        if not bad and not mixed:
            return ()
        present: set[str] = set(live.picture.present.get(label, ()))
        unfit = self._on_bad_nodes(live, bad) | (self._without_modules(task, label) if mixed else set())
        return tuple(sorted(unfit & present)) if present - unfit else ()

    def _on_bad_nodes(self, live: Live, bad: dict[str, float]) -> set[str]:
        now = self._clock.time()
        held = (name for name, proven in bad.items() if now - proven < PROOF_HOLDS)
        nodes = (live.picture.nodes.get(name) for name in held)
        return {manager for node in nodes if node is not None for manager in list(node.managers)}

    def _without_modules(self, task: Record, label: str) -> set[str]:
        """Managers that have not listed a package that another one of the same executor has."""
        found: set[str] = set()
        for module in self._apps.modules(task["func"]):
            names = self._distributions.of(module)
            if not self.offers.of(label).packages.isdisjoint(names):
                found |= self.offers.managers_without(label, names)
        return found

    def _send(self, live: Live, task: Record, choice: Choice, lack: str) -> None:
        here, task["executor"] = task["executor"], choice.label
        if choice.rule == "explore":
            self._explored[self.identity(task["func"]), choice.label] = self._clock.time()
        gone = Diagnosis(failure_class="executor_lost")
        live.say(
            DecisionMade(
                task=task["id"],
                try_id=0,
                executor=here,
                diagnosis=gone if choice.rule == "executor-gone" else _diagnosis(lack),
                rule=choice.rule,
                reason=f"not at {here}: {choice.why}; {choice.label} is used at once",
                action="move",
                target=choice.label,
            )
        )

    def _candidates(self, live: Live, task: Record, labels: list[str]) -> list[Candidate]:
        func = self.identity(task["func"])
        needs = _declared_memory(task) or self.places.used(func) * MARGIN
        modules = self._apps.modules(task["func"])
        lacking = self._lacking_modules(modules, labels) if modules else {}
        asked = _Asked(task=task, func=func, needs=needs, now=self._clock.time(), lacking=lacking)
        return [self._candidate(live, asked, label) for label in labels]

    def _candidate(self, live: Live, asked: _Asked, label: str) -> Candidate:
        picture, offer = live.picture, self.offers.of(label)
        belief = self.places.of(asked.func, f"{PLACE}{label}", offer.environment)
        explored = self._explored.get((asked.func, label), 0.0)
        return Candidate(
            label=label,
            usable=is_usable(asked.task, label),
            rests=_rests(live, label),
            lack=_lack_of(live, asked, label, belief, offer),
            chance=belief.chance(asked.now),
            has_managers=picture.has_managers(label),
            load=picture.load(label) if picture.workers.get(label) else 0.0,
            memory=offer.memory,
            stale=asked.now - max(belief.last, explored),
        )

    def _lacking_modules(self, modules: frozenset[str], labels: list[str]) -> dict[str, str]:
        """Executors whose managers have not listed a package that those of another one have."""
        found: dict[str, str] = {}
        for module in modules:
            names = self._distributions.of(module)
            has = [label for label in labels if not self.offers.of(label).packages.isdisjoint(names)]
            if has:
                lacking = (label for label in labels if self.offers.lacks(label, names))
                found.update((label, f"{_MODULE}{module!r}") for label in lacking)
        return found

    def _belief(self, func: str, label: str) -> Belief:
        return self.places.of(func, f"{PLACE}{label}", self.offers.of(label).environment)

    # --- lessons ---

    def succeeded(self, task: Record, report: Report | None, refuted: tuple[str, ...] = ()) -> None:
        """A try of the task ended with a result.

        Args:
            task: of which it was.
            report: what the worker told of it.
            refuted: fingerprints of the task's earlier failures.
        """
        func, label = self.identity(task["func"]), task["executor"]
        memory = (report.memory or 0) if report is not None else 0
        self._learn(self._lesson(func, label, report, good=1.0, memory=memory))
        if report is not None and report.node in self.places.bad_nodes(func):
            self._learn(Lesson(func=func, place=f"{NODE}{report.node}", good=1.0, tries=1))
        for fingerprint in refuted:
            if self.places.hopeless(func, fingerprint):
                self._learn(Lesson(func=func, hopeless=fingerprint, refuted=True))

    def failed(self, task: Record, decision: DecisionMade, fingerprint: str = "") -> None:
        """A try of the task has failed, and it was decided what to do.

        Args:
            task: of which it was, before it is moved anywhere.
            decision: with the diagnosis, and where the try was.
            fingerprint: of the failure.
        """
        func, diagnosis = self.identity(task["func"]), decision.diagnosis
        kind = diagnosis.failure_class
        if diagnosis.destined and fingerprint:
            self._learn(Lesson(func=func, hopeless=fingerprint))
        known = CLASSES.get(kind)
        weight = weight_of(kind, infrastructure=known is not None and known.infrastructure)
        if not weight or diagnosis.missing == OWN_PACKAGE:
            return
        label = decision.executor or task["executor"]
        offer = self.offers.of_manager(label, decision.manager or "")
        lack, memory = _lack(decision), offer.memory if kind == MEMORY else 0
        everywhere = "" if self.offers.is_mixed(label) else lack  # else it is this node's, not the executor's
        self._learn(self._lesson(func, label, decision, bad=weight, lack=everywhere, memory=memory))
        if lack and decision.node:
            self._learn(Lesson(func=func, place=f"{NODE}{decision.node}", bad=weight, tries=1, lack=lack))

    def now(self) -> float:
        """Seconds UTC."""
        return self._clock.time()

    def forget(self) -> None:
        """Forget all that is believed of places."""
        self.places = Places()
        self._explored.clear()

    def _lesson(self, func: str, label: str, where: Any, **more: Any) -> Lesson:
        """About an executor, in the environment of the manager where it happened."""
        manager = getattr(where, "manager", None) or ""
        environment = self.offers.of_manager(label, manager).environment or self.offers.of(label).environment
        return Lesson(func=func, place=f"{PLACE}{label}", environment=environment, tries=1, **more)

    def _learn(self, lesson: Lesson) -> None:
        self.places.learn(lesson, self._clock.time())
        self.teach(lesson)


class _Asked(msgspec.Struct, gc=False):
    """What one look at the places is about: a task, the bytes that it needs, modules that places lack."""

    task: Record
    func: str
    needs: float
    now: float
    lacking: dict[str, str]


def _lack_of(live: Live, asked: _Asked, label: str, belief: Belief, offer: Offer) -> str:
    """What an executor is proven to lack for a function, or seen to lack, in words."""
    module = live.picture.unfit.get((asked.task["func_name"], label), "")
    if module and not belief.good and not offer.mixed:
        return f"{_MODULE}{module!r}"
    if belief.lack and asked.now - belief.proven < PROOF_HOLDS:
        return belief.lack
    if offer.memory and asked.needs > offer.memory:
        return MEMORY
    return asked.lacking.get(label, "")


def _rests(live: Live, label: str) -> str:
    """Why an executor gets no work for now: it is in quarantine, or on trial and has its one task."""
    key, resting = (EXECUTOR, label), live.picture.resting
    if key in resting.reasons:
        return resting.reasons[key]
    on_trial = key in resting.on_trial and live.picture.outstanding.get(label, 0) > 0
    return "one task tries it after its quarantine" if on_trial else ""


def is_usable(task: Record, label: str) -> bool:
    """Whether an executor still takes tasks."""
    executor = task["dfk"].executors.get(label)
    gone = (getattr(executor, name, False) for name in ("bad_state_is_set", "is_without_blocks"))
    return executor is not None and not any(gone)


_MODULE = "module "


def _diagnosis(lack: str) -> Diagnosis:
    """What would have happened, as far as it is known."""
    if lack.startswith(_MODULE):
        missing = lack.removeprefix(_MODULE).strip("'")
        return Diagnosis(failure_class=MISSING_MODULE, layer="environment", missing=missing, evidence=(lack,))
    return Diagnosis(failure_class=lack, evidence=(lack,)) if lack in CLASSES else Diagnosis()


def _lack(decision: DecisionMade) -> str:
    """What a failure proves its place to lack, in words."""
    kind, missing = decision.diagnosis.failure_class, decision.diagnosis.missing
    if kind not in PROOFS:
        return ""
    if kind == MISSING_MODULE:
        return (
            f"{_MODULE}{missing!r}" if missing.replace(".", "_").isidentifier() else ""
        )  # no name, no proof
    return kind


def _declared_memory(task: Record) -> int:
    """Bytes that the app's author says it needs; 0 for nothing said."""
    declared = getattr(options_of(task["func"]), "memory", None)
    return declared if isinstance(declared, int) else 0


def _keep_to_itself(lesson: Lesson) -> None:
    """Where nobody else is told."""
