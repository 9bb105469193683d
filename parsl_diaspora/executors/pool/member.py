"""One seat of a pool: a label, and the executor that sits there now."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from parsl.executors import ThreadPoolExecutor
from parsl.executors.base import ParslExecutor
from parsl.executors.status_handling import BlockProviderExecutor
from parsl.jobs.job_status_poller import JobStatusPoller
from parsl.jobs.states import TERMINAL_STATES, JobState

from parsl_diaspora.executors.errors import InterchangeLost
from parsl_diaspora.executors.keeping.kept import KeptInterchange
from parsl_diaspora.executors.pool.wants import WORDS, without_our_words
from parsl_diaspora.executors.remake import Recipe
from parsl_diaspora.executors.walltime import walltime_seconds
from parsl_diaspora.state.offers import NOTHING_KNOWN, Offer

CLOSE_SECONDS = 10.0  # that a poller has to end its look at the batch system

Factory = Callable[[], ParslExecutor]


class Surroundings(msgspec.Struct):
    """What Parsl tells an executor before it starts it, and how it is scaled.

    Attributes:
        run_id: Parsl's.
        run_dir: of this run.
        log_config: Parsl's.
        monitoring_messages: the monitoring hub's queue, if there is one.
        strategy: name of one of Parsl's.
        max_idletime: seconds, for that strategy.
        period: seconds between two looks at the blocks.
    """

    run_id: str | None
    run_dir: str
    log_config: Any = None
    monitoring_messages: Any = None
    strategy: str = "simple"
    max_idletime: float = 120.0
    period: float = 5.0


class Member:
    """A member of a pool.

    Args:
        given: an executor that has not been started, or a function that makes one.
        upgrade: what is done to each executor before it is used.

    Attributes:
        executor: that sits there now.
        label: of it, and of those that take its place.
        number: how many have sat there.
        failed: why the executor could not be started, in words; empty if it could.
        replaceable: a fresh one can be made.
    """

    def __init__(
        self, given: ParslExecutor | Factory, upgrade: Callable[[Any], Any] = lambda executor: executor
    ) -> None:
        made: Any = given if isinstance(given, ParslExecutor) else given()
        self.executor: Any = upgrade(made)
        self.label: str = self.executor.label
        self.number = 1
        self.failed = ""
        self._make = partial(_made_anew, given, self._recipe(), upgrade)
        self._lock = threading.Lock()
        self._outstanding = 0
        self._poller: JobStatusPoller | None = None
        self._running_since: dict[str, float] = {}

    def _recipe(self) -> Recipe | None:
        try:
            return Recipe(self.executor)
        except Exception:  # noqa: BLE001 - a class of the program's own need not keep its arguments
            return None

    @property
    def replaceable(self) -> bool:
        """Whether a fresh executor can be made."""
        given, recipe, _ = self._make.args
        return recipe is not None or not isinstance(given, ParslExecutor)

    # --- life ---

    def start(self, around: Surroundings) -> None:
        """Start the executor as Parsl would, and what scales it; one that cannot be started is a bad one.

        Raises:
            Exception: it cannot be started.
        """
        try:
            self._poller = _start(self.executor, around)
        except Exception as error:
            self.failed = f"it could not be started: {type(error).__name__}: {error}"
            raise

    def fresh(self, around: Surroundings) -> tuple[Any, JobStatusPoller | None]:
        """A fresh executor under the same label, already started, in a directory of its own.

        Raises:
            Exception: it cannot be made or started.
        """
        made = self._make()
        made.label = self.label
        _go_on_counting(self.executor, made)
        directory = os.path.join(around.run_dir, "replacements", str(self.number + 1))
        if isinstance(made, BlockProviderExecutor):  # others write nothing
            os.makedirs(directory, exist_ok=True)
        try:
            return made, _start(made, msgspec.structs.replace(around, run_dir=directory))
        except Exception:
            with contextlib.suppress(Exception):  # what it has begun is not to stay; why it failed is told
                made.shutdown()
            raise

    def seat(self, executor: Any, poller: JobStatusPoller | None) -> Callable[[], None]:
        """Let a fresh executor take the place; what is returned ends the old one, and takes its time."""
        old, old_poller = self.executor, self._poller
        self.executor, self._poller = executor, poller
        self.number += 1
        self.failed = ""
        self._running_since = {}
        return partial(end, old, old_poller)

    def close(self) -> None:
        """End the executor and what scales it."""
        end(self.executor, self._poller)

    # --- what is asked of it ---

    def count(self, by: int) -> None:
        """One more try is there, or one less."""
        with self._lock:
            self._outstanding += by

    @property
    def outstanding(self) -> int:
        """Tries of the pool that are there, copies that nobody waits for included."""
        return self._outstanding

    @property
    def wrong(self) -> str:
        """Why it takes no tasks, in words; empty if it takes them."""
        if self.failed:
            return self.failed
        if getattr(self.executor, "bad_state_is_set", False):
            return f"it was given up: {getattr(self.executor, 'executor_exception', None)}"
        return ""

    @property
    def is_usable(self) -> bool:
        """Whether it takes tasks and has blocks to run them, or may have."""
        return not self.wrong and not getattr(self.executor, "is_without_blocks", False)

    @property
    def offer(self) -> Offer:
        """What its configuration tells of its nodes."""
        accelerators = getattr(self.executor, "available_accelerators", None)
        return Offer(gpus=len(accelerators)) if accelerators else NOTHING_KNOWN

    @property
    def slots(self) -> int | None:
        """Workers that it has now, as far as its blocks and its configuration tell; None if they do not."""
        if isinstance(self.executor, ThreadPoolExecutor):
            return self.executor.max_threads
        if not isinstance(self.executor, BlockProviderExecutor) or self.executor.provider is None:
            return None
        states = [status.state for status in list(self.executor.status_facade.values())]
        nodes = getattr(self.executor.provider, "nodes_per_block", 1) or 1
        return math.floor(states.count(JobState.RUNNING) * nodes * self.executor.workers_per_node)

    def seconds_left(self, now: float) -> float:
        """Until the last of its blocks ends; infinite where no walltime is known, or none runs yet.

        Args:
            now: monotonic seconds.
        """
        seconds = walltime_seconds(getattr(getattr(self.executor, "provider", None), "walltime", None))
        if seconds is None or not self._running_since:
            return float("inf")
        return max(list(self._running_since.values())) + seconds - now

    def specification(self, given: dict[str, Any]) -> dict[str, Any]:
        """What it gets of a resource specification: without our words if it does not take them."""
        if WORDS.isdisjoint(given) or not self._refuses(given):
            return given
        return without_our_words(given)

    def refuses(self, specification: dict[str, Any]) -> str:
        """What it does not take of a resource specification, in words; empty if it takes it."""
        return self._refuses(self.specification(specification)) if specification else ""

    def _refuses(self, specification: dict[str, Any]) -> str:
        if not specification:
            return ""
        if isinstance(self.executor, ThreadPoolExecutor):
            return f"resources ({', '.join(specification)})"
        try:
            if (validate := getattr(self.executor, "validate_resource_spec", None)) is not None:
                validate(specification)
        except Exception as error:  # noqa: BLE001 - each executor has its own errors for words that it does not know
            keys = getattr(error, "invalid_keys", None) or specification
            return f"resources ({', '.join(map(str, keys))})"
        return ""

    # --- looks ---

    def look(self, now: float) -> None:
        """Take note of blocks that have begun, and of an interchange that nobody else looks after."""
        if isinstance(self.executor, BlockProviderExecutor):
            running = [
                block
                for block, status in list(self.executor.status_facade.items())
                if status.state == JobState.RUNNING
            ]
            self._running_since = {block: self._running_since.get(block, now) for block in running}
        self._look_at_interchange()

    def _look_at_interchange(self) -> None:
        """Stock Parsl waits for ever when it is gone."""
        executor = self.executor
        process = getattr(executor, "interchange_proc", None)
        if process is None or isinstance(executor, KeptInterchange) or executor.bad_state_is_set:
            return
        if (code := process.poll()) is not None:
            message = f"The interchange of executor {self.label!r} is lost: it ended with exit code {code}."
            hint = "Its last words are in interchange.log of the executor's directory."
            executor.set_bad_state_and_fail_all(
                InterchangeLost(message, executor=self.label, exit_code=code, hint=hint)
            )


def _made_anew(given: ParslExecutor | Factory, recipe: Recipe | None, upgrade: Callable[[Any], Any]) -> Any:
    if not isinstance(given, ParslExecutor):
        return upgrade(given())
    if recipe is None:
        message = f"executor {given.label!r} does not keep its arguments, so it cannot be made anew"
        raise TypeError(message)
    return upgrade(recipe.make(fresh_provider=True))


def _start(executor: Any, around: Surroundings) -> JobStatusPoller | None:
    """As Parsl's kernel does it. Each has a poller of its own: a scheduler that hangs holds up no other."""
    executor.run_id, executor.run_dir = around.run_id, around.run_dir
    executor.log_config = around.log_config
    executor.monitoring_messages = around.monitoring_messages
    if hasattr(getattr(executor, "provider", None), "script_dir"):
        executor.provider.script_dir = os.path.join(around.run_dir, "submit_scripts")
        os.makedirs(executor.provider.script_dir, exist_ok=True)
    executor.start()
    if not isinstance(executor, BlockProviderExecutor) or executor.status_polling_interval <= 0:
        return None
    poller = JobStatusPoller(
        strategy=around.strategy, max_idletime=around.max_idletime, strategy_period=around.period
    )
    poller.add_executors([executor])
    return poller


def _go_on_counting(old: Any, fresh: Any) -> None:
    """A block's id names one block of the label, also when another executor bears that."""
    counter, used = getattr(fresh, "_block_id_counter", None), getattr(old, "_block_id_counter", None)
    if counter is not None and used is not None:
        for _ in itertools.repeat(None, getattr(used, "count", 0)):
            counter.get_id()


def end(executor: Any, poller: JobStatusPoller | None) -> None:
    """End an executor with its blocks, and what scales it."""
    if poller is not None:
        poller.close(CLOSE_SECONDS)
    _end_jobs(executor)
    executor.shutdown()


def _end_jobs(executor: Any) -> None:
    """Parsl leaves the jobs of an executor that is in a bad state."""
    provider = getattr(executor, "provider", None)
    if provider is None or not getattr(executor, "bad_state_is_set", False):
        return
    ended = {
        block for block, status in list(executor.status_facade.items()) if status.state in TERMINAL_STATES
    }
    jobs = [job for block, job in list(executor.blocks_to_job_id.items()) if block not in ended]
    if jobs:
        provider.cancel(jobs)
