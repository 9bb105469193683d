"""A simulated world as one that was: waits, losses and work as a run's log tells them."""

from __future__ import annotations

from collections.abc import Iterable

from parsl_diaspora.events import (
    BlockLost,
    Event,
    ManagerLost,
    ManagerSeen,
    NodeLost,
    TaskSubmitted,
    TryEnded,
)
from parsl_diaspora.pool_settings import PoolSpec
from parsl_diaspora.scaling.budget import HOUR
from parsl_diaspora.scaling.counts import executor_of
from parsl_diaspora.scaling.forecast import Forecast
from parsl_diaspora.scaling.simulator.scenario import Burst, Losses, Scenario, SimulatedSite
from parsl_diaspora.scaling.sites import Whereabouts, site_of
from parsl_diaspora.scaling.supply import BLOCK_EVENTS, Supply
from parsl_diaspora.state import Picture

TOGETHER = 1.0  # tasks of one app that were submitted within so many seconds are one burst


def scenario_of(events: Iterable[Event], spec: PoolSpec, run: str, *, seed: int = 1) -> Scenario:
    """The world in which a run took place, as far as its pool is concerned.

    Args:
        events: of its log, in order.
        spec: of its pool.
        run: its id.
        seed: of what is left to chance: which node is lost.
    """
    reading = _Reading(spec, run)
    for event in events:
        if event.run == run:
            reading.take(event)
    return reading.scenario(seed)


class _Reading:
    def __init__(self, spec: PoolSpec, run: str) -> None:
        self._spec = spec
        self._picture = Picture(run)
        self._supply = Supply(self._picture, lambda executor, job: Whereabouts(site_of(spec, executor, job)))
        self._forecast = Forecast()
        self._workers: dict[str, int] = {}
        self._losses: list[float] = []
        self._bursts: dict[tuple[str, str, int], int] = {}
        self._seconds: dict[str, list[float]] = {}
        self._funcs: dict[int, str] = {}

    def take(self, event: Event) -> None:
        is_loss = isinstance(event, BlockLost | ManagerLost | NodeLost)
        working = self._working() if is_loss else 0
        self._picture.fold(event)
        self._supply.fold(event)
        if type(event) in BLOCK_EVENTS:
            self._forecast.look(self._supply)
        if isinstance(event, ManagerSeen):
            self._workers[event.executor or ""] = event.workers
        elif is_loss:
            self._note_losses(event, working - self._working())
        elif isinstance(event, TaskSubmitted):
            self._note_task(event)
        elif isinstance(event, TryEnded) and event.seconds is not None:
            self._seconds.setdefault(self._funcs.get(event.task or 0, ""), []).append(event.seconds)

    def scenario(self, seed: int) -> Scenario:
        """All in all."""
        losses = tuple(_span(at - self._began) for at in self._losses)
        return Scenario(
            hours=max(1.0, self._picture.last_time - self._began) / HOUR,
            seed=seed,
            sites={site: self._site(site) for site in self._spec.sites},
            losses=Losses(at=losses, found_after="0s"),
            work=tuple(self._work()),
        )

    @property
    def _began(self) -> float:
        return self._picture.first_time

    def _working(self) -> int:
        return sum(len(self._supply.working(block)) for block in self._supply)

    def _note_losses(self, event: Event, nodes: int) -> None:
        block = self._supply.blocks.get((event.executor or "", event.block or ""))
        if block is None or not block.draining:
            self._losses += [event.time] * max(0, nodes)

    def _note_task(self, event: TaskSubmitted) -> None:
        self._funcs[event.task or 0] = event.func
        key = event.executor or "", event.func, round((event.time - self._began) / TOGETHER)
        self._bursts[key] = self._bursts.get(key, 0) + 1

    def _site(self, site: str) -> SimulatedSite:
        nodes = max((block.nodes for block in self._supply if block.site == site), default=1)
        return SimulatedSite(
            nodes_per_block=nodes,
            workers=max(1, self._workers.get(executor_of(site), 1)),
            wait=_span(self._forecast.wait(site) or 0.0),
            spread=0.0,
            start=_span(self._forecast.start(site)),
        )

    def _work(self) -> Iterable[Burst]:
        for (executor, func, at), count in sorted(self._bursts.items(), key=lambda item: item[0][2]):
            seconds = self._seconds.get(func, [])
            mean = sum(seconds) / len(seconds) if seconds else 0.0
            yield Burst(
                at=_span(at * TOGETHER), tasks=count, seconds=mean, executor=executor, func=func or "task"
            )


def _span(seconds: float) -> str:
    return f"{max(0.0, seconds):.3f}s"
