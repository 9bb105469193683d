"""Where a task may go, and where a new one goes.

All of it happens in Parsl's own threads: it reads memory, and answers at once.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

import msgspec

from parsl_diaspora.clock import Clock
from parsl_diaspora.events import DecisionMade, Diagnosis
from parsl_diaspora.failures import CLASSES
from parsl_diaspora.monitoring.kernel import Record, is_usable
from parsl_diaspora.monitoring.placing.apps import INTERNAL, has_staged_files
from parsl_diaspora.monitoring.placing.learning import MEMORY, MISSING_MODULE, MODULE, Learning
from parsl_diaspora.monitoring.placing.needs import Distributions
from parsl_diaspora.monitoring.placing.pools import Pools
from parsl_diaspora.recovery.placement import Candidate, Choice, best_first, choose
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import Live
from parsl_diaspora.state.offers import Offer
from parsl_diaspora.state.places import EXECUTOR as PLACE
from parsl_diaspora.state.places import PROOF_HOLDS, Belief
from parsl_diaspora.state.quarantined import EXECUTOR

EXPLORE_AFTER = 600.0  # seconds after which a place of poor repute is tried again by one task
MARGIN = 1.2  # times the memory that a function was seen to use


class Routing(Learning):
    """Knows the executors that each app may use, and chooses among them.

    Args:
        settings: the program's settings.
        clock: time.
        chance: source of draws.

    Attributes:
        pools: executors that stand for several.
    """

    def __init__(self, settings: Settings, clock: Clock, chance: random.Random | None = None) -> None:
        super().__init__(clock)
        self._settings = settings
        self._chance = chance or random.Random()
        self._distributions = Distributions()
        self._explored: dict[tuple[str, str], float] = {}
        self.pools = Pools()

    def begin(self, live: Live) -> None:
        """The run begins."""
        live.listen(self.hear)
        self._distributions.read_soon()

    # --- questions ---

    def allowed(self, task: Record) -> list[str]:
        """Labels that the task may run at, its present one among them; those of members for a pool's."""
        here = task["executor"]
        if self._settings.move == "none" or here == INTERNAL or has_staged_files(task):
            return self.pools.peers(here)
        known = task["dfk"].executors
        if self._settings.move == "any":
            return self.pools.expanded(label for label in known if label != INTERNAL)
        declared = self._apps.declared(task["func"], known)
        placed = {here, *self._apps.of(task["func"]).placed}
        return self.pools.expanded(sorted(declared if declared is not None else placed))

    def believed(self, live: Live, task: Record, labels: Sequence[str]) -> list[Candidate]:
        """What is believed of executors as places for a task."""
        return self._candidates(live, task, list(labels))

    def others(self, task: Record, live: Live) -> list[str]:
        """Other executors that the task may move to, the best first: those with managers, the likeliest."""
        return self.elsewhere(task, live)[0]

    def elsewhere(self, task: Record, live: Live) -> tuple[list[str], bool]:
        """The `others`, and whether each of them is proven, or seen, to lack something for the task."""
        here = task["executor"]
        labels = [label for label in self.allowed(task) if label != here]
        candidates = self._candidates(live, task, labels)
        unfit = bool(labels) and all(each.lack for each in candidates)
        return [each.label for each in best_first(candidates)], unfit

    def forget(self) -> None:
        """Forget all that is believed of places."""
        super().forget()
        self._explored.clear()

    # --- first tries ---

    def placed(self, task: Record) -> None:
        """Parsl has drawn an executor for the task: its app may go there."""
        self._apps.of(task["func"]).placed.add(task["executor"])

    def first(self, live: Live, task: Record, *, in_pool: bool = False) -> None:
        """Send a first try where it is likely to succeed: where Parsl has drawn, unless another is better.

        Args:
            live: the run's state.
            task: Parsl's record.
            in_pool: a pool has just chosen among its members.
        """
        here = task["executor"]
        if not in_pool:
            self.placed(task)
        labels = self.allowed(task)
        if len(labels) < 2 or (in_pool and set(labels) <= set(self.pools.peers(here))):  # noqa: PLR2004
            return  # nothing to choose between, or chosen already
        func = self.identity(task["func"])
        candidates = self._candidates(live, task, labels)
        unmeasured = not self.places.is_known(func) and not self._apps.memory(task["func"])
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
        needs = self._apps.memory(task["func"]) or self.places.used(func) * MARGIN
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
            usable=is_usable(asked.task["dfk"], label),
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
                found.update((label, f"{MODULE}{module!r}") for label in lacking)
        return found


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
        return f"{MODULE}{module!r}"
    if belief.lack and asked.now - belief.proven < PROOF_HOLDS:
        return belief.lack
    if offer.memory and asked.needs > offer.memory:
        return MEMORY
    return asked.lacking.get(label, "")


def _rests(live: Live, label: str) -> str:
    """Why an executor gets no work for now: it is in quarantine, or on trial and has its one task."""
    key, quarantined = (EXECUTOR, label), live.picture.quarantined
    if key in quarantined.reasons:
        return quarantined.reasons[key]
    on_trial = key in quarantined.on_trial and live.picture.outstanding.get(label, 0) > 0
    return "one task tries it after its quarantine" if on_trial else ""


def _diagnosis(lack: str) -> Diagnosis:
    """What would have happened, as far as it is known."""
    if lack.startswith(MODULE):
        missing = lack.removeprefix(MODULE).strip("'")
        return Diagnosis(failure_class=MISSING_MODULE, layer="environment", missing=missing, evidence=(lack,))
    return Diagnosis(failure_class=lack, evidence=(lack,)) if lack in CLASSES else Diagnosis()
