"""Real logs, made by publishing events into real fabrics; no Parsl needed."""

from __future__ import annotations

import os
import time

import pytest

from parsl_diaspora.cli.main import main
from parsl_diaspora.events import (
    DecisionMade,
    Diagnosis,
    Failure,
    ManagerSeen,
    RunEnded,
    RunStarted,
    TaskEnded,
    TaskSubmitted,
    TryEnded,
    TryFailed,
    TryLaunched,
    TryStarted,
)
from parsl_diaspora.fabric import open_fabric
from parsl_diaspora.monitoring.run_key import RunKey

T0 = 1_790_000_000.0
RUN = "06845a1d-8214-4fb7-b26b-d41c90e22aa3"
TRACEBACK = (
    'Traceback (most recent call last):\n  File "campaign.py", line 26, in train\n    return 1 / x\n'
    "ZeroDivisionError: division by zero\n"
)
BUG = Failure(
    chain=("builtins.ZeroDivisionError", "builtins.ArithmeticError", "builtins.Exception"),
    message="division by zero",
    traceback=TRACEBACK,
    frame="campaign.py:train:26",
)
LOST = Failure(
    chain=("parsl.executors.high_throughput.errors.WorkerLost", "builtins.Exception"),
    message="Task failure due to loss of worker 1 on host n2",
    phase="lost",
)


_open = []


@pytest.fixture(autouse=True)
def _logs_are_closed():
    yield
    while _open:
        _open.pop().close()


class Log:
    """One run's log: what a submit side and its workers would write. Times are seconds after T0.

    Every event is a frame of its own, so that damage can be aimed.
    """

    def __init__(self, directory, run=RUN, *, t0=T0, node="elsewhere", pid=1):
        self.directory, self.run, self.t0 = directory, run, t0
        self.fabric = open_fabric(f"file:{directory}")
        self.submit = self.fabric.publisher("submit:h:1", immediate=True)
        self.worker = self.fabric.publisher("worker:h:2", immediate=True)
        self.node, self.pid = node, pid
        _open.append(self)

    def close(self):
        self.submit.close()
        self.worker.close()

    def say(self, at, event, *, publisher=None):
        event.run, event.time = event.run or self.run, self.t0 + at
        (publisher or self.submit).publish(event)
        return event

    def start(self, **fields):
        known = {
            "program": "campaign.py",
            "pid": self.pid,
            "node": self.node,
            "run_dir": "/scratch/runinfo/000",
            "executors": ("alder", "birch"),
            "parsl_version": "2026.10.26",
            "python_version": "3.11.7",
            "retries": 2,
        }
        self.say(0, RunStarted(**(known | fields)))
        for number, (label, node) in enumerate((("alder", "n1"), ("birch", "n2"))):
            place = {"executor": label, "block": "0", "manager": f"m{number}", "node": node}
            self.say(0.5, ManagerSeen(workers=2, **place))
        return self

    def end(self, at=60.0, **fields):
        self.say(at, RunEnded(**fields))
        return self

    def place(self, label):
        number, node = ("0", "n1") if label == "alder" else ("1", "n2")
        return {"executor": label, "block": "0", "manager": f"m{number}", "node": node, "worker": 1}

    def submitted(self, task, at, *, label="alder", func="train"):
        self.say(at, TaskSubmitted(task=task, try_id=0, executor=label, func=func))

    def started(self, task, number, at, *, label="alder", pid=77):
        event = TryStarted(task=task, try_id=number, pid=pid, **self.place(label))
        self.say(at, event, publisher=self.worker)

    def succeeded(self, task, number, at, *, label="alder"):
        self.say(at, TryEnded(task=task, try_id=number, seconds=0.4, **self.place(label)))
        self.say(at, TaskEnded(task=task, outcome="done", tries=number + 1))

    def failed(self, task, number, at, failure=BUG, *, label="alder", seconds=0.25):
        return self.say(
            at, TryFailed(task=task, try_id=number, failure=failure, seconds=seconds, **self.place(label))
        )

    def decided(self, task, number, at, *, label="alder", failure_class="application", **fields):
        known = {
            "diagnosis": Diagnosis(
                failure_class=failure_class,
                layer="runtime" if failure_class == "worker_lost" else "application",
                confidence=0.7,
                evidence=("the app raised ZeroDivisionError",),
            ),
            "rule": "second-opinion-move",
            "reason": "a try at birch tells a bad task from a bad place",
            "action": "move",
            "target": "birch",
            "budget": failure_class,
            "used": number + 1,
            "limit": 2,
            "tries": number + 1,
            "max_tries": 12,
        }
        place = {name: value for name, value in self.place(label).items() if name != "worker"}
        return self.say(at, DecisionMade(task=task, try_id=number, **place, **(known | fields)))

    def launched(self, task, number, at, *, label="birch", avoid=()):
        self.say(at, TryLaunched(task=task, try_id=number, executor=label, avoid=avoid))

    # --- whole tasks ---

    def good_task(self, task, at=1.0):
        self.submitted(task, at)
        self.started(task, 0, at + 0.1)
        self.succeeded(task, 0, at + 0.5)

    def bad_task(self, task, at=2.0):
        """Fails at alder, moves to birch, fails there, and is given up."""
        self.submitted(task, at)
        self.started(task, 0, at + 0.1)
        self.failed(task, 0, at + 0.4)
        passed = ("second-opinion-avoid: no other manager is there at this executor",)
        self.decided(task, 0, at + 0.4, alternatives=passed)
        self.launched(task, 1, at + 0.5)
        self.started(task, 1, at + 0.6, label="birch", pid=88)
        self.failed(task, 1, at + 0.9, label="birch")
        reason = "the same failure with the same inputs at two different places: it is the task's own"
        self.decided(
            task,
            1,
            at + 0.9,
            label="birch",
            rule="proven-hopeless",
            reason=reason,
            action="fail",
            target=None,
        )
        error = "ZeroDivisionError: division by zero"
        self.say(at + 1.0, TaskEnded(task=task, outcome="failed", tries=2, error=error))

    def saved_task(self, task, at=3.0):
        """Its worker is killed; the second try succeeds."""
        self.submitted(task, at, label="birch")
        self.started(task, 0, at + 0.1, label="birch", pid=99)
        self.failed(task, 0, at + 1.0, LOST, label="birch", seconds=None)
        reason = "the worker was lost, not the task; its manager starts a new one"
        rule = {"rule": "worker-lost-retry", "reason": reason, "action": "retry", "target": None}
        self.decided(
            task, 0, at + 1.0, label="birch", failure_class="worker_lost", delay=0.5, limit=4, **rule
        )
        self.launched(task, 1, at + 1.5)
        self.started(task, 1, at + 1.6, label="birch")
        self.succeeded(task, 1, at + 2.0, label="birch")


@pytest.fixture(autouse=True)
def _somewhere(tmp_path, monkeypatch):
    """Every test has a current directory of its own, and UTC."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PARSL_DIASPORA_FABRIC", raising=False)
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def make_log(tmp_path):
    """A log in Parsl's run directory, as the n-th run of the program."""

    def make(number=0, run=RUN, **options):
        home = tmp_path / "runinfo" / f"{number:03}"
        home.mkdir(parents=True)
        (home / "parsl.log").touch()
        RunKey.make(home)
        return Log(home / "events", run, **options)

    return make


@pytest.fixture
def log(make_log):
    """A run with a good task 0, a bad task 1 and a task 2 that was saved."""
    log = make_log().start()
    log.good_task(0)
    log.bad_task(1)
    log.saved_task(2)
    return log.end(done=2, failed=1)


def still_going(directory):
    """The log of a run that goes on, as far as anybody can tell, with a task that runs."""
    made = Log(directory / "events", t0=time.time()).start()
    RunKey.make(directory)
    made.submitted(1, 1.0)
    made.started(1, 0, 1.1)
    return made


class Answer:
    """What the command said."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    @property
    def lines(self):
        return self.out.splitlines()

    @property
    def words(self):
        """The text without its line breaks and columns."""
        return " ".join(self.out.split())


@pytest.fixture
def call(capsys):
    """Call the command in this process."""

    def call(*arguments):
        capsys.readouterr()
        status = main([str(argument) for argument in arguments])
        return Answer(status, *capsys.readouterr())

    return call


@pytest.fixture
def here():
    """Where a run says that it is when it is on this host, in this process."""
    return {"node": os.uname().nodename, "pid": os.getpid()}
