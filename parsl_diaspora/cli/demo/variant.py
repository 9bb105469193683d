"""One variant of the demo, in a process of its own, so that a run which hangs cannot harm the next."""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from parsl import Config

from parsl_diaspora.cli.demo.listener import Listener
from parsl_diaspora.cli.demo.messages import Finished, Happened, Message, Progressed, encode
from parsl_diaspora.configure import resilient
from parsl_diaspora.events import (
    DecisionMade,
    Event,
    FaultInjected,
    ManagerLost,
    PlaceQuarantined,
    RunStarted,
)
from parsl_diaspora.fabric import Fabric, open_fabric
from parsl_diaspora.fabric.stamp import default_source
from parsl_diaspora.state import Picture
from parsl_diaspora.testing.campaign.digits import grid, some
from parsl_diaspora.testing.campaign.run import CampaignResult, Step, run_campaign
from parsl_diaspora.testing.campaign.sites import site_config
from parsl_diaspora.testing.chaos import Chaos, Fault, FaultRecord

RETRIES = 2
BUSY_WORKERS, IDLE_WORKERS, MANAGERS = 4, 2, 1
#: Shares of the campaign. Its first wave ends at two thirds, and alder, with twice birch's workers, falls
#: idle a little before: there the idle workers are found.
BUSY_WINDOW, IDLE_WINDOW, IDLE_SITE = (0.05, 0.55), (0.60, 0.64), "alder"
PATIENCE = 15.0
CLOSE = 10.0  # seconds for what was said of faults, should the fabric be away at the end


def plan(seed: int) -> list[Fault]:
    """The faults of the demo: six workers and a manager, spread over the campaign's progress."""
    busy = Chaos.plan(
        seed, busy_workers=BUSY_WORKERS, managers=MANAGERS, window=BUSY_WINDOW, min_gap=0.05, by="progress"
    )
    idle = Chaos.plan(seed, idle_workers=IDLE_WORKERS, window=IDLE_WINDOW, min_gap=0.01, by="progress")
    return [*busy, *(Fault(kind=each.kind, at=each.at, by=each.by, site=IDLE_SITE) for each in idle)]


class Variant:
    """Runs the campaign once and tells about it.

    Args:
        tell: takes each message.
        fabric: where the events of a resilient run go; None for stock runs.
        trials: how many of the campaign; all if None.
    """

    def __init__(
        self, tell: Callable[[Message], None], fabric: Fabric | None, trials: int | None = None
    ) -> None:
        self._trials = grid() if trials is None else some(trials)
        self._tell = tell
        self._fabric = fabric
        self._began = time.monotonic()
        self._failed_tries = self._faults = self._failed_trials = 0
        self._picture: Picture | None = None
        self._listener = Listener(self._hear, fabric) if fabric is not None else None
        self._speaker = fabric.publisher(default_source("chaos")) if fabric is not None else None

    def run(self, config: Config, seed: int, mark: str, deadline: float, faults: list[Fault]) -> Finished:
        """Run the campaign under the faults; what came of it."""
        with Chaos(seed, mark, faults, self._on_fault, patience=PATIENCE) as chaos:
            result = run_campaign(
                config,
                seed,
                mark=mark,
                deadline=deadline,
                trials=self._trials,
                on_progress=lambda step: self._on_progress(step, chaos),
            )
        missing = ""
        if self._speaker is not None and self._listener is not None:
            self._speaker.close(CLOSE)
            missing = self._listener.stop(self._picture.run if self._picture is not None else "")
        return self._finished(result, missing)

    def count_failure(self, error: Exception, task: Any) -> float:
        """A retry handler that answers as stock Parsl does without one, and counts."""
        del error, task
        self._failed_tries += 1
        return 1.0

    def _on_progress(self, step: Step, chaos: Chaos) -> None:
        chaos.progress(step.fraction)
        self._failed_trials += step.error is not None
        self._tell(Progressed(done=step.done, total=step.total, failed=self._failed_trials))

    def _on_fault(self, record: FaultRecord) -> None:
        self._faults += 1
        what = record.kind.replace("_", " ")
        self._say("fault", f"{what} at {record.site or 'no site'}, pid {record.pid}", record.note)
        if self._speaker is not None and self._picture is not None:
            self._speaker.publish(self._fault_event(self._picture, record))

    @staticmethod
    def _fault_event(picture: Picture, record: FaultRecord) -> FaultInjected:
        event = FaultInjected(run=picture.run, fault=record.kind, pid=record.pid or 0, note=record.note)
        event.executor = event.site = record.site  # the campaign's executors are named after their sites
        for name, manager in list(picture.managers.items()):
            if manager.pid and manager.pid == record.manager:
                event.manager, event.block, event.node = name, manager.block, manager.node
        return event

    def _hear(self, event: Event) -> None:
        if isinstance(event, RunStarted) and self._picture is None:
            self._picture = Picture(event.run)
        if self._picture is not None:
            self._picture.fold(event)
        if isinstance(event, DecisionMade):
            self._say("decision", _decision_text(event), event.reason, _decision_kind(event))
        elif isinstance(event, ManagerLost):
            self._say("place", f"manager {event.manager} at {event.executor} is lost", event.reason)
        elif isinstance(event, PlaceQuarantined):
            self._say("place", f"manager {event.manager} at {event.executor} rests", event.reason)

    def _say(self, what: str, text: str, reason: str = "", kind: str = "") -> None:
        seconds = time.monotonic() - self._began
        self._tell(Happened(seconds=seconds, what=what, text=text, reason=reason, kind=kind))

    def _finished(self, result: CampaignResult, missing: str) -> Finished:
        best, best_score = result.best or ("", 0.0)
        counts = self._picture.counts if self._picture is not None else {}
        wasted = counts.get("failed_tries", self._failed_tries)
        return Finished(
            run=self._picture.run if self._picture is not None else "",
            scores={trial.name: score.hex() for trial, score in result.scores.items()},
            failed=len(result.failures),
            unfinished=len(result.unfinished),
            tries=counts.get("tries", len(result.scores) + wasted),
            wasted=wasted,
            seconds=result.seconds,
            best=best,
            best_score=best_score,
            faults=self._faults,
            left_behind=result.shutdown.left,
            story=self._most_tried(),
            missing=missing,
        )

    def _most_tried(self) -> int:
        tasks = self._picture.tasks if self._picture is not None else {}
        return max(tasks, key=lambda number: (len(tasks[number].tries), number), default=0)


def _decision_text(event: DecisionMade) -> str:
    task = f"task {event.task}" + (f" try {event.try_id}" if event.tries else "")
    return f"{task} at {event.executor}: {_decision_kind(event)}"


def _decision_kind(event: DecisionMade) -> str:
    action = {"move": f"move to {event.target}", "avoid": "try another node", "fail": "fail now"}
    return f"{event.diagnosis.failure_class} -> {action.get(event.action, 'try again')}"


def main() -> int:
    """Run the variant that the command line names; messages go to standard output."""
    parser = argparse.ArgumentParser()
    for name in ("--variant", "--mark", "--run-dir", "--fabric"):
        parser.add_argument(name, required=name != "--fabric")
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--deadline", type=float, required=True)
    parser.add_argument("--trials", type=int)
    args = parser.parse_args()

    out, sys.stdout = sys.stdout, sys.stderr  # the messages have their stream for themselves
    lock = threading.Lock()

    def tell(message: Message) -> None:
        with lock:
            out.write(encode(message).decode() + "\n")
            out.flush()

    fabric = open_fabric(args.fabric) if args.variant == "resilient" else None
    variant = Variant(tell, fabric, args.trials)
    calm = args.variant == "undisturbed"
    config = site_config(mark=args.mark, run_dir=args.run_dir, retries=RETRIES, healthy=calm)
    config.retry_handler = None if fabric else variant.count_failure
    if fabric is not None:
        config = resilient(config, fabric=fabric.url)
    faults = [] if calm else plan(args.seed)
    tell(variant.run(config, args.seed, args.mark, args.deadline, faults))
    return 0


if __name__ == "__main__":
    sys.exit(main())
