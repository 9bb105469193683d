"""Stand-ins for Parsl's queue and an executor, and what workers send."""

from __future__ import annotations

import pickle
from concurrent.futures import Future

from parsl.app.errors import RemoteExceptionWrapper
from parsl.jobs.states import JobState, JobStatus
from parsl.serialize import pack_apply_message, serialize

from parsl_diaspora.executors.launch import Launch, pack
from parsl_diaspora.executors.withdrawing import Withdrawals
from parsl_diaspora.monitoring.runner import run


class FakeQueue:
    """Parsl's queue of results, with what has arrived; in lists as before Parsl 2026.10.05 if asked for."""

    port = 54_321

    def __init__(self, *messages, lists=False):
        self.waiting = list(messages)
        self.lists = lists
        self.closed = False

    def get(self, timeout_ms=None):
        if not self.waiting:
            return None
        if not self.lists:
            return self.waiting.pop(0)
        messages, self.waiting = self.waiting, []
        return messages

    def close(self):
        self.closed = True


class FakeExecutor:
    """What block keeper and watch need of an executor."""

    def __init__(self, *, init_blocks=1, min_blocks=0, max_blocks=4):
        self.label = "alder"
        self.unsaid = ""
        self.heartbeat_threshold = 3
        self.reachable = True
        self.provider = self
        self.init_blocks, self.min_blocks, self.max_blocks = init_blocks, min_blocks, max_blocks
        self.status_facade: dict[str, JobStatus] = {}
        self.blocks_to_job_id: dict[str, str] = {}
        self.refuses = False
        self.why_no_blocks = ""
        self.waiting = 1
        self.tasks: dict[int, Future] = {}
        self.withdrawals = Withdrawals(self.tasks)
        self.interchange_proc = None
        self.bad_state = None
        self.ended_tasks: list[Exception] = []
        self.managers: list[dict] = []
        self.ended: list[str] = []
        self.asked: list[str] = []
        self.answer = JobState.RUNNING
        self.scale_out_facade(init_blocks)

    def outstanding(self):
        return self.waiting

    def scale_out_facade(self, n):
        made = []
        for _ in range(n):
            block = str(len(self.status_facade))
            if self.refuses:
                self.status_facade[block] = JobStatus(JobState.FAILED, "the batch system says no")
                continue
            self.status_facade[block] = JobStatus(JobState.PENDING)
            self.blocks_to_job_id[block] = f"job-{block}"
            made.append(block)
        return made

    def set_bad_state_and_fail_all(self, exception):
        self.bad_state = exception

    def end_all_tasks(self, make_error, why):
        self.ended_tasks.append(make_error())

    @property
    def active_blocks(self):
        return [block for block, status in self.status_facade.items() if not status.terminal]

    def connected_managers(self):
        return [dict(each) for each in self.managers]

    @property
    def known_managers(self):
        return self.managers

    def end_block(self, block):
        self.ended.append(block)

    def status(self, jobs):
        """As the provider: asked directly."""
        self.asked += jobs
        return [JobStatus(self.answer) for _ in jobs]

    def become(self, state, *blocks, **details):
        for block in blocks:
            self.status_facade[block] = JobStatus(state, **details)

    def active(self):
        return sum(not status.terminal for status in self.status_facade.values())


def message(task_id, **parts):
    """A message of the interchange."""
    return pickle.dumps({"type": "result", "task_id": task_id, **parts})


def lost(error, task_id=1):
    """What manager and interchange send in place of a result."""
    return message(task_id, exception=serialize(RemoteExceptionWrapper(type(error), error, None)))


def launch(**more):
    """What the submit side tells a worker."""
    return Launch(**{"run": "r", "task": 0, "try_id": 0, "executor": "alder", **more})


def answer(function, *arguments, task_id=1, told=None):
    """What a worker sends back when our runner has run a function there."""
    buffer = pack_apply_message(function, arguments, {})
    return message(task_id, result=serialize(run(buffer, pack(told or launch()))))


def stock_answer(value, task_id=1):
    """What a worker sends back for a task that was sent as stock does."""
    return message(task_id, result=serialize(value))
