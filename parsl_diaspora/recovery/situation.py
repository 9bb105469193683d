"""All that a decision may look at, as plain data that a caller fills in at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import Any

import msgspec

from parsl_diaspora.events import Diagnosis, Failure
from parsl_diaspora.failures import Context, got_on
from parsl_diaspora.failures.context import NOTHING_KNOWN
from parsl_diaspora.recovery.language.rules import CountBy
from parsl_diaspora.recovery.options import NO_OPTIONS, Options

#: Failures of different tasks within so many seconds, by what is counted.
Counter = Callable[[CountBy, float], int]


def _none(by: CountBy, within: float) -> int:
    return 1


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """All that a decision may look at. Built by the caller from the picture, in O(1).

    Attributes:
        failure: the evidence.
        diagnosis: why the try failed.
        context: what is known of place and time.
        options: what the app's author said.
        id: of the event that tells of the failure; the same id makes the same chance.
        func: name of the app.
        executor: label of the executor where it failed.
        site: name of that executor's site.
        block: id of the block where it failed, if known.
        manager: id of the manager where it failed, if known.
        node: host name of the node where it failed, if known.
        worker: rank of the worker where it failed, if known.
        seconds: how long the try ran, if known.
        other_executors: labels that the app may use, that are usable, and not known to be unfit for it,
            the best first.
        other_sites: those of them that belong to other sites.
        others_have_managers: the first of them has managers now.
        other_manager: the same executor has managers besides the one where it failed.
        other_node: one of them is on another node.
        other_block: one of them belongs to another block.
        other_worker: the same executor has workers besides the one where it failed.
        bound: why the task may not leave its executor; empty if it may.
        executor_usable: the executor where it failed still takes tasks.
        unfit_everywhere: each executor that the app may use is known to lack what is missing.
        room: memory of the largest node of each executor, where that is known, bytes.
        asked_memory: memory that the task asks for, bytes; None if it asks for none.
        tries: tries so far.
        max_tries: the hard total.
        budget: name of the budget that this failure charges.
        used: what that budget has spent, this failure included.
        limit: what it allows.
        infrastructure_failures: failures of the task that it had no part in, this one included.
        proof: how it was proven before that this failure is the app's own; empty if it was not.
        own_handler_stops: the program's own retry handler allows no further try.
        avoid: managers that the task should avoid already.
        uses: how often each rule has decided for this task.
        counter: of failures of different tasks lately.
    """

    failure: Failure
    diagnosis: Diagnosis
    context: Context = NOTHING_KNOWN
    options: Options = NO_OPTIONS
    id: str = ""
    func: str = ""
    executor: str = ""
    site: str = ""
    block: str | None = None
    manager: str | None = None
    node: str | None = None
    worker: int | None = None
    seconds: float | None = None
    other_executors: tuple[str, ...] = ()
    other_sites: tuple[str, ...] = ()
    others_have_managers: bool = False
    other_manager: bool = False
    other_node: bool = False
    other_block: bool = False
    other_worker: bool = False
    bound: str = ""
    executor_usable: bool = True
    unfit_everywhere: bool = False
    room: dict[str, int] = {}
    asked_memory: int | None = None
    tries: int = 1
    max_tries: int = 12
    budget: str = "application"
    used: int = 1
    limit: int = 1
    infrastructure_failures: int = 0
    proof: str = ""
    own_handler_stops: bool = False
    avoid: tuple[str, ...] = ()
    uses: dict[str, int] = {}
    counter: Counter = _none

    @property
    def tries_are_spent(self) -> bool:
        """Whether the task had the hard total; a try in which it got on goes over none."""
        return self.tries >= self.max_tries and not got_on(self.diagnosis.failure_class)

    @property
    def memory_peak(self) -> int | None:
        """Most memory that the try's worker had, bytes."""
        return self.context.memory_peak

    @property
    def evidence(self) -> Mapping[str, Any]:
        """What expressions may speak of; None where nobody has told."""
        return _Evidence(self)


#: Names in expressions, and where each is found.
_OWN = (
    *("func", "executor", "site", "block", "manager", "node", "worker", "seconds", "asked_memory"),
    *("tries", "max_tries", "used", "limit", "infrastructure_failures", "memory_peak"),
)
_OF_FAILURE = ("type", "message", "phase", "name", "errno", "exit_code", "filename", "stderr", "frame")
_OF_DIAGNOSIS = ("failure_class", "layer", "confidence", "destined", "missing")
_OF_CONTEXT = tuple(
    name for name in (*Context.__struct_fields__, "memory_part") if name not in (*_OWN, *_OF_FAILURE)
)

_READERS: dict[str, Callable[[Situation], Any]] = {
    **{name: attrgetter(name) for name in _OWN},
    **{name: attrgetter(f"failure.{name}") for name in _OF_FAILURE},
    **{name: attrgetter(f"diagnosis.{name}") for name in _OF_DIAGNOSIS},
    **{name: attrgetter(f"context.{name}") for name in _OF_CONTEXT},
    "attempt": attrgetter("tries"),
}

#: All that an expression may speak of.
EVIDENCE = tuple(sorted(_READERS))


class _Evidence(Mapping[str, Any]):
    """Reads only what is asked for: most expressions use two or three of forty names."""

    def __init__(self, situation: Situation) -> None:
        self._situation = situation

    def __getitem__(self, name: str) -> Any:
        value = _READERS[name](self._situation)
        return None if value == "" else value  # an empty text is what nobody has told

    def __iter__(self) -> Any:
        return iter(EVIDENCE)

    def __len__(self) -> int:
        return len(EVIDENCE)
