"""Real faults against the real processes of a run: seeded, recorded, and aimed only at what carries its mark.

    faults = Chaos.plan(seed=7, busy_workers=2, idle_workers=1, managers=1, window=(0.1, 0.7), by="progress")
    with Chaos(seed=7, mark=mark, plan=faults) as chaos:
        run_campaign(config, seed=7, on_progress=lambda step: chaos.progress(step.fraction))
    print(chaos.records)

SIGKILL is what the out-of-memory killer, a failing node and a batch system at walltime send, so a killed
process here is no imitation of those.
"""

from __future__ import annotations

import logging
import random
import signal
import threading
from collections.abc import Callable, Iterable, Sequence
from types import TracebackType
from typing import Any, Literal, get_args

import msgspec

from parsl_diaspora.clock import Clock, SystemClock
from parsl_diaspora.testing.processes import MarkedProcess, busy_among, find, send

logger = logging.getLogger(__name__)

FaultKind = Literal[
    "kill_busy_worker",
    "kill_idle_worker",
    "kill_worker",
    "kill_manager",
    "kill_node",
    "stop_worker",
    "stop_manager",
]
Trigger = Literal["time", "progress"]

_INSTEAD: dict[str, FaultKind] = {
    "kill_busy_worker": "kill_idle_worker",
    "kill_idle_worker": "kill_busy_worker",
}
_TICK = 0.05  # seconds between two looks at the plan
_RETRY = 0.1  # seconds between two looks for a victim


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault that is planned.

    Attributes:
        kind: what happens. ``kill_manager`` leaves its workers as orphans; ``kill_node`` ends the manager and
            everything below it, as the loss of a machine does; ``stop_...`` freezes (SIGSTOP).
        at: when: seconds after the start, or the share of the campaign that is done, from 0 to 1.
        by: which of the two.
        site: only victims there; anywhere when None.
        resume_after: seconds after which a frozen process goes on (SIGCONT); never when None.

    Raises:
        ValueError: the kind is unknown, or ``at`` lies outside what ``by`` allows.
    """

    kind: FaultKind
    at: float
    by: Trigger = "time"
    site: str | None = None
    resume_after: float | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(FaultKind):
            message = f"{self.kind!r} is no kind of fault; there are {', '.join(get_args(FaultKind))}."
            raise ValueError(message)
        if self.at < 0 or (self.by == "progress" and self.at > 1):
            message = f"A fault cannot happen at {self.by} {self.at}."
            raise ValueError(message)


class FaultRecord(msgspec.Struct, frozen=True, kw_only=True):
    """One fault that happened, or that found no victim.

    Attributes:
        fault: as it was planned.
        kind: as it was done: another than planned if no such victim was found.
        elapsed: seconds since the start.
        time: seconds since the epoch, UTC.
        pid: the victim; None if there was none.
        site: where it ran.
        manager: number of the victim's manager, which is the victim itself for faults of managers.
        note: what else there is to say, as words; often empty.
    """

    fault: Fault
    kind: FaultKind
    elapsed: float
    time: float
    pid: int | None = None
    site: str = ""
    manager: int | None = None
    note: str = ""


class Chaos:
    """Carries out a plan of faults in a thread of its own.

    Args:
        seed: decides which of several possible victims is taken.
        mark: token of the run; nothing without it is ever touched.
        plan: the faults; :meth:`plan` makes them from a seed.
        on_fault: called with each record, in the thread of the faults. What it raises is logged.
        patience: seconds to look for a victim of the planned kind before the nearest other kind is taken.
        clock: source of time and waiting.

    Example:
        >>> with Chaos(seed=1, mark="a-run-that-never-was", plan=[]) as chaos:
        ...     chaos.wait(timeout=5)
        True
        >>> chaos.records
        ()
    """

    def __init__(
        self,
        seed: int,
        mark: str,
        plan: Iterable[Fault],
        on_fault: Callable[[FaultRecord], None] | None = None,
        *,
        patience: float = 5.0,
        clock: Clock | None = None,
    ) -> None:
        self.mark = mark
        self.faults = tuple(plan)
        self._random = random.Random(seed)
        self._on_fault = on_fault
        self._patience = patience
        self._clock = clock or SystemClock()
        self._fraction = 0.0
        self._began = 0.0
        self._records: list[FaultRecord] = []
        self._frozen: list[tuple[float, MarkedProcess]] = []
        self._stop = threading.Event()
        self._finished = threading.Event()
        self._thread: threading.Thread | None = None

    @staticmethod
    def plan(
        seed: int,
        *,
        busy_workers: int = 0,
        idle_workers: int = 0,
        managers: int = 0,
        window: tuple[float, float] = (2.0, 20.0),
        min_gap: float = 0.0,
        by: Trigger = "time",
    ) -> tuple[Fault, ...]:
        """A plan of kills, spread at random over a window; the same for the same arguments.

        Args:
            seed: decides times and order.
            busy_workers: how many workers to kill while they compute.
            idle_workers: how many workers to kill while they wait.
            managers: how many managers to kill.
            window: first and last moment, in seconds or as shares of the campaign.
            min_gap: least distance of two faults, in the same unit.
            by: which of the two the window means.

        Raises:
            ValueError: the faults do not fit the window at that distance.

        Example:
            >>> [fault.kind for fault in Chaos.plan(3, busy_workers=1, managers=1, window=(1, 2))]
            ['kill_manager', 'kill_busy_worker']
        """
        kinds: list[FaultKind] = ["kill_busy_worker"] * busy_workers
        kinds += ["kill_idle_worker"] * idle_workers
        kinds += ["kill_manager"] * managers
        dice = random.Random(seed)
        dice.shuffle(kinds)
        moments = _spread(dice, len(kinds), window, min_gap)
        return tuple(Fault(kind=kind, at=at, by=by) for kind, at in zip(kinds, moments, strict=True))

    @property
    def records(self) -> tuple[FaultRecord, ...]:
        """What happened so far, in order."""
        return tuple(self._records)

    def start(self) -> None:
        """Start the clock of the plan. At most once.

        Raises:
            RuntimeError: it was started before.
        """
        if self._thread is not None:
            message = "This Chaos has been started before; make a new one for a new run."
            raise RuntimeError(message)
        self._began = self._clock.monotonic()
        self._thread = threading.Thread(target=self._run, name=f"chaos-{self.mark}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the plan: no more faults. What is frozen and has a time to resume goes on at once."""
        self._stop.set()
        if self._thread not in {None, threading.current_thread()}:
            self._finished.wait()

    def progress(self, fraction: float) -> None:
        """Say how much of the campaign is done, from 0 to 1. Cheap; from any thread."""
        self._fraction = max(self._fraction, fraction)

    def wait(self, timeout: float) -> bool:
        """Wait up to ``timeout`` seconds for the end of the plan; whether it came."""
        return self._clock.wait(self._finished, timeout)

    def __enter__(self) -> Chaos:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        try:
            self._carry_out()
        except Exception:
            logger.exception("Chaos broke down after %d of %d faults.", len(self._records), len(self.faults))
        finally:
            self._resume(float("inf"))
            self._finished.set()

    def _carry_out(self) -> None:
        waiting = sorted(self.faults, key=lambda fault: fault.at)
        while (waiting or self._frozen) and not self._stop.is_set():
            self._resume(self._elapsed())
            due = next((fault for fault in waiting if self._due(fault)), None)
            if due is None:
                self._clock.wait(self._stop, _TICK)
                continue
            waiting.remove(due)
            self._happen(due)

    def _elapsed(self) -> float:
        return self._clock.monotonic() - self._began

    def _due(self, fault: Fault) -> bool:
        return (self._elapsed() if fault.by == "time" else self._fraction) >= fault.at

    def _resume(self, until: float) -> None:
        for _, process in [one for one in self._frozen if one[0] <= until]:
            send(process, signal.SIGCONT)
        self._frozen = [one for one in self._frozen if one[0] > until]

    def _happen(self, fault: Fault) -> None:
        until = self._elapsed() + self._patience
        while not self._try(fault, fault.kind):
            if self._elapsed() >= until:
                self._settle(fault)
                return
            if self._clock.wait(self._stop, _RETRY):
                return

    def _settle(self, fault: Fault) -> None:
        """Take the nearest other kind of victim, or say that there was none."""
        missing = f"found nothing to {fault.kind.replace('_', ' ')} in {self._patience:g} s"
        instead = _INSTEAD.get(fault.kind)
        if instead is None or not self._try(fault, instead, missing):
            self._record(fault, fault.kind, None, missing)

    def _try(self, fault: Fault, kind: FaultKind, note: str = "") -> bool:
        marked = find(self.mark)
        victims = _victims(kind, [one for one in marked if fault.site in {None, one.site}])
        if not victims:
            return False
        victim = self._random.choice(victims)
        if not self._strike(fault, kind, victim):
            return False
        for one in _below(victim, marked) if kind == "kill_node" else []:
            send(one, signal.SIGKILL)
        self._record(fault, kind, victim, note)
        return True

    def _strike(self, fault: Fault, kind: FaultKind, victim: MarkedProcess) -> bool:
        if not kind.startswith("stop_"):
            return send(victim, signal.SIGKILL)
        if fault.resume_after is not None:
            self._frozen.append((self._elapsed() + fault.resume_after, victim))
        return send(victim, signal.SIGSTOP)

    def _record(self, fault: Fault, kind: FaultKind, victim: MarkedProcess | None, note: str) -> None:
        now: dict[str, Any] = {"elapsed": self._elapsed(), "time": self._clock.time()}
        record = FaultRecord(fault=fault, kind=kind, note=note, **now, **_place(victim))
        self._records.append(record)
        logger.info("%s", record)
        try:
            if self._on_fault is not None:
                self._on_fault(record)
        except Exception:
            logger.exception("The listener of faults failed; the plan goes on.")


def _spread(dice: random.Random, count: int, window: tuple[float, float], gap: float) -> list[float]:
    first, last = window
    slack = last - first - gap * max(0, count - 1)
    if slack < 0:
        message = f"{count} faults do not fit into {first} to {last} with {gap} between them."
        raise ValueError(message)
    moments = sorted(dice.uniform(0, slack) for _ in range(count))
    return [first + moment + gap * number for number, moment in enumerate(moments)]


def _victims(kind: FaultKind, marked: Sequence[MarkedProcess]) -> list[MarkedProcess]:
    """Those that a kind of fault may hit, in the order of :func:`find`: by site, then age."""
    if kind in {"kill_manager", "kill_node", "stop_manager"}:
        return [one for one in marked if one.role == "manager"]
    workers = [one for one in marked if one.role == "worker"]
    if kind not in _INSTEAD:
        return workers
    computing = busy_among(workers)
    return [one for one in workers if (one.pid in computing) == (kind == "kill_busy_worker")]


def _below(head: MarkedProcess, marked: Sequence[MarkedProcess]) -> list[MarkedProcess]:
    children = [one for one in marked if one.parent == head.pid]
    return [*children, *(deeper for child in children for deeper in _below(child, marked))]


def _place(victim: MarkedProcess | None) -> dict[str, Any]:
    if victim is None:
        return {}
    manager = victim.pid if victim.role == "manager" else victim.parent
    return {"pid": victim.pid, "site": victim.site, "manager": manager}
