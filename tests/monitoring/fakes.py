"""Parsl's kernel as far as our hooks see it: task records, launches and failures, without any executor."""

from __future__ import annotations

import itertools
import uuid
from types import SimpleNamespace
from typing import Any

from parsl import python_app
from parsl.dataflow.memoization import BasicMemoizer
from parsl.dataflow.states import States

from parsl_diaspora import open_fabric
from parsl_diaspora.events import ManagerSeen
from parsl_diaspora.executors.launch import Report, launching
from parsl_diaspora.failures import describe
from parsl_diaspora.monitoring.deciding.retries import RetryHandler
from parsl_diaspora.monitoring.memoizer import LifecycleMemoizer
from parsl_diaspora.monitoring.session import Session
from parsl_diaspora.settings import Settings
from parsl_diaspora.state import Live
from parsl_diaspora.testing.clock import VirtualClock


class FakeExecutor:
    def __init__(self, label):
        self.label = label
        self.bad_state_is_set = False
        self.executor_exception: Exception | None = None

    def break_down(self, error):
        self.bad_state_is_set, self.executor_exception = True, error


@python_app
def simulate():
    return 1


class Program:
    """A program with our hooks in it, whose tasks fail as the test says.

    ``retries`` is that of Parsl's configuration, ``budgets`` are the ``retries`` of the settings. Unless it
    is a ``whole`` run, nobody listens to the fabric.
    """

    def __init__(
        self, tmp_path, *labels, retries=0, budgets=None, own=None, memoizer=None, whole=False, **settings
    ):
        self.clock = VirtualClock()
        self.url = f"memory:{uuid.uuid4().hex}"
        chosen = Settings(**{"fabric": self.url, "retries": budgets or {}, "places": "off", **settings})
        self.session = Session(chosen, retries, labels or ("alder",), self.clock)
        self.handler = RetryHandler(self.session, own)
        self.memoizer = LifecycleMemoizer(memoizer or BasicMemoizer(), self.session)
        self.memoizer.start(run_dir=str(tmp_path), config_run_dir=str(tmp_path))
        self.retries = retries
        self.executors: dict[str, Any] = {label: FakeExecutor(label) for label in labels or ("alder",)}
        self.run_id = uuid.uuid4().hex
        if not whole:
            self.session.live = Live(open_fabric(self.url), self.run_id, "submit")
        self.relaunched: list[int] = []
        self._numbers = itertools.count()

    # --- what Parsl's kernel does ---

    def launch_if_ready(self, task):
        self.relaunched.append(task["id"])

    def task(self, executor="alder", func=simulate.func, **more):
        """A task record as Parsl's kernel makes it."""
        return {
            "id": next(self._numbers),
            "dfk": self,
            "executor": executor,
            "func": func,
            "func_name": func.__name__,
            "args": (),
            "kwargs": {},
            "depends": [],
            "fail_count": 0,
            "fail_cost": 0,
            "try_id": 0,
            "status": States.pending,
            "from_memo": None,
            "memoize": False,
            "hashsum": None,
            "ignore_for_cache": [],
            "app_fu": SimpleNamespace(),
            **more,
        }

    def launch(self, task):
        """As `DataFlowKernel.launch_task`: ask the memoizer, then hand it to the executor."""
        known = self.memoizer.check_memo(task)
        task["from_memo"] = known is not None
        if known is None:
            task["status"] = States.launched
        self.launch_seen, launching.launch = launching.launch, None
        return known

    def fail(self, task, error):
        """As `DataFlowKernel.handle_exec_update`: whether there is another try."""
        task["fail_count"] += 1
        cost = self.handler(error, task)
        assert type(cost) is float
        task["fail_cost"] += cost
        if task["fail_cost"] <= self.retries:
            task["try_id"] += 1
            task["status"] = States.pending
            return True
        self.memoizer.update_memo_exception(task, error)
        return False

    def succeed(self, task, result=None):
        self.memoizer.update_memo_result(task, result)

    # --- what happens ---

    def run(self, errors, task=None):
        """Let a task fail with these errors, one after another, until it has no further try; the task."""
        task = task or self.task()
        for error in errors:
            self.launch(task)
            if not self.fail(task, error):
                return task
        self.launch(task)
        self.succeed(task)
        return task

    def see_manager(self, name, executor="alder", workers=2):
        self.session.begin(self.run_id).say(ManagerSeen(executor=executor, manager=name, workers=workers))

    def report(self, error=None, manager="m1", phase="run"):
        """A worker has told of the try that was launched last."""
        failure = describe(error, phase=phase) if error is not None else None
        report = Report(block="0", manager=manager, worker=0, node="n1", pid=7, seconds=1.5, failure=failure)
        self.session.returned(self.launch_seen, report)

    # --- what was said ---

    def said(self, *kinds):
        consumer = open_fabric(self.url).consumer("test", start="earliest")
        return [event for event in consumer.poll() if not kinds or isinstance(event, kinds)]

    @property
    def picture(self):
        return self.session.live.picture
