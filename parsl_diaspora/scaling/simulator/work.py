"""The tasks of a simulation: each goes to a node with room, and to another one when it is lost."""

from __future__ import annotations

from collections import deque

import msgspec

from parsl_diaspora.events import (
    Event,
    TaskEnded,
    TaskSubmitted,
    TryEnded,
    TryFailed,
    TryLaunched,
    TryStarted,
)
from parsl_diaspora.scaling.simulator.cluster import Cluster, Node
from parsl_diaspora.scaling.simulator.scenario import Burst
from parsl_diaspora.scaling.simulator.world import World
from parsl_diaspora.sizes import parse_seconds


class _Task(msgspec.Struct, eq=False):
    number: int
    burst: Burst
    executor: str
    tries: int = 0


class Tasks:
    """What is to be done, and how far it is.

    Args:
        world: whose time it lives in.
        cluster: where tasks run.
        executor: label of those that name none.

    Attributes:
        submitted: how many tasks were.
        done: how many have ended.
        lost: tries that were lost with their nodes.
        seconds: that all successful tries took together.
    """

    def __init__(self, world: World, cluster: Cluster, executor: str) -> None:
        self._world = world
        self._executor = executor
        self._waiting: dict[str, deque[_Task]] = {}
        self._room: dict[str, dict[Node, None]] = {}
        self._running: dict[tuple[int, int], _Task] = {}
        self.submitted = self.done = self.lost = 0
        self.seconds = 0.0
        self._last_end = 0.0
        cluster.on_nodes = self._offer
        cluster.on_lost = self._lose

    @property
    def last_end(self) -> float:
        """When the newest task ended, seconds since the start."""
        return self._last_end

    def plan(self, burst: Burst) -> None:
        """Submit tasks at their time."""
        if burst.every:
            period = parse_seconds(burst.every)
            self._world.after(
                parse_seconds(burst.at), lambda: self._world.every(period, lambda: self._submit(burst))
            )
        else:
            self._world.after(parse_seconds(burst.at), lambda: self._submit(burst))

    def _submit(self, burst: Burst) -> None:
        executor = burst.executor or self._executor
        for _ in range(burst.tasks):
            task = _Task(self.submitted, burst, executor)
            self.submitted += 1
            self._waiting.setdefault(executor, deque()).append(task)
            self._world.say(TaskSubmitted(task=task.number, try_id=0, executor=executor, func=burst.func))
        self._begin(executor)

    def _offer(self, node: Node) -> None:
        executor = node.block.executor
        self._room.setdefault(executor, {})[node] = None
        self._begin(executor)

    def _begin(self, executor: str) -> None:
        waiting, room = self._waiting.get(executor, deque()), self._room.get(executor, {})
        while waiting and room:
            node = next(iter(room))
            if node.free <= 0 or node not in node.block.nodes:
                del room[node]
                continue
            self._run(waiting.popleft(), node)

    def _run(self, task: _Task, node: Node) -> None:
        key = task.number, task.tries
        node.running.add(key)
        self._running[key] = task
        self._world.say(_at(node, TryStarted(task=key[0], try_id=key[1], executor=task.executor)))
        self._world.after(task.burst.seconds, lambda: self._end(key, node))

    def _end(self, key: tuple[int, int], node: Node) -> None:
        task = self._running.pop(key, None)
        if task is None:
            return  # it was lost
        node.running.discard(key)
        self.done += 1
        self.seconds += task.burst.seconds
        self._last_end = self._world.since_start
        self._world.say(
            _at(
                node,
                TryEnded(task=key[0], try_id=key[1], executor=task.executor, seconds=task.burst.seconds),
            )
        )
        self._world.say(TaskEnded(task=key[0], outcome="done", tries=key[1] + 1, func=task.burst.func))
        self._offer(node)

    def _lose(self, node: Node) -> None:
        self._room.get(node.block.executor, {}).pop(node, None)
        for key in sorted(node.running):
            task = self._running.pop(key)
            self.lost += 1
            self._world.say(_at(node, TryFailed(task=key[0], try_id=key[1], executor=task.executor)))
            task.tries += 1
            self._waiting.setdefault(task.executor, deque()).appendleft(task)
            self._world.say(TryLaunched(task=task.number, try_id=task.tries, executor=task.executor))
        node.running.clear()
        self._begin(node.block.executor)


def _at(node: Node, event: Event) -> Event:
    """The event, with where it happened."""
    event.block, event.manager, event.node = node.block.number, node.name, node.name
    return event
