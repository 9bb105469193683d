"""A pool whose members do what the test says, on a virtual clock."""

from __future__ import annotations

from concurrent.futures import Future
from types import SimpleNamespace

from parsl.executors.base import ParslExecutor
from parsl.executors.errors import BadStateException

from parsl_diaspora.executors.pool.advice import Alone
from parsl_diaspora.executors.pool.executor import PoolExecutor
from parsl_diaspora.executors.pool.keeper import Keeper
from parsl_diaspora.testing.clock import VirtualClock


class Member(ParslExecutor):
    """Holds what it is given until the test ends it."""

    def __init__(self, label="alder", slots=None, takes=True):
        super().__init__()
        self.label = label
        self.slots = slots
        self.takes = takes
        self.held = []
        self.bad = None
        self.is_started = self.is_shut_down = False
        self.provider = None

    @property
    def bad_state_is_set(self):
        return self.bad is not None

    @property
    def executor_exception(self):
        return self.bad

    def validate_resource_spec(self, specification):
        if specification and not self.takes:
            raise ValueError("unknown words")

    def start(self):
        self.is_started = True

    def submit(self, func, resource_specification, *args, **kwargs):
        if self.bad is not None:
            raise self.bad
        future = Future()
        self.held.append(
            SimpleNamespace(func=func, args=args, future=future, specification=resource_specification)
        )
        return future

    def end(self, number=-1, result=None, error=None):
        """End one task."""
        each = self.held.pop(number)
        if error is not None:
            each.future.set_exception(error)
        else:
            each.future.set_result(result)

    def turn_bad(self, error=None):
        """As Parsl's error handlers do it."""
        self.bad = error or RuntimeError("all blocks have failed")
        for each in self.held:
            each.future.set_exception(BadStateException(self, self.bad))

    def shutdown(self):
        self.is_shut_down = True


class Scene:
    """A started pool."""

    def __init__(self, *members, **arguments):
        self.clock = VirtualClock()
        self.pool = PoolExecutor("pool", list(members) or [Member("alder"), Member("birch")], **arguments)
        self.pool.advice = Alone(self.pool.seats, self.clock)
        self.said = []
        self.pool.advice.say = self.said.append
        self.faults = []
        self.pool.advice.absorb = lambda part, error: self.faults.append((part, error))
        for seat in self.pool.seats.values():
            seat.start(self.pool.surroundings())
        self.keeper = Keeper(self.pool)

    def member(self, label):
        return self.pool.seats[label].executor

    def submit(self, func=abs, *args, spec=None):
        return self.pool.submit(func, spec or {}, *args)

    def look(self, seconds=0.0):
        self.clock.advance(seconds)
        self.keeper.look()
        for thread in (*self.keeper._replacing.values(), *self.keeper._retired):
            thread.join(5)

    def at(self, future):
        return tuple(each.label for each in future.copies())

    def number(self, label):
        return len(self.member(label).held)
