"""What is believed of places: how well each function fares where. Folded from lessons of all runs.

Every question is answered in O(1). Counts fade, so that what was true last month says little today.
"""

from __future__ import annotations

import fnmatch
import threading
from collections import OrderedDict
from collections.abc import Iterator

import msgspec

from parsl_diaspora.events import Lesson, PlacesLearned

HALF_LIFE = 24 * 3600.0  # seconds in which a count fades to half
PROOF_HOLDS = 12 * 3600.0  # seconds for which a place that was proven to lack something is not tried again
MOST = 20_000  # beliefs that are kept, the newest

#: Before anything is known: four tries of five succeed, and one try changes that.
PRIOR_GOOD, PRIOR_BAD = 0.8, 0.2

EXECUTOR, NODE = "executor:", "node:"

Key = tuple[str, str, str]


class Belief(msgspec.Struct):
    """What is believed of one function at one place in one environment.

    Attributes:
        good: tries that succeeded, faded.
        bad: weight of those that failed, faded.
        faded: when the counts were last made to fade, seconds UTC.
        tries: all tries, not faded.
        last: when the newest lesson was learned, seconds UTC.
        lack: what the place is proven to lack; empty after a success.
        proven: when that was, seconds UTC.
        memory: most bytes that a successful try used; while memory is lacking, bytes that were not enough.
    """

    good: float = 0.0
    bad: float = 0.0
    faded: float = 0.0
    tries: int = 0
    last: float = 0.0
    lack: str = ""
    proven: float = 0.0
    memory: int = 0

    def chance(self, now: float) -> float:
        """Estimated share of tries that succeed, 0 to 1.

        Example:
            >>> Belief().chance(0.0), round(Belief(good=9.0).chance(0.0), 2)
            (0.8, 0.98)
        """
        part = _part_left(now - self.faded)
        good, bad = PRIOR_GOOD + self.good * part, PRIOR_BAD + self.bad * part
        return good / (good + bad)

    def learn(self, lesson: Lesson, at: float) -> None:
        """Add a lesson."""
        part = _part_left(at - self.faded)
        self.good, self.bad = self.good * part + lesson.good, self.bad * part + lesson.bad
        self.faded = max(self.faded, at)
        self.tries += lesson.tries
        self.last = max(self.last, at)
        if lesson.lack and self.good < 1:  # where it has succeeded lately, it was something else
            self.lack, self.proven, self.memory = lesson.lack, at, lesson.memory
        elif lesson.good:
            self.memory = lesson.memory if self.lack else max(self.memory, lesson.memory)
            self.lack = ""


UNKNOWN = Belief()


class Places:
    """All beliefs, by function, place and environment.

    Attributes:
        skipped: lessons that made no sense.

    Example:
        >>> places = Places()
        >>> places.learn(Lesson(func="app.f#1", place="executor:cpu", good=1, tries=1), at=100.0)
        >>> places.chance("app.f#1", "executor:cpu", "", now=100.0)
        0.9
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._learning = threading.Lock()  # never held while anything waits
        self._beliefs: OrderedDict[Key, Belief] = OrderedDict()
        self._hopeless: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._environments: dict[str, str] = {}  # by place: the newest
        self._used: dict[str, int] = {}  # by function: most bytes that a successful try used
        self._ended: dict[str, tuple[int, int]] = {}  # by function: tries that succeeded, and that failed
        self._forgotten: dict[str, float] = {}  # until when, seconds UTC, by pattern
        self._bad_nodes: dict[str, dict[str, float]] = {}  # by function: host names, and when that was proven
        self.skipped = 0

    def __len__(self) -> int:
        return len(self._beliefs)

    def __iter__(self) -> Iterator[tuple[Key, Belief]]:
        return iter(list(self._beliefs.items()))  # other threads add

    # --- questions ---

    def of(self, func: str, place: str, environment: str = "") -> Belief:
        """What is believed; of a place whose environment is not known yet, what was true when it last was."""
        environment = environment or self._environments.get(place, "")
        found = self._beliefs.get((func, place, environment)) or self._beliefs.get((func, place, ""))
        return found or UNKNOWN

    def chance(self, func: str, place: str, environment: str, now: float) -> float:
        """Estimated share of a function's tries that succeed at a place."""
        return self.of(func, place, environment).chance(now)

    def used(self, func: str) -> int:
        """Most bytes that a successful try of a function was seen to use; 0 if it was never measured."""
        return self._used.get(func, 0)

    def is_known(self, func: str) -> bool:
        """Whether any try of a function ever succeeded."""
        return func in self._used

    def share_failed(self, func: str) -> float | None:
        """Which part of a function's tries fails, wherever they are; None if none ever succeeded."""
        good, bad = self._ended.get(func, (0, 0))
        return (bad + 1) / (good + bad + 2) if good else None

    def bad_nodes(self, func: str) -> dict[str, float]:
        """Nodes that are proven to lack something for a function, and when that was, seconds UTC."""
        return self._bad_nodes.get(func, {})

    def hopeless(self, func: str, fingerprint: str) -> float:
        """When it was last proven that a failure is the function's own, seconds UTC; 0 if it was not."""
        return self._hopeless.get((func, fingerprint), 0.0)

    def hopeless_ones(self) -> list[tuple[str, str, float]]:
        """Function, fingerprint and time of all such proofs."""
        return [(func, print_, at) for (func, print_), at in list(self._hopeless.items())]

    # --- folds ---

    def fold(self, event: PlacesLearned) -> None:
        """Take in what a run has learned; what makes no sense is counted and passed over."""
        if event.forget:
            self._forgotten[event.forget] = event.time
            self.forget(event.forget, event.time)
        for lesson in event.lessons:
            if self._is_forgotten(lesson.func, event.time):
                continue
            if _makes_sense(lesson):
                self.learn(lesson, event.time)
            else:
                self.skipped += 1

    def learn(self, lesson: Lesson, at: float) -> None:
        """Take in one lesson. Several threads may do so at once."""
        with self._learning:
            self._learn(lesson, at)

    def _learn(self, lesson: Lesson, at: float) -> None:
        if lesson.hopeless:
            self._learn_hopeless(lesson, at)
        if not lesson.place:
            return
        key = lesson.func, lesson.place, lesson.environment
        if (belief := self._beliefs.get(key)) is None:
            belief = self._beliefs[key] = Belief(faded=at)
            _bound(self._beliefs, self._most)
        self._beliefs.move_to_end(key)
        belief.learn(lesson, at)
        if lesson.place.startswith(NODE):
            self._learn_node(lesson.func, lesson.place.removeprefix(NODE), belief)
        if lesson.environment:
            self._environments[lesson.place] = lesson.environment
        if lesson.place.startswith(NODE):
            return  # the same try has taught something of its executor as well
        good, bad = self._ended.get(lesson.func, (0, 0))
        succeeded = min(lesson.tries, round(lesson.good))
        self._ended[lesson.func] = (good + succeeded, bad + lesson.tries - succeeded)
        if lesson.good:
            self._used[lesson.func] = max(self._used.get(lesson.func, 0), lesson.memory)

    def forget(self, pattern: str, until: float) -> None:
        """Forget what was learned of functions whose name matches until then; later lessons stay."""
        with self._learning:
            self._forget(pattern, until)

    def _forget(self, pattern: str, until: float) -> None:
        later: set[str] = set()
        for key, belief in self:
            if matches(key[0], pattern):
                if belief.last <= until:
                    self._beliefs.pop(key, None)
                else:
                    later.add(key[0])
        for func, fingerprint, at in self.hopeless_ones():
            if matches(func, pattern) and at <= until:
                self._hopeless.pop((func, fingerprint), None)
        for func in [each for each in list(self._ended) if matches(each, pattern) and each not in later]:
            for known in (self._ended, self._used, self._bad_nodes):
                known.pop(func, None)

    def _is_forgotten(self, func: str, at: float) -> bool:
        """Sources are read one after another, so what was said before may be read after it."""
        return any(at <= until and matches(func, pattern) for pattern, until in self._forgotten.items())

    def _learn_node(self, func: str, node: str, belief: Belief) -> None:
        nodes = {name: at for name, at in self.bad_nodes(func).items() if name != node}
        if belief.lack:
            nodes[node] = belief.proven
        if nodes:
            self._bad_nodes[func] = nodes  # replaced as a whole: others read it
        else:
            self._bad_nodes.pop(func, None)

    def _learn_hopeless(self, lesson: Lesson, at: float) -> None:
        proof = lesson.func, lesson.hopeless
        if lesson.refuted:
            self._hopeless.pop(proof, None)
            return
        self._hopeless[proof] = max(at, self._hopeless.get(proof, 0.0))
        _bound(self._hopeless, self._most)


def matches(func: str, pattern: str) -> bool:
    """Whether a function's name, or the last part of it, matches a pattern as in file names.

    Example:
        >>> matches("campaign.digits.train#4e1f", "train"), matches("campaign.digits.train#4e1f", "campaign*")
        (True, True)
    """
    name = func.partition("#")[0]
    return any(fnmatch.fnmatchcase(each, pattern) for each in (func, name, name.rpartition(".")[2]))


def _part_left(seconds: float) -> float:
    return float(0.5 ** (max(0.0, seconds) / HALF_LIFE))


def _makes_sense(lesson: Lesson) -> bool:
    counts = (lesson.good, lesson.bad, lesson.tries, lesson.memory)
    return bool(lesson.func) and all(0 <= count < float("inf") for count in counts)


def _bound(kept: OrderedDict[Key, Belief] | OrderedDict[tuple[str, str], float], most: int) -> None:
    if len(kept) > most:
        kept.popitem(last=False)
